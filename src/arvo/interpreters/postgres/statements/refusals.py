"""Refusals: whether a commit would be refused, before the turn's effects are performed."""

from typing import Final

from arvo.interpreters.delivery.codec import consumption_digest
from arvo.interpreters.ports.messages import Message, queue_of
from arvo.interpreters.ports.results import Conflict, Duplicate, Fenced
from arvo.interpreters.postgres.connection.dsn import Connection, Dsn


async def find_refusal(
    connection: Connection,
    dsn: Dsn,
    message: Message,
    owned: tuple[int, int],
    expected: int | None,
) -> Conflict | Duplicate | Fenced | None:
    """Return why a turn of a message would be refused, None if it would not.

    *owned*: the id of its delivery, and the worker that should own it.
    """
    digest = consumption_digest(queue_of(message.to), message.event)
    row = await connection.fetchrow(dsn.sql(_STATE), *owned, digest, message.event.subject)
    assert row is not None
    if not row["is_owned"]:
        return Fenced()
    if row["is_consumed"]:
        return Duplicate()
    revision = row["revision"]
    return None if expected in (None, revision) else Conflict(revision)


_STATE: Final = """
select exists (select from arvo.delivery where id = $1 and owner = $2) as is_owned,
    exists (select from arvo.inbox where digest = $3) as is_consumed,
    coalesce((select revision from arvo.workflow where subject = $4), 0) as revision
"""
