"""Recent: the records that this process wrote last."""

from collections import OrderedDict
from typing import Final, final

from attrs import define, field

from arvo.core.record import Record

# Workflows that a process is likely to meet again soon; a record takes some kilobytes.
RECENT_MAX: Final = 10_000


@final
@define
class Recent:
    """Records as this process left them, newest last; another process may have moved them on.

    It saves reading what was just written. What is decided on one of them is only trusted where the
    store checks its revision.
    """

    _records: "OrderedDict[str, Record]" = field(factory=OrderedDict)

    def get(self, subject: str) -> Record | None:
        """Give the record of a workflow, if it was written here lately."""
        return self._records.get(subject)

    def keep(self, record: Record) -> None:
        """Remember a record that was committed; one that has ended is not met again."""
        if record.status != "active":
            self.forget(record.subject)
            return
        self._records[record.subject] = record
        self._records.move_to_end(record.subject)
        if len(self._records) > RECENT_MAX:
            self._records.popitem(last=False)

    def forget(self, subject: str) -> None:
        """Let go of a record that is no longer the newest, or that nobody needs."""
        self._records.pop(subject, None)
