"""Replay: run the turns of a workflow again from its history, without side effects."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any, Final, TypeAlias, final

from attrs import define, evolve, frozen

from arvo.core.commit import Commit
from arvo.core.events.event import Event
from arvo.core.events.protocol import cancel_type
from arvo.core.history import HistoryEntry
from arvo.core.payloads.frozen_json import FrozenDict
from arvo.core.record import Record
from arvo.core.trace_context import trace_of, with_trace
from arvo.core.violations.issue import Issue
from arvo.core.violations.violation import Violation
from arvo.engine.history.diff import differences, event_differences
from arvo.engine.history.replay_turn import NotReplayable, calls_between, replay_turn
from arvo.engine.step.advance import cancel_first_turn
from arvo.engine.system.handler import WorkflowHandler, is_workflow
from arvo.engine.system.outcomes import without_outcomes
from arvo.engine.system.system import System
from arvo.handlers.effect import EffectTable
from arvo.printable import printable


@final
@frozen(kw_only=True)
class ReplayedTurn:
    """One turn of a workflow, as the history has it and as the code runs it now.

    *revision*: the revision of the record after the turn. *event*: the event that the turn consumed
    *at* that time. *produced*: the events that it sent. *commit*: the result of the replay, None if
    the turn is refused now or cannot be replayed. *differences*: issues with the recorded value as
    expected and the replayed value as got. *not_replayable*: the reason why the turn cannot be
    replayed, else None.
    """

    revision: int
    at: datetime
    event: Event[Any]
    produced: tuple[Event[Any], ...]
    commit: Commit | None = None
    differences: tuple[Issue, ...] = ()
    not_replayable: str | None = None

    @property
    def agrees(self) -> bool:
        """Whether the turn was replayed and sent the same events."""
        return self.not_replayable is None and not self.differences

    def __str__(self) -> str:
        return "\n".join((self.summary, *map(_show_difference, self.differences)))

    @property
    def summary(self) -> str:
        """The result of the replay, in one line."""
        head = f"turn {self.revision}, on {self.event.type}"
        if self.not_replayable is not None:
            return f"{head}: cannot be replayed because {printable(self.not_replayable)}"
        sent = ", ".join(event.type for event in self.produced) or "nothing"
        return f"{head}: agrees, sends {sent}" if self.agrees else f"{head}: differs"


@final
@frozen(kw_only=True)
class Replay:
    """The replayed turns of a workflow.

    Its text has a line for each turn, and both sides of the first divergence. *record*: the record
    after the last turn, None where there is none or it cannot be derived. *record_differences*:
    where it differs from the record that was passed to `replay`.
    """

    turns: tuple[ReplayedTurn, ...]
    record: Record | None = None
    record_differences: tuple[Issue, ...] = ()

    @property
    def agrees(self) -> bool:
        """Whether every turn was replayed and agrees, and the record as well."""
        return not self.record_differences and all(turn.agrees for turn in self.turns)

    @property
    def divergence(self) -> ReplayedTurn | None:
        """The first turn with a different result."""
        return next((turn for turn in self.turns if turn.differences), None)

    def __str__(self) -> str:
        first = self.divergence
        lines = [str(turn) if turn is first else turn.summary for turn in self.turns]
        if self.record_differences:
            lines += (
                "the final record differs",
                *map(_show_difference, self.record_differences),
            )
        return "\n".join(lines)


def _show_difference(issue: Issue) -> str:
    path, then, now = map(printable, (issue.path, issue.expected, issue.got))
    return f"  {path}\n    then: {then}\n    now:  {now}"


def replay(
    system: System,
    history: Sequence[HistoryEntry],
    *,
    until: int | datetime | None = None,
    record: Record | None = None,
    effects: EffectTable | None = None,
) -> Replay:
    """Run the turns of a workflow again, each on the record of the one before, and compare events.

    *system* may contain changed code: the differences then show what it would have done. *until*:
    the last revision, or the last time, to replay. *record*: the stored record; it holds the
    results of a flow's calls, and the final record of the replay is compared with it. *effects*
    maps a function that a handler calls to the function to call instead, for results that the
    record does not hold. The replay is pure if those functions are.

    Results are never guessed. A turn whose effect has no known result cannot be replayed, and no
    turn after it until the next record in the history (`migrate` and `revive` write one).
    """
    run = _Run(system, record, effects or {})
    groups = list(_group_by_turn(history))
    if record is not None:
        run.begins_at = _begins_at(groups, record)
    turns: list[ReplayedTurn] = []
    for group, revived in zip(groups, _next_records(groups), strict=True):
        first = group[0]
        if not _is_within(first, until):
            break
        if first.record is not None:
            run.is_known, run.record = True, first.record
        elif first.kind == "consumed" and first.event is not None:
            turns.append(run.replay(first, first.event, group[1:], revived))
        # Otherwise retention has removed the oldest entries of this turn.
    replayed = run.record if run.is_known else None
    record_differences: tuple[Issue, ...] = ()
    if until is None and record is not None and replayed is not None:
        record_differences = differences("record", record.to_dict(), replayed.to_dict())
    return Replay(turns=tuple(turns), record=replayed, record_differences=record_differences)


Group: TypeAlias = Sequence[HistoryEntry]


@define
class _Run:
    """A replay in progress. *record*: the record so far, valid only if *is_known*.

    *stored*: the record of the last run with this workflow id, whose first turn *begins_at* that
    revision; those before it belong to earlier runs, which have no record any more.
    """

    system: System
    stored: Record | None
    effects: EffectTable
    record: Record | None = None
    is_known: bool = True
    begins_at: int = 0

    def replay(
        self, entry: HistoryEntry, event: Event[Any], sent: Group, revived: Record | None
    ) -> ReplayedTurn:
        """Replay one turn. *revived*: the next record in the history."""
        produced = tuple(line.event for line in sent if line.event is not None)
        turn = ReplayedTurn(revision=entry.revision, at=entry.at, event=event, produced=produced)
        if not self.is_known or entry.revision != self._revision() + 1:
            self.is_known = False
            return evolve(turn, not_replayable=_UNKNOWN)
        if self.record is None or not self.record.init:
            handler = self.system.handler_at(event.to)
            if is_workflow(handler) and event.type == cancel_type(handler.source):
                return self._compare(turn, self._cancel_first_turn(handler, event, entry.at))
        # A failed turn adds nothing to the journal: the next entries belong to the turn after it.
        has_failed = self._has_failed_on(event, revived)
        calls = () if has_failed else self._calls(entry.revision)
        result = replay_turn(
            self.system, event, self.record, now=entry.at, calls=calls, effects=self.effects
        )
        return self._compare(turn, result)

    def _calls(self, revision: int) -> tuple[FrozenDict, ...]:
        """Return the recorded calls of a turn."""
        if revision < self.begins_at:
            return ()
        before = None if revision == self.begins_at else self.record
        return calls_between(before, self.stored)

    def _cancel_first_turn(
        self, handler: WorkflowHandler, event: Event[Any], now: datetime
    ) -> Commit | Violation | NotReplayable:
        """Cancel the workflow again before its first turn."""
        if self.stored is None:
            # The history does not hold the event that would have started it.
            return NotReplayable("it cancelled the workflow before it started (pass record=)")
        init, parent = self.stored.init, self.stored.parent
        return cancel_first_turn(handler, event, self.record, now, init=init, parent=parent)

    def _compare(
        self, turn: ReplayedTurn, result: Commit | Violation | NotReplayable
    ) -> ReplayedTurn:
        if isinstance(result, NotReplayable):
            self.is_known = False
            call = () if result.difference is None else (result.difference,)
            return evolve(turn, not_replayable=result.reason, differences=call)
        # The trace of a turn is an input that the history holds in the events that it produced.
        trace = trace_of(turn.produced)
        if isinstance(result, Commit) and trace is not None:
            result = with_trace(result, trace)
        if isinstance(result, Commit) and result.record is not None:
            self.record = result.record
            then, now = without_outcomes(turn.produced), without_outcomes(result.events)
            issues = event_differences(then, now)
            return evolve(turn, commit=result, differences=issues)
        # Nothing changes now, so the next turn runs on the record from before.
        self.is_known = self.record is not None
        if self.record is not None:
            self.record = evolve(self.record, revision=turn.revision)
        if isinstance(result, Commit):
            issue = Issue("turn", "a change", f"no change: {result.note}")
            return evolve(turn, commit=result, differences=(issue,))
        return evolve(turn, differences=(Issue("turn", "a change", f"a violation: {result}"),))

    def _revision(self) -> int:
        return 0 if self.record is None else self.record.revision

    def _has_failed_on(self, event: Event[Any], revived: Record | None) -> bool:
        """Return True if the workflow failed on *event* and was revived, as that record shows."""
        before = 0 if self.record is None else self.record.revivals
        return revived is not None and revived.consumed == event.id and revived.revivals > before


def _begins_at(groups: Sequence[Group], record: Record) -> int:
    """Return the revision of the last turn on the event that began the run of *record*, else 0."""
    return next(
        (
            first.revision
            for first, *_ in reversed(groups)
            if first.kind == "consumed" and first.event and first.event.id == record.init
        ),
        0,
    )


def _next_records(groups: Sequence[Group]) -> list[Record | None]:
    """Return for each turn the record that the history holds behind it, None where it has none."""
    following: list[Record | None] = []
    record: Record | None = None
    for first, *_ in reversed(groups):
        following.append(record)
        record = first.record or record
    return following[::-1]


_UNKNOWN: Final = "the history does not hold the record before it"


def _group_by_turn(history: Group) -> Iterator[Group]:
    """Yield the entries of each turn together, the consumed event first."""
    for _, entries in groupby(history, key=lambda entry: entry.revision):
        yield tuple(entries)


def _is_within(entry: HistoryEntry, until: int | datetime | None) -> bool:
    if until is None:
        return True
    return entry.revision <= until if isinstance(until, int) else entry.at <= until
