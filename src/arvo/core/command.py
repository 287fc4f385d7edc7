"""Command: what a handler wants, as a value; interpreters carry it out."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal, TypeAlias, final

from attrs import Attribute, field, frozen

from arvo.core.events.domain import DomainRule
from arvo.core.events.fault import SystemFault
from arvo.core.events.identity import GivenId
from arvo.core.payloads.frozen_json import EMPTY, FrozenDict
from arvo.core.violations.issue import Issue, short
from arvo.core.violations.violation import ExecutionViolation, Violated, Violation

# A name is a key, not a text: long ones are payloads in disguise.
TIMER_NAME_CHARACTERS_MAX: Final = 200
# The handler's own default: no domain is named.
DEFAULT_DOMAINS: Final[tuple[DomainRule, ...]] = ()


def _as_rules(given: DomainRule | Iterable[DomainRule]) -> tuple[DomainRule, ...]:
    return (given,) if given is None or isinstance(given, str) else tuple(given)


def _as_extensions(given: Mapping[str, Any]) -> FrozenDict:
    return given if isinstance(given, FrozenDict) else FrozenDict(given)


@final
@frozen
class Emit:
    """Send an event that a contract names (reference F093).

    *payload*: an instance of a payload class, or a mapping with *type*. The type follows from the
    class; *type* says it where two types share one. *to* defaults to whoever asked (a handler's
    answer) or to the service's address (a workflow's request). *domain*: a name, a rule of
    `Domain`, None for "stays inside", or several: one event for each distinct one (a workflow's:
    for each distinct rule). *id*: a text is kept as the event's id, and told apart where there are
    several events; `Managed(text)` carries it inside; else it follows from the consumed event.
    """

    payload: Any
    type: str | None = field(default=None, kw_only=True)
    to: str | None = field(default=None, kw_only=True)
    domain: tuple[DomainRule, ...] = field(
        default=DEFAULT_DOMAINS, converter=_as_rules, kw_only=True
    )
    redirectto: str | None = field(default=None, kw_only=True)
    accesscontrol: str | None = field(default=None, kw_only=True)
    executionunits: float | None = field(default=None, kw_only=True)
    id: GivenId = field(default=None, kw_only=True)
    extensions: FrozenDict = field(default=EMPTY, converter=_as_extensions, kw_only=True)


@final
@frozen
class Complete:
    """Emit the completion and end the workflow (reference F162, F127).

    *payload*: what the contract's `complete` says. The rest as in `Emit`.
    """

    payload: Any
    to: str | None = field(default=None, kw_only=True)
    domain: tuple[DomainRule, ...] = field(
        default=DEFAULT_DOMAINS, converter=_as_rules, kw_only=True
    )
    redirectto: str | None = field(default=None, kw_only=True)
    accesscontrol: str | None = field(default=None, kw_only=True)
    executionunits: float | None = field(default=None, kw_only=True)
    id: GivenId = field(default=None, kw_only=True)
    extensions: FrozenDict = field(default=EMPTY, converter=_as_extensions, kw_only=True)


@final
@frozen
class Persist:
    """Remember *state* for the next turn: it replaces what was there (reference F161)."""

    state: Any


@final
@frozen
class Fail:
    """Tell whoever asked that this cannot be done (tier 2): a system error event.

    A workflow ends as failed, and its last good state stays readable. *name* is the error's name on
    the wire; *stack* is sent along where it is given (B37: by default it is not).
    """

    reason: str
    name: str = field(default="Fail", kw_only=True)
    stack: str | None = field(default=None, kw_only=True)

    @classmethod
    def of(cls, error: BaseException, *, stack: bool = False) -> "Fail":
        """Say what an exception says."""
        fault = SystemFault.of(error, stack=stack)
        return cls(fault.message, name=fault.name, stack=fault.stack)


@final
@frozen
class Violate:
    """A promise is broken (tier 3): nothing changes, the violation goes to the operator."""

    violation: Violation


def _as_span(given: "timedelta | float | None") -> timedelta | None:
    return timedelta(seconds=given) if isinstance(given, int | float) else given


def _check_schedule(schedule: "Schedule", _: "Attribute[Any]", __: object) -> None:
    issues: list[Issue] = []
    # Objects: a handler need not have met mypy.
    name: object = schedule.name
    at: object = schedule.at
    after: object = schedule.after
    if not isinstance(name, str) or not 0 < len(name) <= TIMER_NAME_CHARACTERS_MAX:
        expected = f"a text of 1 to {TIMER_NAME_CHARACTERS_MAX} characters"
        issues.append(Issue("schedule.name", expected, short(name)))
    if (at is None) == (after is None):
        issues.append(Issue("schedule", "either at= or after=", f"at={at}, after={after}"))
    if at is not None and not (isinstance(at, datetime) and at.utcoffset() is not None):
        issues.append(Issue("schedule.at", "a datetime with an offset", short(at)))
    if after is not None and not (isinstance(after, timedelta) and after >= timedelta()):
        issues.append(Issue("schedule.after", "seconds or a timedelta, not below 0", short(after)))
    if issues:
        raise Violated(ExecutionViolation("this timer cannot be", tuple(issues)))


@final
@frozen
class Schedule:
    """Set a durable timer: at its time an event comes to this workflow, whose data is a
    `TimerFired`.

    *name* is what `Cancel` names, and what the `TimerFired` says; a timer of that name that is
    still pending is replaced. *at*: a datetime with an offset; one that is past is due at once.
    *after*: a timedelta, or seconds, from the turn's time. *payload*: an attrs object or a mapping,
    handed back as a mapping.
    """

    name: str
    at: datetime | None = field(default=None, kw_only=True)
    after: timedelta | None = field(default=None, converter=_as_span, kw_only=True)
    # Last, so that its validator sees the others.
    payload: Any = field(default=None, validator=_check_schedule, kw_only=True)

    def due(self, now: datetime) -> datetime:
        """Say when it is due, in UTC, for a turn taken at *now*."""
        at = self.at if self.after is None else now + self.after
        assert at is not None
        return at.astimezone(UTC)


@final
@frozen
class Cancel:
    """Clear the timer of that *name*; one that is not pending is no error."""

    name: str


def _as_emit(given: Any) -> Emit:
    return given if isinstance(given, Emit) else Emit(given)


@final
@frozen
class Compensate:
    """Remember how to undo what was done: should the workflow fail or be cancelled, send this.

    Undos are sent last first, each once. *emit* is a payload that a service takes, or an `Emit`
    of one.
    """

    emit: Emit = field(converter=_as_emit)


Level: TypeAlias = Literal["debug", "info", "warning", "error", "critical"]


@final
@frozen
class Log:
    """Say something to telemetry, with attributes by name."""

    level: Level
    message: str
    attributes: FrozenDict = field(default=EMPTY, converter=_as_extensions)


Command: TypeAlias = (
    Emit | Persist | Complete | Fail | Violate | Schedule | Cancel | Compensate | Log
)
