"""Protocol: the events that Arvo itself defines: timers, cancellations, forks, system errors."""

import traceback
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any, Final, final

from attrs import field, frozen

from arvo.core.payloads.payload import Payload

# An error that quotes its whole input is cut.
MESSAGE_CHARACTERS_MAX: Final = 4096
STACK_CHARACTERS_MAX: Final = 32 * 1024


@final
@frozen
class TimerFired:
    """A timer's time has come: the data of the event that a `Schedule` leads to.

    *name* and *payload* are those of the `Schedule`, *at* is the time it was due at, in UTC.
    """

    name: str
    at: datetime
    payload: Mapping[str, Any] | None = None


@final
@frozen
class Timer:
    """A pending timer of a workflow.

    *id*: the id of the event it leads to, by which the event of a replaced timer is recognised.
    *at*: when it is due (RFC 3339, UTC).
    """

    id: str
    at: str
    payload: Mapping[str, Any] | None = None


@final
@frozen
class Cancellation:
    """A request to end a workflow: its last turn may still emit events, then it waits no more.

    *reason* is for people. *by* is the subject of the parent workflow that cancels its child, None
    where the request comes from elsewhere.
    """

    reason: str
    by: str | None = None


@final
@frozen
class Fork:
    """The begin of a workflow that continues from a turn of another one.

    *origin*: the subject of that workflow. *revision*: that of its record. *content*: the record
    and the requests that the new workflow begins with, as `arvo.core.fork` writes them.
    """

    origin: str
    revision: int
    content: str


@final
@frozen
class SystemFault:
    """The payload of every `sys.*.error` event.

    On the wire, and to its constructor, the fields are `errorName`, `errorMessage` and
    `errorStack`. The stack is None unless the operator asked for stacks, because a stack shows the
    inside of a service to other services.
    """

    name: str = field(alias="errorName")
    message: str = field(alias="errorMessage")
    stack: str | None = field(default=None, alias="errorStack")

    @classmethod
    def of(cls, error: BaseException, *, stack: bool = False) -> "SystemFault":
        """Describe an exception; include its traceback if *stack* is true.

        >>> SystemFault.of(ValueError("no stock"))
        SystemFault(name='ValueError', message='no stock', stack=None)
        """
        trace = "".join(traceback.format_exception(error)) if stack else None
        return cls(
            errorName=type(error).__name__,
            errorMessage=to_wire_text(_message(error)),
            errorStack=None if trace is None else to_wire_text(trace, STACK_CHARACTERS_MAX),
        )


def to_wire_text(text: str, characters_max: int = MESSAGE_CHARACTERS_MAX) -> str:
    """Cut *text* and escape its lone surrogates (file names contain them), so it can be sent."""
    return text[:characters_max].encode(errors="backslashreplace").decode()


def _message(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - the __str__ of a user's exception may raise anything
        return "an error whose message cannot be read"


TIMER_FIRED: Final = Payload.of(TimerFired)
CANCELLATION: Final = Payload.of(Cancellation)
FORK: Final = Payload.of(Fork)
FAULT: Final = Payload.of(SystemFault)
# The error name in the system error that a cancelled workflow sends to its initiator.
CANCELLED: Final = "Cancelled"


@lru_cache(maxsize=1024)
def timer_event_type(accepted: str) -> str:
    """Return the event type of a workflow's timers.

    >>> timer_event_type("arvo.orc.order")
    'sys.arvo.orc.order.due'
    """
    return f"sys.{accepted}.due"


@lru_cache(maxsize=1024)
def cancel_type(accepted: str) -> str:
    """Return the event type that cancels a workflow.

    >>> cancel_type("arvo.orc.order")
    'sys.arvo.orc.order.cancel'
    """
    return f"sys.{accepted}.cancel"


@lru_cache(maxsize=1024)
def fork_type(accepted: str) -> str:
    """Return the event type that begins a workflow from a turn of another one.

    >>> fork_type("arvo.orc.order")
    'sys.arvo.orc.order.fork'
    """
    return f"sys.{accepted}.fork"


def is_fork(event_type: str) -> bool:
    """Return whether *event_type* is that of the forks of some workflow."""
    return event_type.startswith("sys.") and event_type.endswith(".fork")


def system_error_type(accepted: str) -> str:
    """Return the event type of a contract's system errors.

    >>> system_error_type("com.payment.charge")
    'sys.com.payment.charge.error'
    """
    return f"sys.{accepted}.error"


def is_system_error(event_type: str) -> bool:
    """Return whether *event_type* is the system error type of some contract.

    >>> is_system_error("sys.com.payment.charge.error"), is_system_error("evt.payment.error")
    (True, False)
    """
    return event_type.startswith("sys.") and event_type.endswith(".error")
