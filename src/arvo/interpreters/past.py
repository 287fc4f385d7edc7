"""Past: the histories of workflows, as far as a process can remember them."""

from collections import deque
from datetime import datetime
from typing import Final, final

from attrs import define, field

from arvo.core.commit import Commit
from arvo.core.history import HistoryEntry
from arvo.core.record import Record

# Lines of all workflows together; the oldest make way.
LINES_MAX: Final = 100_000


@final
@define
class Past:
    """What was told and said, line by line, for each workflow; *lines_max* in all."""

    lines_max: int = LINES_MAX
    _lines: dict[str, deque[HistoryEntry]] = field(factory=dict)
    # The subject of each line, in the order they were written.
    _order: deque[str] = field(factory=deque)

    def add(self, commit: Commit, record: Record, at: datetime) -> None:
        """Write down the events of a turn."""
        position, subject = self._next(record.subject), record.subject
        consumed = HistoryEntry(
            position=position,
            revision=record.revision,
            kind="consumed",
            at=at,
            event=commit.event,
        )
        self._write(subject, consumed)
        for offset, event in enumerate(commit.events, start=1):
            produced = HistoryEntry(
                position=position + offset,
                revision=record.revision,
                kind="produced",
                at=at,
                event=event,
            )
            self._write(subject, produced)

    def amend(self, record: Record, at: datetime) -> None:
        """Write down that a record was changed by an operator."""
        line = HistoryEntry(
            position=self._next(record.subject),
            revision=record.revision,
            kind="amended",
            at=at,
            record=record,
        )
        self._write(record.subject, line)

    def of(self, subject: str, before: int | None, limit: int) -> tuple[HistoryEntry, ...]:
        """Give the newest lines of a workflow, in order."""
        lines = self._lines.get(subject, ())
        known = tuple(line for line in lines if before is None or line.position < before)
        return known[-limit:]

    def forget(self, subject: str) -> None:
        """Forget all of a workflow."""
        # Its places in the order stay, and are passed over when they come up.
        self._lines.pop(subject, None)

    def _next(self, subject: str) -> int:
        lines = self._lines.get(subject)
        return lines[-1].position + 1 if lines else 0

    def _write(self, subject: str, line: HistoryEntry) -> None:
        self._lines.setdefault(subject, deque()).append(line)
        self._order.append(subject)
        if len(self._order) > self.lines_max:
            oldest = self._order.popleft()
            # The newest line stays, for the next one takes its position from it.
            if len(self._lines.get(oldest, ())) > 1:
                self._lines[oldest].popleft()
