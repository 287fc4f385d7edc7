"""Group commit: many batches, written in one transaction of few statements."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, final

from attrs import frozen

from arvo.interpreters.delivery.codec import StoredMessage
from arvo.interpreters.ports.results import (
    CommitResult,
    Committed,
)
from arvo.interpreters.postgres.connection.dsn import Connection, Dsn
from arvo.interpreters.postgres.statements import records, timers
from arvo.interpreters.postgres.statements.columns import columns
from arvo.interpreters.postgres.statements.dead_letters import dead_letter
from arvo.interpreters.postgres.statements.deliveries import channel, delivery_columns
from arvo.interpreters.postgres.statements.group_locks import (
    GroupLocks,
    acknowledged,
    lock_group,
    needs_no_locks,
    refusals,
)
from arvo.interpreters.postgres.statements.write_batch import (
    HistoryRow,
    TurnRows,
    WriteBatch,
    Written,
)


class WriteConflict(Exception):
    """Another transaction has begun a workflow of the same subject; writing again finds it."""


async def write(
    connection: Connection,
    dsn: Dsn,
    worker_id: int,
    batches: Sequence[WriteBatch],
    now: datetime,
) -> list[Written]:
    """Write batches in one transaction, and return the result of each.

    No two batches may share a consumed event or a subject (see `WriteBatch.exclusive_keys`). Raises
    `WriteConflict` or an error of the driver; then nothing was written.
    """
    if needs_no_locks(batches):
        refused: list[CommitResult | None] = [None for _ in batches]
        group = _Group(connection, dsn, worker_id, now, GroupLocks())
        rows = await group.write(batches, refused)
    else:
        async with connection.transaction():
            locks = await lock_group(connection, dsn, worker_id, batches, now)
            refused = await refusals(connection, dsn, batches, locks)
            group = _Group(connection, dsn, worker_id, now, locks)
            rows = await group.write(batches, refused)
    return [
        Written(result or Committed(), tuple(own))
        for result, own in zip(refused, rows, strict=True)
    ]


@final
@frozen(eq=False)
class _Group:
    """The write phase of one transaction."""

    connection: Connection
    dsn: Dsn
    worker_id: int
    now: datetime
    locks: GroupLocks

    async def write(
        self, batches: Sequence[WriteBatch], refused: Sequence[CommitResult | None]
    ) -> list[list[StoredMessage]]:
        """Write the batches that are not refused.

        Returns for each batch the new deliveries that this worker owns.
        """
        accepted = [batch for batch, result in zip(batches, refused, strict=True) if result is None]
        turns = [batch.turn for batch in accepted if batch.turn is not None]
        recorded = [turn for turn in turns if turn.record is not None]
        await self._write_optional(accepted, turns, recorded)
        new = [turn for turn in recorded if turn.subject not in self.locks.workflows]
        existing = [turn for turn in recorded if turn.subject in self.locks.workflows]
        deliveries = [
            (row, batch.claim_own and (row.key is None or row.key in self.locks.keys))
            for batch in accepted
            for row in batch.deliveries
        ]
        returned = await self.connection.fetch(
            self.dsn.sql(_WRITE),
            acknowledged(batches, refused),
            *columns(map(self._insert_values, new), 9),
            *columns(map(self._update_values, existing), 6),
            *records.history_columns(self._history(recorded)),
            *delivery_columns(deliveries),
            self.now,
            self.worker_id,
            channel(self.dsn),
        )
        if sum(row["kind"] == "inserted" for row in returned) != len(new):
            raise WriteConflict
        sent = sorted((row["id"], row["mine"]) for row in returned if row["kind"] == "sent")
        return _owned_rows(batches, refused, sent)

    async def _write_optional(
        self,
        batches: Sequence[WriteBatch],
        turns: Sequence[TurnRows],
        recorded: Sequence[TurnRows],
    ) -> None:
        """Write the parts that most groups lack: journals, timers, dead letters."""
        connection, dsn, workflow_id = self.connection, self.dsn, self.locks.workflow_id
        # A new journal (offset 0) takes the place of the old one.
        replaced = [
            workflow_id(turn) for turn in recorded if turn.journal and not turn.journal_offset
        ]
        await records.clear_journals(connection, dsn, replaced)
        journal = [
            (workflow_id(turn), position, entry)
            for turn in recorded
            for position, entry in enumerate(turn.journal, start=turn.journal_offset)
        ]
        await records.extend_journals(connection, dsn, journal)
        await timers.clear(connection, dsn, [id_ for turn in turns for id_ in turn.cleared_timers])
        await timers.schedule(connection, dsn, [row for turn in turns for row in turn.timers])
        await dead_letter(
            connection, dsn, [entry for batch in batches for entry in batch.dead_letters]
        )

    def _insert_values(self, turn: TurnRows) -> tuple[object, ...]:
        record = turn.record
        assert record is not None
        return (
            self.locks.workflow_id(turn),
            record.subject,
            record.handler,
            record.version,
            record.status,
            record.revision,
            record.parent,
            turn.content,
            len(turn.history),
        )

    def _update_values(self, turn: TurnRows) -> tuple[object, ...]:
        record = turn.record
        assert record is not None
        return (
            self.locks.workflow_id(turn),
            record.version,
            record.status,
            record.revision,
            turn.content,
            len(turn.history),
        )

    def _history(self, turns: Sequence[TurnRows]) -> list[tuple[int, int, HistoryRow]]:
        return [
            (
                self.locks.workflow_id(turn),
                self.locks.workflow(turn).history_length + row.position,
                row,
            )
            for turn in turns
            for row in turn.history
        ]


def _owned_rows(
    batches: Sequence[WriteBatch],
    refused: Sequence[CommitResult | None],
    sent: Sequence[tuple[int, bool]],
) -> list[list[StoredMessage]]:
    """Return for each batch its new deliveries that this worker owns.

    *sent*: the ids of all new deliveries, ascending, and whether this worker owns them. Ids are
    drawn in the order in which rows are inserted.
    """
    ids = iter(sent)
    owned: list[list[StoredMessage]] = []
    for batch, result in zip(batches, refused, strict=True):
        owned.append([])
        for row in batch.deliveries if result is None else ():
            id_, is_mine = next(ids)
            if is_mine:
                owned[-1].append(StoredMessage(id_, row.message, 1))
    return owned


# One statement, because each costs a round trip. Its parts see the tables as they were before it,
# and no part reads the changes of another.
_WRITE: Final = """
with acknowledged as (
    delete from arvo.delivery where id = any($1::bigint[])
), inserted as (
    insert into arvo.workflow
        (id, subject, handler, version, status, revision, parent, record, history_length, began,
        changed)
    select id, subject, handler, version, status, revision, parent, record, history_length, $29, $29
    from unnest(
        $2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bigint[], $8::text[],
        $9::bytea[], $10::bigint[]
    ) as new (id, subject, handler, version, status, revision, parent, record, history_length)
    order by subject on conflict (subject) do nothing returning id
), updated as (
    update arvo.workflow set
        version = new.version, status = new.status, revision = new.revision, record = new.record,
        changed = $29, history_length = workflow.history_length + new.history_length
    from unnest($11::bigint[], $12::text[], $13::text[], $14::bigint[], $15::bytea[], $16::bigint[])
        as new (id, version, status, revision, record, history_length)
    where workflow.id = new.id
), history as (
    insert into arvo.history (workflow, position, revision, kind, at, event)
    select * from unnest(
        $17::bigint[], $18::bigint[], $19::bigint[], $20::text[], $21::timestamptz[], $22::bytea[]
    )
), sent as (
    insert into arvo.delivery (queue, key, destination, event, cancels, attempt, due, owner)
    select queue, key, destination, event, cancels, 1, '-infinity', case when own
        and not exists (select from arvo.delivery as other
            where other.key = new.key and other.owner < $30)
        and not exists (select from arvo.delivery as other
            where other.key = new.key and other.owner > $30)
        and not exists (select from arvo.delivery as other
            where other.key = new.key and other.owner is null
                and (other.due <= $29 or not other.deferred))
        then $30::bigint end
    from unnest(
        $23::text[], $24::bigint[], $25::bytea[], $26::bytea[], $27::boolean[], $28::boolean[]
    ) with ordinality as new (queue, key, destination, event, cancels, own, place)
    order by place returning id, owner is not null as mine
)
select 'inserted' as kind, id, true as mine from inserted
union all select 'sent', id, mine from sent
union all select 'notified', 0, true from (
    select pg_notify($31, '') where exists (select from sent where not mine)
) as notified
"""
