"""Records: the rows of workflows in a Postgres schema: records, journals and histories."""

from collections.abc import Iterator, Sequence
from typing import Final, final

from attrs import frozen

from arvo.interpreters.postgres.connection.dsn import Connection, Dsn
from arvo.interpreters.postgres.statements.columns import columns
from arvo.interpreters.postgres.statements.write_batch import HistoryRow


@final
@frozen
class WorkflowRow:
    """The state of a workflow that a write depends on."""

    id: int
    revision: int
    history_length: int


async def find_workflow(connection: Connection, dsn: Dsn, subject: str) -> WorkflowRow | None:
    """Lock and return the row of a workflow, None if there is none."""
    row = await connection.fetchrow(dsn.sql(_FIND), subject)
    return None if row is None else WorkflowRow(*row)


_FIND: Final = """
select id, revision, history_length from arvo.workflow where subject = $1 for update
"""


async def extend_journals(
    connection: Connection, dsn: Dsn, entries: Sequence[tuple[int, int, bytes]]
) -> None:
    """Append entries to journals: of each the workflow's id, the position, the content."""
    if entries:
        await connection.execute(dsn.sql(_EXTEND_JOURNALS), *columns(entries, 3))


_EXTEND_JOURNALS: Final = """
insert into arvo.journal (workflow, position, line)
select * from unnest($1::bigint[], $2::bigint[], $3::bytea[])
"""


async def clear_journals(connection: Connection, dsn: Dsn, workflow_ids: Sequence[int]) -> None:
    """Delete the journals of workflows."""
    if workflow_ids:
        await connection.execute(dsn.sql(_CLEAR_JOURNALS), workflow_ids)


_CLEAR_JOURNALS: Final = "delete from arvo.journal where workflow = any($1::bigint[])"


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
