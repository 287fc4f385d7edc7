"""Join: whether the span of a delivery is a child of the sender's span, or is linked to it.

The semantic conventions for messaging link a consumer to its producer, and allow a parent where
there is one message. A workflow may wait for days: one trace of that length breaks tail sampling,
so what comes late begins a new trace.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal, TypeAlias

from arvo.core.events.event import Event
from arvo.core.events.protocol import timer_event_type
from arvo.engine.step.route import ToHandler
from arvo.handlers.duration import to_seconds
from arvo.interpreters.ports.messages import Delivery, Message

# `none`: a new trace without a link.
Join: TypeAlias = Literal["parent", "link", "none"]
# Decides it for an event; the delivery is None for an event that is consumed where it was emitted.
JoinRule: TypeAlias = Callable[[Event[Any], Delivery | None], Join]

# How long after its event a reply or a signal belongs to the trace of its sender, by default.
WAITS: Final = timedelta(minutes=15)


def join_reason(message: Message, waits: float) -> str | None:
    """Return why a message begins a new trace that is linked to its sender; None: it does not.

    *waits*: the seconds after which a reply or a signal is late.
    """
    event, to = message.event, message.to
    if not isinstance(to, ToHandler) or to.key is None:
        return None
    if event.type == timer_event_type(to.address):
        return "timer"
    if event.type != to.address and _age(event) > waits:
        return "late"
    return None


def wait_seconds(waits: float | timedelta) -> float:
    """Return the argument *waits* in seconds; raises `Violated` for one that is no duration."""
    return to_seconds("waits", waits)


def _age(event: Event[Any]) -> float:
    try:
        sent = datetime.fromisoformat(event.time)
        return (datetime.now(UTC) - sent).total_seconds()
    except (ValueError, TypeError):
        # A time without an offset, or one of more digits than Python reads.
        return 0.0
