"""Past: the histories of workflows, as far as a process can remember them."""

from collections import deque
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final, TypeAlias, final

from attrs import define, field

from arvo.core.commit import Commit
from arvo.core.events.event import Event
from arvo.core.history import HistoryEntry, Kind
from arvo.core.record import Record

# Turns of all workflows together; the oldest make way. Two kilobytes each, where a workflow that
# waits takes four in all.
TURNS_MAX: Final = 10_000

# The position of its first line, revision, time; the events, the consumed one first, or a record.
# A turn is written far more often than it is read, so its lines are made when they are read.
_Turn: TypeAlias = tuple[int, int, datetime, tuple[Event[Any], ...] | Record]


@final
@define
class Past:
    """What was told and said, turn by turn, for each workflow; *turns_max* in all."""

    turns_max: int = TURNS_MAX
    _turns: dict[str, deque[_Turn]] = field(factory=dict)
    # The position of the next line of each workflow.
    _ends: dict[str, int] = field(factory=dict)
    # The subject of each turn, in the order they were written.
    _order: deque[str] = field(factory=deque)

    def add(self, commit: Commit, record: Record, at: datetime) -> None:
        """Write down the events of a turn."""
        self._write(record, at, (commit.event, *commit.events))

    def replace_record(self, record: Record, at: datetime) -> None:
        """Write down that a record was changed by an operator."""
        self._write(record, at, record)

    def of(self, subject: str, before: int | None, limit: int) -> tuple[HistoryEntry, ...]:
        """Give the newest *limit* lines of a workflow below *before*, in order."""
        lines = (line for turn in self._turns.get(subject, ()) for line in _lines(turn))
        known = deque((line for line in lines if before is None or line.position < before), limit)
        return tuple(known)

    def forget(self, subject: str) -> None:
        """Forget all of a workflow."""
        # Its places in the order stay, and are passed over when they come up.
        self._turns.pop(subject, None)
        self._ends.pop(subject, None)

    def _write(
        self, record: Record, at: datetime, content: tuple[Event[Any], ...] | Record
    ) -> None:
        subject, position = record.subject, self._ends.get(record.subject, 0)
        turn = position, record.revision, at, content
        self._turns.setdefault(subject, deque()).append(turn)
        self._ends[subject] = position + (1 if isinstance(content, Record) else len(content))
        self._order.append(subject)
        if len(self._order) > self.turns_max:
            self._drop(self._order.popleft())

    def _drop(self, subject: str) -> None:
        turns = self._turns.get(subject)
        if turns is not None:
            turns.popleft()
            if not turns:
                del self._turns[subject]


def _lines(turn: _Turn) -> Iterator[HistoryEntry]:
    position, revision, at, content = turn
    if isinstance(content, Record):
        yield HistoryEntry(
            position=position, revision=revision, kind="amended", at=at, record=content
        )
        return
    for offset, event in enumerate(content):
        kind: Kind = "produced" if offset else "consumed"
        yield HistoryEntry(
            position=position + offset, revision=revision, kind=kind, at=at, event=event
        )
