"""Operations: changes by an operator to a Postgres schema, outside of any delivery."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from arvo.engine.step.route import ToHandler
from arvo.interpreters.delivery.audit import AuditQuery, audit_key, decode_audit, encode_audit
from arvo.interpreters.delivery.codec import (
    consumption_digest,
    encode_record,
)
from arvo.interpreters.delivery.operations import Replacement
from arvo.interpreters.delivery.record_log import next_entry
from arvo.interpreters.ports.audit import AUDIT_MAX, AuditEntry
from arvo.interpreters.ports.messages import Message
from arvo.interpreters.ports.results import Committed, Conflict
from arvo.interpreters.postgres.connection.dsn import Connection, Dsn
from arvo.interpreters.postgres.statements import dead_letters, deliveries, records, timers
from arvo.interpreters.postgres.statements.dead_letters import subject_digest
from arvo.interpreters.postgres.statements.write_batch import (
    HistoryRow,
    delivery_row,
    timer_rows,
)


async def replace_record(
    connection: Connection, dsn: Dsn, replacement: Replacement, now: datetime
) -> Committed | Conflict:
    """Replace a record if its revision is the expected one, all or nothing."""
    record, to = (
        replacement.record,
        ToHandler(replacement.record.handler, replacement.record.subject),
    )
    async with connection.transaction():
        workflow = await records.find_workflow(connection, dsn, record.subject)
        if workflow is None or workflow.revision != replacement.expected:
            return Conflict(0 if workflow is None else workflow.revision)
        entry = next_entry(record, None, workflow.room, dsn.codec)
        await connection.execute(
            dsn.sql(_UPDATE),
            workflow.id,
            record.version,
            record.status,
            record.revision,
            entry.in_row,
            entry.room,
            now,
        )
        await records.write_logs(connection, dsn, [(workflow, record.revision, entry)])
        row = HistoryRow(0, record.revision, "replaced", now, encode_record(record, dsn.codec))
        await records.write_history(connection, dsn, [(workflow.id, workflow.history_length, row)])
        digests = [consumption_digest(record.handler, event) for event in replacement.events]
        await connection.execute(dsn.sql(_FORGET_CONSUMED), digests)
        pending = [(timer, Message(timer.event, to)) for timer in replacement.timers]
        await timers.schedule(connection, dsn, timer_rows(pending, dsn))
        await _send(connection, dsn, [Message(event, to) for event in replacement.redeliver])
    return Committed()


_UPDATE: Final = """
update arvo.workflow set
    version = $2, status = $3, revision = $4, record = $5, room = $6, changed = $7,
    history_length = history_length + 1
where id = $1
"""
_FORGET_CONSUMED: Final = "delete from arvo.inbox where digest = any($1::bytea[])"


async def redrive(connection: Connection, dsn: Dsn, id_: str, messages: Sequence[Message]) -> bool:
    """Remove a dead letter and send *messages*; False if there is none of this id."""
    async with connection.transaction():
        if not await dead_letters.delete(connection, dsn, id_):
            return False
        await _send(connection, dsn, messages)
    return True


async def _send(connection: Connection, dsn: Dsn, messages: Sequence[Message]) -> None:
    rows = [delivery_row(message, dsn) for message in messages]
    await deliveries.send(connection, dsn, rows)


async def record_act(connection: Connection, dsn: Dsn, entry: AuditEntry, oldest: int) -> None:
    """Store an audit entry, and remove those that are too many or before *oldest*."""
    at, id_ = audit_key(entry)
    async with connection.transaction():
        number = await connection.fetchval(
            dsn.sql(_AUDIT), id_, at, subject_digest(entry.subject), encode_audit(entry)
        )
        await connection.execute(dsn.sql(_EXPIRED), number - AUDIT_MAX, oldest)


_AUDIT: Final = """
insert into arvo.audit (id, at, subject, content) values ($1, $2, $3, $4) returning number
"""
# The row that another process deletes is not waited for, so two deletes never wait for each other.
_EXPIRED: Final = """
delete from arvo.audit where number = any (array (
    select number from arvo.audit where number <= $1 or at < $2
    order by number limit 500 for update skip locked
))
"""


async def audit_log(connection: Connection, dsn: Dsn, query: AuditQuery) -> tuple[AuditEntry, ...]:
    """List audit entries, newest first."""
    conditions = ["at >= $2"]
    values: list[object] = [query.limit, query.oldest]
    if query.subject is not None:
        values.append(subject_digest(query.subject))
        conditions.append(f"subject = ${len(values)}")
    if query.after is not None:
        values += audit_key(query.after)
        conditions.append(f"(at, id) < (${len(values) - 1}, ${len(values)})")
    statement = f"{_CONTENTS} where {' and '.join(conditions)} {_NEWEST_FIRST}"
    rows = await connection.fetch(dsn.sql(statement), *values)
    return tuple(decode_audit(row["content"]) for row in rows)


_CONTENTS: Final = "select content from arvo.audit"
_NEWEST_FIRST: Final = "order by at desc, id desc limit $1"
