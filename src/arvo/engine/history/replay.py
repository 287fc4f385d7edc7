"""Replay: a workflow's turns, taken again from its history, without side effects."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import groupby, zip_longest
from typing import Any, Final, TypeAlias, final

from attrs import define, evolve, frozen

from arvo.core.commit import Commit
from arvo.core.events.event import Event
from arvo.core.history import HistoryEntry
from arvo.core.record import Record
from arvo.core.violations.issue import Issue
from arvo.core.violations.violation import Violation
from arvo.engine.history.diff import differences, event_differences
from arvo.engine.history.replay_turn import Functions, Unknown, calls_between, retake
from arvo.engine.system.system import System


@final
@frozen(kw_only=True)
class ReplayedTurn:
    """One turn of a workflow, then and now.

    *revision*: that of the record which the turn left. *event* was consumed *at* that time, and
    *then* produced. *commit* is what the turn comes to now, None where it is refused or cannot be
    taken. *differences*: what was then is expected, what is now is got. *unknown*: why the turn
    cannot be taken again, where it cannot; nothing is guessed.
    """

    revision: int
    at: datetime
    event: Event[Any]
    then: tuple[Event[Any], ...]
    commit: Commit | None = None
    differences: tuple[Issue, ...] = ()
    unknown: str | None = None

    @property
    def agrees(self) -> bool:
        """Whether it was taken again, and came to the same events."""
        return self.unknown is None and not self.differences

    def __str__(self) -> str:
        return "\n".join((self.summary, *map(_both, self.differences)))

    @property
    def summary(self) -> str:
        """What became of it, in one line."""
        head = f"turn {self.revision}, on {self.event.type}"
        if self.unknown is not None:
            return f"{head}: cannot be taken again, {self.unknown}"
        sent = ", ".join(event.type for event in self.then) or "nothing"
        return f"{head}: agrees, sends {sent}" if self.agrees else f"{head}: differs"


@final
@frozen(kw_only=True)
class Replay:
    """A workflow's turns, taken again. Its text has a line for each, and the first divergence with
    both sides.

    *record*: what the workflow remembers after the last turn; None where that is nothing, or cannot
    be known. *remembered*: where it differs from the record that was given to `replay`.
    """

    turns: tuple[ReplayedTurn, ...]
    record: Record | None = None
    remembered: tuple[Issue, ...] = ()

    @property
    def agrees(self) -> bool:
        """Whether every turn was taken again, and came to the same."""
        return not self.remembered and all(turn.agrees for turn in self.turns)

    @property
    def divergence(self) -> ReplayedTurn | None:
        """The first turn that comes to something else now."""
        return next((turn for turn in self.turns if turn.differences), None)

    def __str__(self) -> str:
        first = self.divergence
        lines = [str(turn) if turn is first else turn.summary for turn in self.turns]
        if self.remembered:
            lines += ("in the end something else is remembered", *map(_both, self.remembered))
        return "\n".join(lines)


def _both(issue: Issue) -> str:
    return f"  {issue.path}\n    then: {issue.expected}\n    now:  {issue.got}"


def replay(
    system: System,
    history: Sequence[HistoryEntry],
    *,
    until: int | datetime | None = None,
    record: Record | None = None,
    effects: Functions | None = None,
) -> Replay:
    """Take a workflow's turns again, each on what the one before left, and compare what they send.

    *system* may be of changed code: the differences are what it would have done. *until*: the last
    revision, or the last time, to go to. *record*: what is remembered now; it tells what the calls
    of a flow came to, and what the whole replay should come to. *effects* map a function that a
    handler calls to the one to call instead, where the record does not tell. Pure, where those
    functions are.

    What a call came to, and nobody knows, is not guessed: that turn cannot be taken again, nor what
    follows it, as far as the next record that stands in the history (`migrate` and `revive` write
    one).
    """
    walk = _Walk(system, record, effects or {})
    groups = list(_groups(history))
    turns: list[ReplayedTurn] = []
    for group, following in zip_longest(groups, groups[1:]):
        first = group[0]
        if not _within(first, until):
            break
        if first.record is not None:
            walk.known, walk.record = True, first.record
        elif first.kind == "consumed" and first.event is not None:
            turns.append(walk.turn(first, first.event, group[1:], following))
        # Else the oldest lines of this turn were forgotten.
    found = walk.record if walk.known else None
    remembered: tuple[Issue, ...] = ()
    if until is None and record is not None and found is not None:
        remembered = differences("record", record.to_dict(), found.to_dict())
    return Replay(turns=tuple(turns), record=found, remembered=remembered)


Group: TypeAlias = Sequence[HistoryEntry]


@define
class _Walk:
    """A replay under way. *record*: what is remembered so far, if it is *known*."""

    system: System
    kept: Record | None
    effects: Functions
    record: Record | None = None
    known: bool = True

    def turn(
        self, line: HistoryEntry, event: Event[Any], sent: Group, following: Group | None
    ) -> ReplayedTurn:
        """Take one turn again."""
        then = tuple(each.event for each in sent if each.event is not None)
        turn = ReplayedTurn(revision=line.revision, at=line.at, event=event, then=then)
        if not self.known or line.revision != self._revision() + 1:
            self.known = False
            return evolve(turn, unknown=_UNKNOWN)
        # The journal keeps nothing of a turn that failed: its next lines are of the turn after.
        calls = () if self._failed(following) else calls_between(self.record, self.kept)
        retaken = retake(
            self.system, event, self.record, now=line.at, calls=calls, effects=self.effects
        )
        return self._compared(turn, retaken)

    def _compared(self, turn: ReplayedTurn, retaken: Commit | Violation | Unknown) -> ReplayedTurn:
        if isinstance(retaken, Unknown):
            self.known = False
            asked = () if retaken.difference is None else (retaken.difference,)
            return evolve(turn, unknown=retaken.why, differences=asked)
        if isinstance(retaken, Commit) and retaken.record is not None:
            self.record = retaken.record
            found = event_differences(turn.then, retaken.events)
            return evolve(turn, commit=retaken, differences=found)
        # Nothing changes now: what follows is taken on what was remembered before.
        self.known = self.record is not None
        if self.record is not None:
            self.record = evolve(self.record, revision=turn.revision)
        if isinstance(retaken, Commit):
            issue = Issue("turn", "taken", f"nothing is done: {retaken.note}")
            return evolve(turn, commit=retaken, differences=(issue,))
        return evolve(turn, differences=(Issue("turn", "taken", f"refused: {retaken}"),))

    def _revision(self) -> int:
        return 0 if self.record is None else self.record.revision

    def _failed(self, following: Group | None) -> bool:
        """Tell whether a turn failed, and was gone on from: by the record that was written next."""
        revived = None if following is None else following[0].record
        before = 0 if self.record is None else self.record.revivals
        return revived is not None and revived.revivals > before


_UNKNOWN: Final = "the history does not tell what it was taken on"


def _groups(history: Group) -> Iterator[Group]:
    """Give the lines of each turn together, the consumed event first."""
    for _, lines in groupby(history, key=lambda line: line.revision):
        yield tuple(lines)


def _within(line: HistoryEntry, until: int | datetime | None) -> bool:
    if until is None:
        return True
    return line.revision <= until if isinstance(until, int) else line.at <= until
