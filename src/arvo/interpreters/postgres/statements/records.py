"""Records: the rows of workflows in a Postgres schema: records and histories."""

from collections.abc import Iterator, Sequence
from typing import Final, final

from attrs import frozen

from arvo.interpreters.delivery.record_log import RecordEntry
from arvo.interpreters.postgres.connection.dsn import Connection, Dsn
from arvo.interpreters.postgres.statements.columns import columns
from arvo.interpreters.postgres.statements.write_batch import HistoryRow


@final
@frozen
class WorkflowRow:
    """The state of a workflow that a write depends on; *room*: see `RecordEntry`."""

    id: int
    revision: int
    history_length: int
    room: int


async def find_workflow(connection: Connection, dsn: Dsn, subject: str) -> WorkflowRow | None:
    """Lock and return the row of a workflow, None if there is none."""
    row = await connection.fetchrow(dsn.sql(_FIND), subject)
    return None if row is None else WorkflowRow(*row)


_FIND: Final = """
select id, revision, history_length, room from arvo.workflow where subject = $1 for update
"""


async def write_logs(
    connection: Connection,
    dsn: Dsn,
    entries: Sequence[tuple[WorkflowRow, int, RecordEntry]],
) -> None:
    """Append entries to the logs of large records, or begin the logs anew.

    *entries*: of each the workflow's row, with its id, the revision of the record, and the entry.
    """
    replaced = [workflow.id for workflow, _, entry in entries if entry.is_whole and workflow.room]
    if replaced:
        await connection.execute(dsn.sql(_CLEAR_LOGS), replaced)
    rows = [
        (workflow.id, revision, entry.content)
        for workflow, revision, entry in entries
        if entry.room
    ]
    if rows:
        await connection.execute(dsn.sql(_WRITE_LOGS), *columns(rows, 3))


_CLEAR_LOGS: Final = "delete from arvo.record_log where workflow = any($1::bigint[])"
_WRITE_LOGS: Final = """
insert into arvo.record_log (workflow, revision, content)
select * from unnest($1::bigint[], $2::bigint[], $3::bytea[])
"""


def history_columns(entries: Sequence[tuple[int, int, HistoryRow]]) -> list[list[object]]:
    """Turn history entries into columns: of each the workflow's id, the position, the entry."""
    return columns(_history_values(entries), 6)


def _history_values(
    entries: Sequence[tuple[int, int, HistoryRow]],
) -> Iterator[tuple[object, ...]]:
    for workflow_id, position, row in entries:
        yield workflow_id, position, row.revision, row.kind, row.at, row.content


async def write_history(
    connection: Connection, dsn: Dsn, entries: Sequence[tuple[int, int, HistoryRow]]
) -> None:
    """Append entries to histories: of each the workflow's id, the position, the entry."""
    if entries:
        await connection.execute(dsn.sql(_WRITE_HISTORY), *history_columns(entries))


_WRITE_HISTORY: Final = """
insert into arvo.history (workflow, position, revision, kind, at, event)
select * from unnest(
    $1::bigint[], $2::bigint[], $3::bigint[], $4::text[], $5::timestamptz[], $6::bytea[]
)
"""
