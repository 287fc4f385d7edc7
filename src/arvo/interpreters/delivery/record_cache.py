"""Record cache: the records that this process wrote last."""

from collections import OrderedDict
from typing import Final, final

from attrs import define, field

from arvo.core.record import Record

# Workflows that the process will probably see again soon. A record takes some kilobytes.
RECORDS_MAX: Final = 10_000


@final
@define
class RecordCache:
    """Records as this process committed them, the least recently written dropped first.

    It saves a read after each write. Another process may have changed a record since, so a step
    that was decided on a cached record only counts if its commit compares the revision.
    """

    _records: "OrderedDict[str, Record]" = field(factory=OrderedDict)

    def get(self, subject: str) -> Record | None:
        """Return the cached record of a workflow."""
        return self._records.get(subject)

    def put(self, record: Record) -> None:
        """Cache a committed record, unless its workflow has ended: no more events will come."""
        if record.status != "active":
            self.discard(record.subject)
            return
        self._records[record.subject] = record
        self._records.move_to_end(record.subject)
        if len(self._records) > RECORDS_MAX:
            self._records.popitem(last=False)

    def discard(self, subject: str) -> None:
        """Remove the record of a workflow, if it is cached."""
        self._records.pop(subject, None)
