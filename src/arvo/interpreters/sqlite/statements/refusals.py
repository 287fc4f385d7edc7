"""Refusals: whether a commit would be refused, before the turn's effects are performed."""

import sqlite3
from typing import Final

from arvo.core.events.digest import inbox_digest
from arvo.interpreters.delivery.codec import consumption_digest
from arvo.interpreters.ports.messages import Message, queue_of
from arvo.interpreters.ports.results import (
    Conflict,
    Duplicate,
    Fenced,
    IdReused,
    compare_digests,
)
from arvo.interpreters.sqlite.statements.cancellations import CONSUMED


def find_refusal(
    connection: sqlite3.Connection,
    message: Message,
    owned: tuple[int, str],
    expected: int | None,
) -> Conflict | Duplicate | IdReused | Fenced | None:
    """Return why a turn of a message would be refused, None if it would not.

    *owned*: the id of its delivery, and the worker that should own it.
    """
    digest = consumption_digest(queue_of(message.to), message.event)
    parameters = (*owned, digest, message.event.subject)
    is_owned, consumed, revision = connection.execute(_STATE, parameters).fetchone()
    if not is_owned:
        return Fenced()
    if consumed is not None:
        return compare_digests(consumed, inbox_digest(message.event))
    return None if expected in (None, revision) else Conflict(revision)


def find_consumption(
    connection: sqlite3.Connection, message: Message
) -> Duplicate | IdReused | None:
    """Return the refusal of a message that was consumed before."""
    digest = consumption_digest(queue_of(message.to), message.event)
    row = connection.execute(CONSUMED, (digest,)).fetchone()
    return None if row is None else compare_digests(row[0], inbox_digest(message.event))


_STATE: Final = """
select exists (select 1 from delivery where id = ? and owner = ?),
    (select content from inbox where digest = ?),
    coalesce((select revision from workflow where subject = ?), 0)
"""
