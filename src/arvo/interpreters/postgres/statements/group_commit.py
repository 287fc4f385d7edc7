"""Group commit: many batches, written in one transaction of few statements."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, final

from attrs import evolve, frozen

from arvo.core.events.subject import workflow_id_of
from arvo.core.labels import label_lines
from arvo.interpreters.delivery.codec import StoredMessage
from arvo.interpreters.delivery.record_log import RecordEntry, next_entry
from arvo.interpreters.ports.results import Committed
from arvo.interpreters.postgres.connection.dsn import Connection, Dsn
from arvo.interpreters.postgres.limits.release import release
from arvo.interpreters.postgres.statements import records, timers
from arvo.interpreters.postgres.statements.columns import columns
from arvo.interpreters.postgres.statements.dead_letters import dead_letter
from arvo.interpreters.postgres.statements.deliveries import delivery_columns
from arvo.interpreters.postgres.statements.group_locks import (
    GroupLocks,
    lock_group,
    lock_ids,
    needs_no_locks,
)
from arvo.interpreters.postgres.statements.refusals import Refusal, acknowledged, refusals
from arvo.interpreters.postgres.statements.write_batch import (
    Changes,
    DeliveryRow,
    HistoryRow,
    WorkflowRows,
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

    No two batches may share a consumed event or a subject (see `WriteBatch.exclusive_keys`). Each
    of them is written whole or not at all. Raises `WriteConflict` or an error of the driver; then
    nothing was written.
    """
    if needs_no_locks(batches):
        refused: list[Refusal | None] = [None] * len(batches)
        group = _Group(connection, dsn, worker_id, now, GroupLocks())
        rows = await group.write(batches, refused)
    else:
        async with connection.transaction():
            holders = await lock_ids(connection, dsn, batches)
            locks = await lock_group(connection, dsn, worker_id, batches, now)
            refused = await refusals(connection, dsn, batches, locks, holders, now)
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
        self, batches: Sequence[WriteBatch], refused: Sequence[Refusal | None]
    ) -> list[list[StoredMessage]]:
        """Write the batches that are not refused.

        Returns for each batch the new deliveries that this worker owns.
        """
        accepted = [batch for batch, result in zip(batches, refused, strict=True) if result is None]
        changes = [batch.changes for batch in accepted]
        recorded = [rows for each in changes for rows in each.workflows]
        entries = [(rows, self._next_entry(rows)) for rows in recorded]
        await self._write_optional(accepted, changes, entries)
        known = self.locks.workflows
        new = [each for each in entries if each[0].record.subject not in known]
        existing = [each for each in entries if each[0].record.subject in known]
        deliveries = [
            (row, self._may_own(batch, row)) for batch in accepted for row in batch.deliveries
        ]
        returned = await self.connection.fetch(
            self.dsn.sql(_WRITE),
            acknowledged(batches, refused),
            *columns((self._insert_values(*each) for each in new), 12),
            *columns((self._update_values(*each) for each in existing), 8),
            *records.history_columns(self._history(recorded)),
            *delivery_columns(deliveries),
            self.now,
            self.worker_id,
            self.dsn.channel,
        )
        if sum(row["kind"] == "inserted" for row in returned) != len(new):
            raise WriteConflict
        await self._free_slots(batches, refused)
        sent = sorted((row["id"], row["mine"]) for row in returned if row["kind"] == "sent")
        return _owned_rows(batches, refused, sent)

    def _may_own(self, batch: WriteBatch, row: DeliveryRow) -> bool:
        is_wanted = batch.claim_own and row.queue not in batch.unowned
        return is_wanted and (row.key is None or row.key in self.locks.keys)

    async def _write_optional(
        self,
        batches: Sequence[WriteBatch],
        changes: Sequence[Changes],
        entries: Sequence[tuple[WorkflowRows, RecordEntry]],
    ) -> None:
        """Write the parts that most groups lack: logs of records, timers, dead letters."""
        connection, dsn = self.connection, self.dsn
        logs = [
            (
                evolve(self._workflow(rows), id=self._workflow_id(rows)),
                rows.record.revision,
                entry,
            )
            for rows, entry in entries
        ]
        await records.write_logs(connection, dsn, logs)
        await timers.clear(
            connection, dsn, [id_ for each in changes for id_ in each.cleared_timers]
        )
        await timers.schedule(connection, dsn, [row for each in changes for row in each.timers])
        await dead_letter(
            connection, dsn, [entry for batch in batches for entry in batch.dead_letters]
        )

    async def _free_slots(
        self, batches: Sequence[WriteBatch], refused: Sequence[Refusal | None]
    ) -> None:
        """Free the slots of the deliveries that were removed."""
        holding = [
            batch
            for batch, result in zip(batches, refused, strict=True)
            if batch.slots and acknowledged([batch], [result])
        ]
        if holding:
            ids = [id_ for batch in holding for id_ in batch.delivery_ids]
            slots = [slot for batch in holding for slot in batch.slots]
            await release(self.connection, self.dsn, ids, slots)

    def _next_entry(self, rows: WorkflowRows) -> RecordEntry:
        return next_entry(rows.record, rows.before, self._workflow(rows).room, self.dsn.codec)

    def _workflow(self, rows: WorkflowRows) -> records.WorkflowRow:
        return self.locks.workflow(rows.record.subject)

    def _workflow_id(self, rows: WorkflowRows) -> int:
        return self.locks.workflow_id(rows.record.subject)

    def _insert_values(self, rows: WorkflowRows, entry: RecordEntry) -> tuple[object, ...]:
        record = rows.record
        return (
            self._workflow_id(rows),
            record.subject,
            record.handler,
            record.version,
            record.status,
            record.revision,
            record.parent,
            entry.in_row,
            len(rows.history),
            entry.room,
            workflow_id_of(record.subject) or None,
            label_lines(record.labels),
        )

    def _update_values(self, rows: WorkflowRows, entry: RecordEntry) -> tuple[object, ...]:
        record = rows.record
        return (
            self._workflow_id(rows),
            record.version,
            record.status,
            record.revision,
            entry.in_row,
            len(rows.history),
            entry.room,
            label_lines(record.labels),
        )

    def _history(self, recorded: Sequence[WorkflowRows]) -> list[tuple[int, int, HistoryRow]]:
        return [
            (
                self._workflow_id(rows),
                self._workflow(rows).history_length + row.position,
                row,
            )
            for rows in recorded
            for row in rows.history
        ]


def _owned_rows(
    batches: Sequence[WriteBatch],
    refused: Sequence[Refusal | None],
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
        (id, subject, handler, version, status, revision, parent, record, history_length, room,
        workflow_id, labels, began, changed)
    select id, subject, handler, version, status, revision, parent, record, history_length, room,
        workflow_id, labels, $34, $34
    from unnest(
        $2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bigint[], $8::text[],
        $9::bytea[], $10::bigint[], $11::bigint[], $12::text[], $13::text[]
    ) as new
        (id, subject, handler, version, status, revision, parent, record, history_length, room,
        workflow_id, labels)
    order by subject on conflict (subject) do nothing returning id
), updated as (
    update arvo.workflow set
        version = new.version, status = new.status, revision = new.revision, record = new.record,
        changed = $34, history_length = workflow.history_length + new.history_length,
        room = new.room, labels = new.labels
    from unnest(
        $14::bigint[], $15::text[], $16::text[], $17::bigint[], $18::bytea[], $19::bigint[],
        $20::bigint[], $21::text[]
    ) as new (id, version, status, revision, record, history_length, room, labels)
    where workflow.id = new.id
), history as (
    insert into arvo.history (workflow, position, revision, kind, at, event)
    select * from unnest(
        $22::bigint[], $23::bigint[], $24::bigint[], $25::text[], $26::timestamptz[], $27::bytea[]
    )
), sent as (
    insert into arvo.delivery (queue, key, destination, event, cancels, attempt, due, owner)
    select queue, key, destination, event, cancels, 1, '-infinity', case when own
        and not exists (select from arvo.delivery as other
            where other.key = new.key and other.owner < $35)
        and not exists (select from arvo.delivery as other
            where other.key = new.key and other.owner > $35)
        and not exists (select from arvo.delivery as other
            where other.key = new.key and other.owner is null
                and (other.due <= $34 or not other.deferred))
        then $35::bigint end
    from unnest(
        $28::text[], $29::bigint[], $30::bytea[], $31::bytea[], $32::boolean[], $33::boolean[]
    ) with ordinality as new (queue, key, destination, event, cancels, own, place)
    order by place returning id, owner is not null as mine
)
select 'inserted' as kind, id, true as mine from inserted
union all select 'sent', id, mine from sent
union all select 'notified', 0, true from (
    select pg_notify($36, '') where exists (select from sent where not mine)
) as notified
"""
