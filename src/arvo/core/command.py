"""Command: an effect that a handler requests, as a value; interpreters carry it out."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal, TypeAlias, cast, final

from attrs import Attribute, field, frozen

from arvo.construct import quick_init
from arvo.core.events.domain import DomainRule
from arvo.core.events.identity import GivenId, IdReusePolicy
from arvo.core.events.protocol import SystemFault
from arvo.core.payloads.frozen_json import EMPTY, FrozenDict
from arvo.core.violations.arguments import check_argument, check_list
from arvo.core.violations.issue import Issue, short_repr
from arvo.core.violations.violation import ExecutionViolation, Violated, Violation

# Timer names are keys: longer text belongs in the payload.
TIMER_NAME_CHARACTERS_MAX: Final = 200
# No domain: the handler's default applies.
DEFAULT_DOMAINS: Final[tuple[DomainRule, ...]] = ()


def _to_rules(value: DomainRule | Iterable[DomainRule]) -> tuple[DomainRule, ...]:
    if value is None or isinstance(value, str):
        return (value,)
    check_list("domain", value, "domains, or one of them", of="a command")
    return tuple(value)


def _freeze_mapping(value: Mapping[str, Any]) -> FrozenDict:
    if isinstance(value, FrozenDict):
        return value
    check_argument("extensions", value, Mapping, "a mapping", of="a command")
    return FrozenDict(value)


@final
@quick_init
@frozen(weakref_slot=False)
class Emit:
    """Send an event that is part of a contract.

    *payload*: an instance of a payload class, or a mapping together with *type*. The event type
    follows from the class; *type* names it where two event types share a class. *to*: by default
    the sender of the request (for a handler's reply) or the address of the service (for a
    workflow's request). *domain*: a name, a rule of `Domain`, None for an event that stays inside,
    or several of these: one event for each distinct domain (in a workflow for each distinct rule).
    A workflow answers a signal whose contract emits the payload: by default that of its turn, else
    the one with the id *parentid*, whose answer goes to *to*.
    *id*: a string becomes the event's id, made distinct if the command makes several events;
    `Managed(text)` carries the text inside the id; otherwise the id is derived from the consumed
    event. *workflow_id*: of the child that the event begins, by default derived too;
    *id_reuse_policy*, by default "reject": whether it may begin the next run of that id where the
    last one has ended. If it may not, the workflow gets a system error `WorkflowAlreadyStarted`.
    """

    payload: Any
    type: str | None = field(default=None, kw_only=True)
    to: str | None = field(default=None, kw_only=True)
    domain: tuple[DomainRule, ...] = field(
        default=DEFAULT_DOMAINS, converter=_to_rules, kw_only=True
    )
    redirectto: str | None = field(default=None, kw_only=True)
    accesscontrol: str | None = field(default=None, kw_only=True)
    executionunits: float | None = field(default=None, kw_only=True)
    parentid: str | None = field(default=None, kw_only=True)
    id: GivenId = field(default=None, kw_only=True)
    extensions: FrozenDict = field(default=EMPTY, converter=_freeze_mapping, kw_only=True)
    workflow_id: str | None = field(default=None, kw_only=True)
    id_reuse_policy: IdReusePolicy | None = field(default=None, kw_only=True)


@final
@quick_init
@frozen(weakref_slot=False)
class Complete:
    """Emit the completion event and end the workflow.

    *payload*: an instance or mapping of the contract's `complete`. The other fields are those of
    `Emit`.
    """

    payload: Any
    to: str | None = field(default=None, kw_only=True)
    domain: tuple[DomainRule, ...] = field(
        default=DEFAULT_DOMAINS, converter=_to_rules, kw_only=True
    )
    redirectto: str | None = field(default=None, kw_only=True)
    accesscontrol: str | None = field(default=None, kw_only=True)
    executionunits: float | None = field(default=None, kw_only=True)
    id: GivenId = field(default=None, kw_only=True)
    extensions: FrozenDict = field(default=EMPTY, converter=_freeze_mapping, kw_only=True)


@final
@frozen
class Persist:
    """Store *state* for the next turn; it replaces the previous state."""

    state: Any


@final
@frozen
class Fail:
    """Report to the requester that this cannot be done (tier 2), by a system error event.

    A workflow ends as failed, and its last good state stays readable. *name* is the error's name on
    the wire. *stack* is sent only where it is given. *executionunits*: the cost of the system
    error, by default that of the handler. *unhandled*: an exception escaped the handler, so the
    policy of the handler decides what a worker does (see `HandlerPolicy`).
    """

    reason: str
    name: str = field(default="Fail", kw_only=True)
    stack: str | None = field(default=None, kw_only=True)
    executionunits: float | None = field(default=None, kw_only=True)
    unhandled: bool = field(default=False, kw_only=True, repr=False, eq=False)

    @classmethod
    def of(cls, error: BaseException, *, stack: bool = False, unhandled: bool = False) -> "Fail":
        """Describe an exception; include its traceback if *stack* is true."""
        fault = SystemFault.of(error, stack=stack)
        return cls(fault.message, name=fault.name, stack=fault.stack, unhandled=unhandled)


@final
@frozen
class Violate:
    """Report a broken promise (tier 3): nothing changes, the violation goes to the operator."""

    violation: Violation


def _to_timedelta(value: "timedelta | float | None") -> timedelta | None:
    try:
        return timedelta(seconds=value) if isinstance(value, int | float) else value
    except (ValueError, OverflowError):
        # Not a number, or more than a timedelta holds: the check of the whole command refuses it.
        return cast("timedelta", value)


def _check_schedule(schedule: "Schedule", _: "Attribute[Any]", __: object) -> None:
    issues: list[Issue] = []
    # Typed as objects, because handlers are not always checked by mypy.
    name: object = schedule.name
    at: object = schedule.at
    after: object = schedule.after
    if not isinstance(name, str) or not 0 < len(name) <= TIMER_NAME_CHARACTERS_MAX:
        expected = f"a string of 1 to {TIMER_NAME_CHARACTERS_MAX} characters"
        issues.append(Issue("schedule.name", expected, short_repr(name)))
    if (at is None) == (after is None):
        issues.append(Issue("schedule", "either at= or after=", f"at={at}, after={after}"))
    if at is not None and not (isinstance(at, datetime) and at.utcoffset() is not None):
        issues.append(Issue("schedule.at", "a datetime with an offset", short_repr(at)))
    if after is not None and not (isinstance(after, timedelta) and after >= timedelta()):
        issues.append(
            Issue("schedule.after", "seconds or a timedelta, not below 0", short_repr(after))
        )
    if issues:
        raise Violated(ExecutionViolation("invalid timer", tuple(issues)))


@final
@frozen
class Schedule:
    """Set a durable timer: when it is due, this workflow gets an event with `TimerFired` data.

    *name* identifies the timer for `Cancel`, and comes back in the `TimerFired`; it replaces a
    pending timer of the same name. *at*: a datetime with an offset; a past one is due at once.
    *after*: a timedelta, or seconds, from the time of the turn. *payload*: an instance of a
    payload class or a mapping; it comes back as a mapping.
    """

    name: str
    at: datetime | None = field(default=None, kw_only=True)
    after: timedelta | None = field(default=None, converter=_to_timedelta, kw_only=True)
    # The last field, so that its validator sees the others.
    payload: Any = field(default=None, validator=_check_schedule, kw_only=True)

    def due(self, now: datetime) -> datetime:
        """Return when it is due, in UTC, for a turn at *now*."""
        at = self.at if self.after is None else now + self.after
        assert at is not None
        return at.astimezone(UTC)


def _check_cancel(_: "Cancel", __: "Attribute[Any]", name: object) -> None:
    if not isinstance(name, str):
        issue = Issue("cancel.name", "the name of a timer, a string", short_repr(name))
        raise Violated(ExecutionViolation("invalid timer", issue))


@final
@frozen
class Cancel:
    """Cancel the pending timer *name*, if there is one."""

    name: str = field(validator=_check_cancel)


def _check_cancel_child(command: "CancelChild", _: "Attribute[Any]", __: object) -> None:
    # Typed as objects, because handlers are not always checked by mypy.
    fields: dict[str, object] = {"workflow_id": command.workflow_id, "reason": command.reason}
    issues = [
        Issue(f"cancel_child.{name}", "a text of one character or more", short_repr(value))
        for name, value in fields.items()
        if not isinstance(value, str) or not value
    ]
    if issues:
        raise Violated(ExecutionViolation("invalid cancellation of a child", tuple(issues)))


@final
@frozen
class CancelChild:
    """Cancel the child that this workflow began with a *workflow_id*, and wait for it no longer.

    Its own children are cancelled with it. A child that has replied, or that this workflow has not
    begun, is left as it is. A reply that is under way is late. *reason*: for the child and its
    history.
    """

    workflow_id: str
    # The last field, so that its validator sees both.
    reason: str = field(default="its parent no longer waits for it", validator=_check_cancel_child)


def _to_emit(value: Any) -> Emit:
    return value if isinstance(value, Emit) else Emit(value)


@final
@frozen
class Compensate:
    """Register a compensation: a request to send if the workflow fails or is cancelled.

    Compensations are sent in reverse order, each once. *emit* is a payload that a service accepts,
    or an `Emit` of one.
    """

    emit: Emit = field(converter=_to_emit)


Level: TypeAlias = Literal["debug", "info", "warning", "error", "critical"]


@final
@frozen
class Log:
    """Write a log entry to telemetry, with attributes by name."""

    level: Level
    message: str
    attributes: FrozenDict = field(default=EMPTY, converter=_freeze_mapping)


# The closed union of all commands. A `match` on it has no `case _`, so that mypy names each place
# to change when a command is added. `isinstance(value, Command)` tests for any of them.
Command: TypeAlias = (
    Emit | Persist | Complete | Fail | Violate | Schedule | Cancel | CancelChild | Compensate | Log
)
