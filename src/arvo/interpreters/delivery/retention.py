"""Retention: how long a store keeps data that it no longer needs for its promises."""

from datetime import timedelta
from typing import Final, final

from attrs import frozen

# Rows deleted in one transaction: some milliseconds, during which other writes wait.
PURGE_BATCH_ROWS: Final = 500


@final
@frozen(kw_only=True)
class Retention:
    """How long a store keeps what is over; None keeps it for ever.

    *inbox*: the marks of consumed events. If a message is redelivered later than that, a handler
    that is not a workflow consumes its event again. *finished*: workflows that are done or
    cancelled, with their history; failed workflows stay for an operator. *history*: the history
    entries of workflows that are still active; a workflow cannot be replayed without them.
    """

    inbox: timedelta | None = timedelta(days=7)
    finished: timedelta | None = timedelta(days=30)
    history: timedelta | None = None
