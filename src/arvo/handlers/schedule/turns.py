"""Turns: the function of a schedule's workflow, from an event and its state to commands."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from itertools import islice, takewhile
from typing import Any, Final, final

from attrs import define, evolve, field

from arvo.core.begin import ALREADY_STARTED
from arvo.core.command import (
    Cancel,
    CancelChild,
    Command,
    Complete,
    Emit,
    Log,
    Persist,
    Schedule,
    Violate,
)
from arvo.core.events.identity import digest_id
from arvo.core.events.protocol import Cancellation, SystemFault, TimerFired
from arvo.core.events.subject import Subject, workflow_id_of
from arvo.core.payloads.frozen_json import FrozenDict
from arvo.core.violations.issue import Issue
from arvo.core.violations.violation import ContractViolation, ExecutionViolation
from arvo.handlers.invoke import Commands
from arvo.handlers.resumable import Turn
from arvo.handlers.schedule.next_times import next_times
from arvo.handlers.schedule.plan import (
    Backfill,
    Occurrence,
    ScheduleEnded,
    SchedulePlan,
    ScheduleState,
    jitter_of,
    plan_digest,
    utc_text,
)
from arvo.handlers.schedule.signals import (
    BackfillSchedule,
    DeleteSchedule,
    PauseSchedule,
    ResumeSchedule,
    TriggerSchedule,
    UpdateSchedule,
)
from arvo.handlers.schedule.target import Target

# The name of the one timer of a schedule.
TIMER: Final = "next"
# The extension attribute of the event that begins a workflow: the time for which it is.
SCHEDULED_TIME: Final = "scheduledtime"
# Occurrences that wait for others to end; beyond that they are skipped.
BUFFERED_MAX: Final = 100
# Ranges that wait for others to end.
BACKFILLS_MAX: Final = 10
# Occurrences of an outage that are counted: each takes a computation.
MISSED_MAX: Final = 1_000
_JUST_BEFORE: Final = timedelta(microseconds=1)


def take_turn(target: Target, turn: Turn[Any]) -> Commands:
    """Decide one turn of a schedule."""
    if isinstance(turn.event.data, SchedulePlan):
        plan = turn.event.data
        # Not the time of the turn: an event that comes late has begun the schedule in time.
        begun = min(datetime.fromisoformat(turn.event.time), turn.now).astimezone(UTC)
        state = ScheduleState(plan=plan, declared=plan_digest(plan), after=begun)
        return _Draft(target, turn, state).begin()
    draft = _Draft(target, turn, turn.state)
    match turn.event.data:
        case Cancellation():
            # The engine cancels what it has begun.
            return None
        case TimerFired(payload=payload):
            draft.decide_due(_time(payload))
        case PauseSchedule(reason=reason):
            draft.state = evolve(draft.state, paused=reason)
        case ResumeSchedule():
            draft.resume()
        case TriggerSchedule():
            draft.decide(draft.triggered())
        case BackfillSchedule() as backfill:
            return draft.backfill(backfill)
        case UpdateSchedule(plan=plan, declared=declared):
            digest = plan_digest(plan)
            if declared and digest == draft.state.declared:
                return None
            if declared:
                draft.state = evolve(draft.state, declared=digest)
            return draft.replace(plan)
        case DeleteSchedule():
            return Persist(draft.state), Complete(ScheduleEnded(draft.state.counts))
        case _:
            draft.count_reply()
    return draft.finish()


def _time(payload: Mapping[str, Any] | None) -> datetime:
    assert payload is not None
    return datetime.fromisoformat(payload["time"])


@final
@define
class _Draft:
    """The decisions of one turn: the *state* after it, what runs then, and the commands."""

    target: Target
    turn: Turn[Any]
    state: ScheduleState
    commands: list[Command] = field(factory=list)
    running: list[str] = field(init=False)

    @running.default
    def _default_running(self) -> list[str]:
        record = self.turn.record
        if record is None:
            return []
        answered = None if self.turn.service is None else self.turn.service.parentid
        ids = (id_ for id_ in record.open_children if id_ != answered)
        return [workflow_id_of(record.children[id_].subject) for id_ in ids]

    @property
    def id(self) -> str:
        """The workflow id of the schedule."""
        return Subject.parse(self.turn.event.subject).execution.id

    def begin(self) -> Commands:
        """Follow the plan of the state."""
        payload = self.state.plan.payload
        issues = None if payload is None else self.target.check(payload)
        if issues is not None:
            message = f"the payload does not fit {self.target.workflow.dataschema}"
            return Violate(ContractViolation(message, issues))
        return self.finish()

    def replace(self, plan: SchedulePlan) -> Commands:
        """Follow another plan from now on."""
        self.state = evolve(self.state, plan=plan, after=self._now())
        return self.begin()

    def resume(self) -> None:
        """Go on with the occurrences after now."""
        if self.state.paused is not None:
            self.state = evolve(self.state, paused=None, after=self._now())

    def decide_due(self, time: datetime) -> None:
        """Decide the occurrence of which the timer has fired, or that it is missed."""
        self.state = evolve(self.state, after=time)
        plan = self.state.plan
        oldest = self.turn.now - plan.catch_up - plan.jitter
        if time >= oldest:
            self.decide(Occurrence(f"{self.id}/{utc_text(time)}", time))
            return
        times = islice(next_times(plan.spec, time), MISSED_MAX - 1)
        number = 1 + sum(1 for _ in takewhile(lambda each: each < oldest, times))
        self._count(missed=number)
        self._log("occurrences were missed", number=number, oldest=utc_text(time))
        self.state = evolve(self.state, after=max(time, oldest - _JUST_BEFORE))

    def triggered(self) -> Occurrence:
        """Return the occurrence of this trigger; the same signal is the same one."""
        event = self.turn.event
        at = datetime.fromisoformat(event.time).astimezone(UTC)
        # A signal may have any id; a workflow id is short and printable.
        suffix = digest_id(f"{event.source}\0{event.id}")[:8]
        return Occurrence(f"{self.id}/{utc_text(at)}-{suffix}", at)

    def decide(self, occurrence: Occurrence) -> None:
        """Begin an occurrence, as far as the overlap policy allows."""
        policy, state = self.state.plan.overlap, self.state
        if not self.running or policy == "allow":
            self._begin(occurrence)
            return
        # What a backfill has begun ends in its own time, as it would not begin again.
        is_backfilling = any(backfill.running in self.running for backfill in state.backfills)
        if policy == "cancel_previous" and not is_backfilling:
            reason = f"{occurrence.workflow_id} takes its place"
            self.commands += (CancelChild(id_, reason) for id_ in self.running)
            self.running.clear()
            self._begin(occurrence)
        elif policy == "cancel_previous":
            self._count(skipped=len(state.buffered))
            self.state = evolve(self.state, buffered=(occurrence,))
        elif len(state.buffered) < (BUFFERED_MAX if policy == "buffer" else int(is_backfilling)):
            self.state = evolve(state, buffered=(*state.buffered, occurrence))
        else:
            self._count(skipped=1)
            self._log("an occurrence was skipped", workflow_id=occurrence.workflow_id)

    def backfill(self, asked: BackfillSchedule) -> Commands:
        """Note a range of past occurrences."""
        if len(self.state.backfills) >= BACKFILLS_MAX:
            issue = Issue("backfills", f"at most {BACKFILLS_MAX} that wait", f"{BACKFILLS_MAX + 1}")
            return Violate(ExecutionViolation(f"{self.id} has too many backfills", issue))
        # What is still to come begins by the clock.
        end = min(asked.end, self.turn.now)
        noted = Backfill(after=min(asked.start, end), end=end)
        self.state = evolve(self.state, backfills=(*self.state.backfills, noted))
        return self.finish()

    def count_reply(self) -> None:
        """Count how a workflow of this schedule has ended."""
        match self.turn.event.data:
            case SystemFault(name=name) if name == ALREADY_STARTED:
                self._count(repeated=1)
            case SystemFault():
                self._count(failed=1)
            case _:
                self._count(completed=1)

    def finish(self) -> Commands:
        """Begin what has waited, set the timer, and return all commands of the turn."""
        if self.state.paused is None:
            self._begin_waiting()
        coming = self._next()
        self._set_timer(coming)
        self.state = evolve(self.state, next_time=coming)
        is_over = coming is None and self.state.paused is None and not self.running
        done = [Complete(ScheduleEnded(self.state.counts))] if is_over else []
        return *self.commands, Persist(self.state), *done

    def _set_timer(self, coming: datetime | None) -> None:
        """Set the timer for the occurrence that comes, unless it is set."""
        jitter, before = self.state.plan.jitter, self.turn.state
        set_for = None
        if before is not None and not isinstance(self.turn.event.data, TimerFired):
            set_for = before.next_time if coming is None or before.plan.jitter == jitter else None
        if coming is None and set_for is not None:
            self.commands.append(Cancel(TIMER))
        elif coming is not None and coming != set_for:
            at = coming + jitter_of(self.id, coming, jitter)
            self.commands.append(Schedule(TIMER, at=at, payload={"time": coming.isoformat()}))

    def _next(self) -> datetime | None:
        plan = self.state.plan
        if self.state.paused is not None:
            return None
        coming = next(next_times(plan.spec, self.state.after), None)
        if coming is None or (plan.until is not None and coming > plan.until):
            return None
        return coming.astimezone(UTC)

    def _begin_waiting(self) -> None:
        allows = self.state.plan.overlap == "allow"
        while self.state.buffered and (allows or not self.running):
            first, *others = self.state.buffered
            self.state = evolve(self.state, buffered=tuple(others))
            self._begin(first)
        while self.state.backfills and (allows or not self.running):
            first_range, *others_ranges = self.state.backfills
            if first_range.running in self.running:
                return
            after = next(next_times(self.state.plan.spec, first_range.after), None)
            if after is None or after > first_range.end:
                self.state = evolve(self.state, backfills=tuple(others_ranges))
                continue
            occurrence = Occurrence(f"{self.id}/{utc_text(after)}", after.astimezone(UTC))
            self._begin(occurrence)
            moved = evolve(
                first_range,
                after=occurrence.at,
                begun=first_range.begun + 1,
                running=occurrence.workflow_id,
            )
            self.state = evolve(self.state, backfills=(moved, *others_ranges))

    def _begin(self, occurrence: Occurrence) -> None:
        workflow, given = self.target.workflow, self.state.plan.payload
        self.commands.append(
            Emit(
                self.target.make(occurrence.at) if given is None else given,
                type=workflow.type,
                workflow_id=occurrence.workflow_id,
                extensions=FrozenDict({SCHEDULED_TIME: occurrence.at.isoformat()}),
            )
        )
        self.running.append(occurrence.workflow_id)
        self._count(begun=1)

    def _now(self) -> datetime:
        # A clock that was put back must not repeat what is decided.
        return max(self.state.after, self.turn.now)

    def _count(self, **more: int) -> None:
        counts = self.state.counts
        added = {name: getattr(counts, name) + number for name, number in more.items()}
        self.state = evolve(self.state, counts=evolve(counts, **added))

    def _log(self, message: str, **attributes: Any) -> None:
        self.commands.append(
            Log("warning", message, FrozenDict({"schedule": self.id, **attributes}))
        )
