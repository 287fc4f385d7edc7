"""Plan: the workflow of a schedule, when and how it begins, and the state between turns."""

from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, TypeAlias, final, get_args

import orjson
from annotated_types import Ge
from attrs import field, frozen

from arvo.core.payloads.payload import Payload
from arvo.core.violations.issue import Issue, Issues, short_repr
from arvo.core.violations.violation import ConfigViolation, Violated
from arvo.handlers.schedule.spec import Calendar, Cron, Every

if TYPE_CHECKING:
    from attrs import Attribute

# What happens to an occurrence that is due while a workflow of the schedule runs.
Overlap: TypeAlias = Literal["skip", "buffer", "cancel_previous", "allow"]
OVERLAPS: Final[tuple[Overlap, ...]] = get_args(Overlap)
# A worker that was away for a night still begins what was due then.
CATCH_UP: Final = timedelta(days=1)
# Far above any use, and small enough that no time leaves the years 1 to 9999.
SPAN_MAX: Final = timedelta(days=3_660)


def _check_plan(plan: Any, _: "Attribute[Any]", until: object) -> None:
    # Of any type: callers that no type checker reads pass anything.
    issues = [
        Issue(name, f"a timedelta from 0 to {SPAN_MAX.days} days", short_repr(span))
        for name, span in (("jitter", plan.jitter), ("catch_up", plan.catch_up))
        if not isinstance(span, timedelta) or not timedelta() <= span <= SPAN_MAX
    ]
    if not isinstance(plan.spec, Cron | Every | Calendar):
        issues.append(Issue("spec", "a Cron, an Every or a Calendar", short_repr(plan.spec)))
    if plan.overlap not in OVERLAPS:
        issues.append(Issue("overlap", f"one of {', '.join(OVERLAPS)}", short_repr(plan.overlap)))
    if until is not None and (not isinstance(until, datetime) or until.utcoffset() is None):
        issues.append(Issue("until", "a datetime with an offset", short_repr(until)))
    if issues:
        raise Violated(ConfigViolation("invalid schedule", tuple(issues)))


@final
@frozen(kw_only=True)
class SchedulePlan:
    """When a schedule begins its workflow, and how: the payload that begins the schedule itself.

    *payload*: what each workflow begins with, as JSON; None: what `every` was given. *overlap*:
    what happens to an occurrence that is due while a workflow of the schedule runs. "skip": it is
    left out. "buffer": it waits until the others have ended. "cancel_previous": the others are
    cancelled. "allow": it begins beside them. *jitter*: each occurrence begins later by a span of
    its own, up to this. *catch_up*: how late an occurrence may begin, after an outage of all
    workers; one that is later is missed. *until*: the time of the last possible occurrence. Raises
    `Violated`, which names each field.
    """

    spec: Cron | Every | Calendar
    payload: Any = None
    overlap: Overlap = "skip"
    jitter: timedelta = timedelta()
    catch_up: timedelta = CATCH_UP
    # The last field, so that its validator sees the others.
    until: datetime | None = field(default=None, validator=_check_plan)


PLAN: Final = Payload.of(SchedulePlan)


def plan_digest(plan: SchedulePlan) -> str:
    """Return a digest by which two plans are compared: the same in all processes."""
    written = PLAN.write(plan)
    assert not isinstance(written, Issues)
    text = orjson.dumps(written, option=orjson.OPT_SORT_KEYS)
    return blake2b(text, digest_size=16).hexdigest()


@final
@frozen
class Occurrence:
    """One begin of a schedule: the workflow id of the child, and the time for which it is."""

    workflow_id: str
    at: datetime


@final
@frozen(kw_only=True)
class Backfill:
    """A range of past occurrences to begin, one after the other.

    *after*: the last one that began, or the start of the range. *end*: the last moment of the
    range. *begun*: how many began. *running*: the workflow id of the one that runs.
    """

    after: datetime
    end: datetime
    begun: Annotated[int, Ge(0)] = 0
    running: str | None = None


@final
@frozen(kw_only=True)
class ScheduleCounts:
    """What became of the occurrences of a schedule so far.

    *begun*: workflows that it asked for. *completed*, *failed*: how those have ended. *repeated*:
    those that did not begin again, as their workflow id has a run, such as in a backfill.
    *skipped*: left out because another one ran. *missed*: due when no worker ran, more than
    `catch_up` ago; at most 1,000 are counted for one outage.
    """

    begun: int = 0
    completed: int = 0
    failed: int = 0
    repeated: int = 0
    skipped: int = 0
    missed: int = 0


@final
@frozen
class ScheduleEnded:
    """The completion of a schedule: it was deleted, or has no occurrence left.

    >>> ScheduleEnded(ScheduleCounts(begun=3, completed=3)).counts.completed
    3
    """

    counts: ScheduleCounts


@final
@frozen(kw_only=True)
class ScheduleState:
    """The state of a schedule between its turns.

    *declared*: the digest of the plan by which the code last declared it; *plan* is another one
    after an update. *after*: up to this time all occurrences are decided. *next_time*: the
    occurrence that comes next, None while it is paused or has none left. *paused*: the reason, or
    None. *buffered*: the occurrences that wait for others to end.
    """

    plan: SchedulePlan
    declared: str
    after: datetime
    next_time: datetime | None = None
    paused: str | None = None
    buffered: tuple[Occurrence, ...] = ()
    backfills: tuple[Backfill, ...] = ()
    counts: ScheduleCounts = ScheduleCounts()


def jitter_of(schedule: str, time: datetime, longest: timedelta) -> timedelta:
    """Return by how much an occurrence begins later: a part of *longest*, the same each time."""
    cause = f"{schedule}\0{utc_text(time)}".encode()
    part = int.from_bytes(blake2b(cause, digest_size=6).digest()) / 2**48
    # In milliseconds, as every store holds times.
    return timedelta(milliseconds=int(longest / timedelta(milliseconds=1) * part))


def utc_text(time: datetime) -> str:
    """Return a time in UTC as text, as the workflow id of an occurrence has it."""
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
