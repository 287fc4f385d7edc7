"""Operations: changes by an operator to a SQLite file, outside of any delivery."""

import sqlite3
from collections.abc import Sequence
from typing import Any, Final

from arvo.engine.step.route import ToHandler
from arvo.interpreters.delivery.audit import AuditQuery, audit_key, decode_audit, encode_audit
from arvo.interpreters.delivery.codec import (
    StoredMessage,
    consumption_digest,
    encode_record,
)
from arvo.interpreters.delivery.operations import Replacement
from arvo.interpreters.ports.audit import AUDIT_MAX, AuditEntry
from arvo.interpreters.ports.messages import Message
from arvo.interpreters.ports.results import Committed, Conflict
from arvo.interpreters.sqlite.connection.in_place import codec_of
from arvo.interpreters.sqlite.statements import dead_letters, deliveries, records, timers
from arvo.interpreters.sqlite.statements.records import HistoryRow, WorkflowChange


def replace_record(
    connection: sqlite3.Connection, replacement: Replacement, owner: str | None, now: int
) -> tuple[Committed | Conflict, list[StoredMessage]]:
    """Replace a record if its revision is the expected one.

    Returns the result, and the redelivered events that *owner* owns at once.
    """
    record = replacement.record
    workflow = records.find_workflow(connection, record.subject)
    if workflow is None or workflow.revision != replacement.expected:
        return Conflict(0 if workflow is None else workflow.revision), []
    entry: HistoryRow = (
        record.revision,
        now,
        "replaced",
        encode_record(record, codec_of(connection)),
    )
    change = WorkflowChange(workflow, None, record, [entry])
    records.write_workflows(connection, [change], now)
    for event in replacement.events:
        connection.execute(
            "delete from inbox where digest = ?", (consumption_digest(record.handler, event),)
        )
    to = ToHandler(record.handler, record.subject)
    timers.schedule(connection, [(timer, Message(timer.event, to)) for timer in replacement.timers])
    messages = [Message(event, to) for event in replacement.redeliver]
    return Committed(), deliveries.send(connection, messages, now, owner)


def redrive(
    connection: sqlite3.Connection,
    id_: str,
    messages: Sequence[Message],
    owner: str | None,
    now: int,
) -> list[StoredMessage] | None:
    """Remove a dead letter and send *messages*.

    Returns the deliveries that *owner* owns at once, None if there is no dead letter of this id.
    """
    if not dead_letters.delete(connection, id_):
        return None
    return deliveries.send(connection, messages, now, owner)


def record_act(connection: sqlite3.Connection, entry: AuditEntry, oldest: int) -> None:
    """Store an audit entry, and remove those that are too many or before *oldest*."""
    at, id_ = audit_key(entry)
    row = (id_, at, entry.subject, encode_audit(entry))
    number = connection.execute(_AUDIT, row).lastrowid
    assert number is not None
    connection.execute("delete from audit where number <= ?", (number - AUDIT_MAX,))
    connection.execute("delete from audit where at < ?", (oldest,))


_AUDIT: Final = "insert into audit (id, at, subject, content) values (?, ?, ?, ?)"


def audit_log(connection: sqlite3.Connection, query: AuditQuery) -> tuple[AuditEntry, ...]:
    """List audit entries, newest first."""
    conditions: list[str] = ["at >= ?"]
    values: list[Any] = [query.oldest]
    if query.subject is not None:
        conditions.append("subject = ?")
        values.append(query.subject)
    if query.after is not None:
        conditions.append("(at, id) < (?, ?)")
        values += audit_key(query.after)
    statement = f"{_CONTENTS} where {' and '.join(conditions)} {_NEWEST_FIRST}"
    rows = connection.execute(statement, (*values, query.limit))
    return tuple(decode_audit(content) for (content,) in rows)


_CONTENTS: Final = "select content from audit"
_NEWEST_FIRST: Final = "order by at desc, id desc limit ?"
