"""Retention: how long a store remembers what is over."""

from datetime import timedelta
from typing import Final, final

from attrs import frozen

# Rows that one bite takes away: some milliseconds, in which others wait.
BITE_ROWS: Final = 500


@final
@frozen(kw_only=True)
class Retention:
    """How long a store remembers what is over; None: for ever.

    *inbox*: which events were consumed; one that is delivered again after that would be consumed
    again by a handler without memory. *finished*: workflows that are done or were cancelled, with
    their history; failed ones stay, for somebody to look at. *history*: the events of workflows
    that go on, beyond which they cannot be replayed.
    """

    inbox: timedelta | None = timedelta(days=7)
    finished: timedelta | None = timedelta(days=30)
    history: timedelta | None = None
