"""Operate: what operators change in a Postgres schema, outside of any delivery."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, final

import orjson
from attrs import frozen

from arvo.core.commit import PendingTimer
from arvo.core.events.event import Event
from arvo.core.record import Record
from arvo.engine.step.route import ToHandler
from arvo.interpreters.delivery.codec import digest_of, record_bytes, whole_record_bytes
from arvo.interpreters.ports.backend import Committed, Conflict, Message
from arvo.interpreters.postgres.connection.dsn import Address, Link
from arvo.interpreters.postgres.statements.tables import (
    CLEAR_JOURNAL,
    UPDATE_WORKFLOW,
    arm,
    send,
    write_history,
    write_journal,
)
from arvo.interpreters.postgres.statements.write_batch import Line, armed, sending


@final
@frozen
class Amendment:
    """A record in the place of the one of revision *expected*, and what is set or sent with it."""

    record: Record
    expected: int
    alarms: Sequence[PendingTimer]
    again: Sequence[Event[Any]]


async def replace_record(
    connection: Link, address: Address, amendment: Amendment, now: datetime
) -> Committed | Conflict:
    """Apply an amendment, all or nothing."""
    record, to = amendment.record, ToHandler(amendment.record.handler, amendment.record.subject)
    async with connection.transaction():
        row = await connection.fetchrow(address.sql(_HELD), record.subject)
        if row is None or row["revision"] != amendment.expected:
            return Conflict(0 if row is None else row["revision"])
        number, content = row["id"], record_bytes(record)
        await connection.execute(
            address.sql(UPDATE_WORKFLOW),
            *([value] for value in (number, record.version, record.status, record.revision)),
            [content],
            [1],
            now,
        )
        await connection.execute(address.sql(CLEAR_JOURNAL), [number])
        journal = [(number, place, orjson.dumps(line)) for place, line in enumerate(record.journal)]
        await write_journal(connection, address, journal)
        line = Line(0, record.revision, "amended", now, whole_record_bytes(record))
        await write_history(connection, address, [(number, row["lines"], line)])
        events = (*(timer.event for timer in amendment.alarms), *amendment.again)
        digests = [digest_of(record.handler, event) for event in events]
        await connection.execute(address.sql(_FORGET), digests)
        timers = [(timer, Message(timer.event, to)) for timer in amendment.alarms]
        await arm(connection, address, armed(timers, address.hash))
        await _send(connection, address, [Message(event, to) for event in amendment.again])
    return Committed()


_HELD: Final = "select id, revision, lines from arvo.workflow where subject = $1 for update"
_FORGET: Final = "delete from arvo.inbox where digest = any($1::bytea[])"


async def redrive(
    connection: Link,
    address: Address,
    id_: str,
    messages: Sequence[Message],
) -> bool:
    """Take a dead letter out and send *posts*, all or nothing; False: no such letter."""
    async with connection.transaction():
        done = await connection.execute(address.sql(_TAKE), id_)
        if done == "DELETE 0":
            return False
        await _send(connection, address, messages)
    return True


_TAKE: Final = "delete from arvo.letter where id = $1"


async def _send(connection: Link, address: Address, messages: Sequence[Message]) -> None:
    await send(connection, address, [sending(message, address.hash) for message in messages])
