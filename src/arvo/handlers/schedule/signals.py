"""Signals: the acts of operators on a running schedule."""

from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar, final

from attrs import field, frozen

from arvo.core.contracts.contract import Contract
from arvo.core.contracts.version_spec import Version
from arvo.core.contracts.versioned import VersionedContract
from arvo.core.violations.issue import Issue, short_repr
from arvo.core.violations.violation import ConfigViolation, Violated
from arvo.handlers.schedule.plan import SchedulePlan

if TYPE_CHECKING:
    from attrs import Attribute

A = TypeVar("A")


@final
@frozen
class PauseSchedule:
    """Begin nothing until the schedule is resumed, but by a trigger. *reason*: for operators."""

    reason: str = ""


@final
@frozen
class ResumeSchedule:
    """Go on with the next occurrence; those of the pause are left out."""


@final
@frozen
class TriggerSchedule:
    """Begin the workflow now, once for each signal, also while the schedule is paused.

    The overlap policy of the schedule holds.
    """


def _check_range(backfill: Any, _: "Attribute[Any]", end: object) -> None:
    # Of any type: callers that no type checker reads pass anything.
    issues = [
        Issue(name, "a datetime with an offset", short_repr(at))
        for name, at in (("start", backfill.start), ("end", end))
        if not isinstance(at, datetime) or at.utcoffset() is None
    ]
    if not issues and backfill.start >= end:
        issues = [Issue("end", f"later than the start, {backfill.start}", str(end))]
    if issues:
        raise Violated(ConfigViolation("invalid range of a backfill", tuple(issues)))


@final
@frozen
class BackfillSchedule:
    """Begin the past occurrences after *start* and up to *end*, one after the other.

    Those that have begun before do not begin again. Raises `Violated` for an empty range.
    """

    start: datetime
    end: datetime = field(validator=_check_range)


@final
@frozen
class UpdateSchedule:
    """Replace the plan of the schedule; the new one holds for the occurrences after the signal.

    *declared*: it is the one of the code, which each start of a runtime compares with its own.
    """

    plan: SchedulePlan
    declared: bool = False


@final
@frozen
class DeleteSchedule:
    """End the schedule; the workflows that it has begun go on. (`cancel` cancels them as well.)"""


ScheduleSignal: TypeAlias = (
    PauseSchedule
    | ResumeSchedule
    | TriggerSchedule
    | BackfillSchedule
    | UpdateSchedule
    | DeleteSchedule
)


def _contract(verb: str, accepts: type[A]) -> VersionedContract[A]:
    contract = Contract(
        uri=f"#/contracts/arvo/schedule/{verb}",
        type=f"arvo.schedule.{verb}",
        versions={"1.0.0": Version(accepts=accepts, emits={})},
    )
    return contract["1.0.0"]


UPDATE: Final = _contract("update", UpdateSchedule)
SIGNALS: Final[tuple[VersionedContract[Any], ...]] = (
    _contract("pause", PauseSchedule),
    _contract("resume", ResumeSchedule),
    _contract("trigger", TriggerSchedule),
    _contract("backfill", BackfillSchedule),
    UPDATE,
    _contract("delete", DeleteSchedule),
)
