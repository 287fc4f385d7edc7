"""Due: what a timer's event says, and the timer that waits for it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, final

from attrs import frozen

from arvo.core.payloads.payload import Payload


@final
@frozen
class TimerFired:
    """A timer's time has come: the data of the event that a `Schedule` leads to.

    *name* and *payload* are the `Schedule`'s, *at* is when it was due, in UTC.
    """

    name: str
    at: datetime
    payload: Mapping[str, Any] | None = None


@final
@frozen
class Timer:
    """A timer that a workflow waits for.

    *id*: that of the event it leads to, so that an event which was overtaken is known as such.
    *at*: when it is due (RFC 3339, UTC).
    """

    id: str
    at: str
    payload: Mapping[str, Any] | None = None


TIMER_FIRED: Final = Payload.of(TimerFired)


def timer_event_type(accepted: str) -> str:
    """Name the event type of a workflow's timers.

    >>> timer_event_type("arvo.orc.order")
    'sys.arvo.orc.order.due'
    """
    return f"sys.{accepted}.due"
