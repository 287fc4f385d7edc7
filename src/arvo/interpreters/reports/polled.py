"""Polled: the bounds of reports in a database, which readers poll."""

from typing import Final

# Batches that are stored for a workflow; the oldest are deleted.
STORED_MAX: Final = 64
# How long a batch is stored. A reader comes for it several times a second.
STORED_SECONDS: Final = 60.0
# How long a reader counts as one without renewing that; workers write reports only where there is
# one.
READER_SECONDS: Final = 15.0
RENEW_SECONDS: Final = READER_SECONDS / 3


def oldest(now: int) -> int:
    """Return the time before which batches are deleted, both in milliseconds."""
    return now - int(STORED_SECONDS * 1000)
