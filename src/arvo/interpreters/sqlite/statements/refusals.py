"""Refusals: whether a commit would be refused, before the turn's effects are performed."""

import sqlite3
from typing import Final

from arvo.interpreters.delivery.codec import consumption_digest
from arvo.interpreters.ports.messages import Message, queue_of
from arvo.interpreters.ports.results import Conflict, Duplicate, Fenced


def find_refusal(
    connection: sqlite3.Connection,
    message: Message,
    owned: tuple[int, str],
    expected: int | None,
) -> Conflict | Duplicate | Fenced | None:
    """Return why a turn of a message would be refused, None if it would not.

    *owned*: the id of its delivery, and the worker that should own it.
    """
    digest = consumption_digest(queue_of(message.to), message.event)
    parameters = (*owned, digest, message.event.subject)
    is_owned, is_consumed, revision = connection.execute(_STATE, parameters).fetchone()
    if not is_owned:
        return Fenced()
    if is_consumed:
        return Duplicate()
    return None if expected in (None, revision) else Conflict(revision)


_STATE: Final = """
select exists (select 1 from delivery where id = ? and owner = ?),
    exists (select 1 from inbox where digest = ?),
    coalesce((select revision from workflow where subject = ?), 0)
"""
