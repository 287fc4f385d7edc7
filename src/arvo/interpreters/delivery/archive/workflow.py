"""Workflow: a finished workflow as an archive has it, one line of JSON."""

import os
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, final

import orjson
from attrs import frozen

from arvo.core.events.event import Event
from arvo.core.history import HistoryEntry
from arvo.core.record import Record
from arvo.core.violations.issue import Issue, short_repr
from arvo.core.violations.violation import ExecutionViolation, Violated


@final
@frozen
class ArchivedWorkflow:
    """A finished workflow of an archive: its last *record*, and its *history*, oldest first."""

    record: Record
    history: tuple[HistoryEntry, ...]

    def to_line(self) -> bytes:
        """Return it as one line of JSON."""
        history = [entry.to_dict() for entry in self.history]
        return orjson.dumps({"record": self.record.to_dict(), "history": history}) + b"\n"

    @staticmethod
    def from_line(line: str | bytes) -> "ArchivedWorkflow":
        """Read the result of `to_line`; raises `Violated` for any other text."""
        try:
            content = orjson.loads(line)
            history = tuple(map(_read_entry, content["history"]))
            return ArchivedWorkflow(Record.from_dict(content["record"]), history)
        except (ValueError, TypeError, KeyError) as error:
            if isinstance(error, Violated):
                raise
            issue = Issue("line", "a workflow as an archive has it", short_repr(error))
            raise Violated(ExecutionViolation("unreadable archive", issue)) from None


def _read_entry(content: dict[str, Any]) -> HistoryEntry:
    event, record = content["event"], content["record"]
    return HistoryEntry(
        position=content["position"],
        revision=content["revision"],
        kind=content["kind"],
        at=datetime.fromisoformat(content["at"]),
        event=None if event is None else Event.from_dict(event),
        record=None if record is None else Record.from_dict(record),
    )


def read_archive(path: str | os.PathLike[str]) -> Iterator[ArchivedWorkflow]:
    """Yield the workflows of an archive, each once, in the order in which they were forgotten.

    A crash may leave a workflow in it twice, or a last line that is cut off: it is dropped, as the
    store still has that workflow. Raises `OSError`, and `Violated` for any other unreadable line.
    """
    seen: set[tuple[str, int, str, str]] = set()
    with Path(path).open("rb") as file:
        for number, line in enumerate(file, 1):
            if not line.endswith(b"\n"):
                return
            try:
                archived = ArchivedWorkflow.from_line(line)
            except Violated as violated:
                issues = tuple(
                    Issue(f"line {number}: {it.path}", it.expected, it.got)
                    for it in violated.violation.issues
                )
                raise Violated(ExecutionViolation("unreadable archive", issues)) from None
            record = archived.record
            # A store that has forgotten a workflow counts the revisions of its next run anew.
            key = record.subject, record.revision, record.init, record.consumed
            if key not in seen:
                seen.add(key)
                yield archived
