"""History buffer: the newest history entries of all workflows, in the memory of one process."""

from collections import deque
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final, TypeAlias, final

from attrs import define, field

from arvo.core.commit import Commit
from arvo.core.events.event import Event
from arvo.core.history import HistoryEntry, Kind
from arvo.core.record import Record

# Turns of all workflows together; the oldest are dropped first. A turn takes about one kilobyte,
# and a waiting workflow about four in all.
TURNS_MAX: Final = 10_000

# The position of the turn's first entry, the revision, the time; then the events, the consumed one
# first, or the record that an operator wrote. A turn is written far more often than it is read, so
# its entries are made when they are read.
_Turn: TypeAlias = tuple[int, int, datetime, tuple[Event[Any], ...] | Record]


@final
@define
class HistoryBuffer:
    """The consumed and produced events of each workflow, turn by turn; *turns_max* turns in all."""

    turns_max: int = TURNS_MAX
    # Lists, because a deque takes 700 bytes: most workflows have few turns.
    _turns: dict[str, list[_Turn]] = field(factory=dict)
    # The position of the next entry of each workflow.
    _ends: dict[str, int] = field(factory=dict)
    # The subject of each turn, oldest first.
    _order: deque[str] = field(factory=deque)

    def add(self, commit: Commit, record: Record, at: datetime) -> None:
        """Append the events of a turn."""
        self._append(record, at, (commit.event, *commit.events))

    def replace_record(self, record: Record, at: datetime) -> None:
        """Append the entry of a record that an operator has replaced."""
        self._append(record, at, record)

    def entries(self, subject: str, before: int | None, limit: int) -> tuple[HistoryEntry, ...]:
        """Return the newest *limit* entries at a position below *before*, oldest first."""
        all_ = (entry for turn in self._turns.get(subject, ()) for entry in _entries(turn))
        newest = deque(
            (entry for entry in all_ if before is None or entry.position < before), limit
        )
        return tuple(newest)

    def remove(self, subject: str) -> None:
        """Remove all entries of a workflow."""
        # Its subjects stay in `_order`; `_drop_oldest` skips them.
        self._turns.pop(subject, None)
        self._ends.pop(subject, None)

    def _append(
        self, record: Record, at: datetime, content: tuple[Event[Any], ...] | Record
    ) -> None:
        subject, position = record.subject, self._ends.get(record.subject, 0)
        turn = position, record.revision, at, content
        self._turns.setdefault(subject, []).append(turn)
        self._ends[subject] = position + (1 if isinstance(content, Record) else len(content))
        self._order.append(subject)
        if len(self._order) > self.turns_max:
            self._drop_oldest(self._order.popleft())

    def _drop_oldest(self, subject: str) -> None:
        turns = self._turns.get(subject)
        if turns is not None:
            del turns[0]
            if not turns:
                del self._turns[subject]


def _entries(turn: _Turn) -> Iterator[HistoryEntry]:
    position, revision, at, content = turn
    if isinstance(content, Record):
        yield HistoryEntry(
            position=position, revision=revision, kind="replaced", at=at, record=content
        )
        return
    for offset, event in enumerate(content):
        kind: Kind = "produced" if offset else "consumed"
        yield HistoryEntry(
            position=position + offset, revision=revision, kind=kind, at=at, event=event
        )
