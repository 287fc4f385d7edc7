"""Tables: what is written to a Postgres schema, many rows in one statement."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from arvo.interpreters.postgres.connection.dsn import Address, Link
from arvo.interpreters.postgres.statements.write_batch import Armed, Line, Sending


async def write_journal(
    connection: Link, address: Address, lines: Sequence[tuple[int, int, bytes]]
) -> None:
    """Add lines to journals: the workflow's number, the position, the line."""
    if lines:
        await connection.execute(address.sql(_JOURNAL), *columns(lines, 3))


_JOURNAL: Final = """
insert into arvo.journal (workflow, position, line)
select * from unnest($1::bigint[], $2::bigint[], $3::bytea[])
"""


def history_rows(lines: Sequence[tuple[int, int, Line]]) -> Iterator[tuple[object, ...]]:
    """Write lines as rows: of each the workflow's number, the position, the line."""
    for number, position, line in lines:
        yield number, position, line.revision, line.kind, line.at, line.content


async def write_history(
    connection: Link, address: Address, lines: Sequence[tuple[int, int, Line]]
) -> None:
    """Add lines to histories: the workflow's number, the position, the line."""
    if lines:
        await connection.execute(address.sql(_HISTORY), *columns(history_rows(lines), 6))


_HISTORY: Final = """
insert into arvo.history (workflow, position, revision, kind, at, event)
select * from unnest(
    $1::bigint[], $2::bigint[], $3::bigint[], $4::text[], $5::timestamptz[], $6::bytea[]
)
"""


async def arm(connection: Link, address: Address, timers: Sequence[Armed]) -> None:
    """Set timers; one that is set again counts from now."""
    if timers:
        rows = [
            (
                each.id,
                each.due,
                each.sending.lane,
                each.sending.key,
                each.sending.destination,
                each.sending.event,
            )
            for each in timers
        ]
        await connection.execute(address.sql(_ARM), *columns(rows, 6))


_ARM: Final = """
insert into arvo.timer (id, due, lane, key, destination, event)
select * from unnest(
    $1::text[], $2::timestamptz[], $3::text[], $4::bigint[], $5::bytea[], $6::bytea[]
)
on conflict (id) do update set due = excluded.due, event = excluded.event
"""


def sending_rows(sendings: Sequence[tuple[Sending, bool]]) -> Iterator[tuple[object, ...]]:
    """Write what is sent as rows, each with whether this process would have it."""
    for each, own in sendings:
        yield each.lane, each.key, each.destination, each.event, own


async def send(connection: Link, address: Address, sendings: Sequence[Sending]) -> None:
    """Add deliveries that nobody has, and wake whoever could take them, when this is committed."""
    if sendings:
        rows = sending_rows([(each, False) for each in sendings])
        await connection.execute(address.sql(_SEND), *columns(rows, 5))
        await connection.execute(NOTIFY, channel(address))


_SEND: Final = """
insert into arvo.delivery (lane, key, destination, event, attempt, due)
select lane, key, destination, event, 1, '-infinity'
from unnest($1::text[], $2::bigint[], $3::bytea[], $4::bytea[], $5::boolean[]) with ordinality
    as new (lane, key, destination, event, own, place)
order by place
"""
NOTIFY: Final = "select pg_notify($1, '')"


def channel(address: Address) -> str:
    """Name what workers listen to."""
    return f"arvo_{address.schema}"


def columns(rows: Iterable[Sequence[object]], number: int) -> list[list[object]]:
    """Turn rows of so many columns into one list for each, as `unnest` takes them."""
    return [list(column) for column in zip(*rows, strict=True)] or [[] for _ in range(number)]


UPDATE_WORKFLOW: Final = """
update arvo.workflow set
    version = new.version, status = new.status, revision = new.revision, record = new.record,
    changed = $7, lines = workflow.lines + new.lines
from unnest($1::bigint[], $2::text[], $3::text[], $4::bigint[], $5::bytea[], $6::bigint[])
    as new (id, version, status, revision, record, lines)
where workflow.id = new.id
"""
CLEAR_JOURNAL: Final = "delete from arvo.journal where workflow = any($1::bigint[])"
