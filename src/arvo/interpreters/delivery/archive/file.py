"""File: appends finished workflows to the file of an archive."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO, Final, final

from attrs import define, field

from arvo.core.violations.issue import short_repr
from arvo.interpreters.delivery.archive.workflow import ArchivedWorkflow
from arvo.interpreters.delivery.log import fields, get_logger

logger: Final = get_logger("backend")

# History entries of the workflows that one batch writes and forgets, but for those of the last one.
ARCHIVE_ENTRIES_MAX: Final = 2_000
# How long a batch may take to read: a SQLite file is locked meanwhile, and blobs may be fetched.
ARCHIVE_SECONDS_MAX: Final = 1.0
# A torn line is looked for in blocks of this size, from the end.
_BLOCK_BYTES: Final = 64 * 1024


@final
@define
class Archive:
    """Appends workflows to the file at *path*, which may be moved away between two batches.

    One process appends at a time: the store holds a lock of its own meanwhile.
    """

    path: Path = field(converter=Path)
    _is_failing: bool = field(default=False, init=False, eq=False)

    def append(self, workflows: Iterable[ArchivedWorkflow]) -> bool:
        """Write workflows durably; return False where the file cannot be written.

        The caller forgets none of them then, and tries again.
        """
        lines = b"".join(workflow.to_line() for workflow in workflows)
        try:
            _append(self.path, lines)
        except OSError as error:
            self.postpone(error)
            return False
        self._is_failing = False
        return True

    def postpone(self, error: Exception) -> None:
        """Log why workflows stay in the store, unless it was logged for this outage."""
        if not self._is_failing:
            extra = fields(path=str(self.path), error=short_repr(error))
            # Without the traceback: the line has what an operator needs.
            logger.error("the archive cannot be written", extra=extra)
        self._is_failing = True


def _append(path: Path, lines: bytes) -> None:
    with path.open("a+b") as file:
        # A crash may have cut off the last line: its workflow is written again.
        _drop_torn_line(file)
        file.write(lines)
        file.flush()
        os.fsync(file.fileno())


def _drop_torn_line(file: BinaryIO) -> None:
    end = file.seek(0, os.SEEK_END)
    position = end
    while position:
        start = max(0, position - _BLOCK_BYTES)
        file.seek(start)
        found = file.read(position - start).rfind(b"\n")
        if found >= 0:
            break
        position = start
    whole = start + found + 1 if position else 0
    if whole < end:
        file.truncate(whole)
