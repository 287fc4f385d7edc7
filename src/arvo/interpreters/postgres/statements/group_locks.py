"""Group locks: the rows and keys that a group of batches needs, locked in one statement."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final, final

import asyncpg
from attrs import define, field

from arvo.core.events.event import Event
from arvo.interpreters.delivery.codec import decode_event
from arvo.interpreters.ports.results import (
    CancellationPending,
    CommitResult,
    Conflict,
    Duplicate,
    Fenced,
)
from arvo.interpreters.postgres.connection.dsn import Connection, Dsn
from arvo.interpreters.postgres.statements.cancellations import (
    CONSUMED,
    choose,
    consumed_cancellations,
)
from arvo.interpreters.postgres.statements.columns import columns
from arvo.interpreters.postgres.statements.records import WorkflowRow
from arvo.interpreters.postgres.statements.write_batch import TurnRows, WriteBatch

# Keys that one transaction may lock for the messages it sends: the server's lock table is bounded.
# A message whose key is not locked stays unclaimed.
KEYS_MAX: Final = 256


@final
@define(eq=False)
class GroupLocks:
    """The rows and keys that a transaction has locked.

    *delivery_ids*: the deliveries that this worker still owns. *digests*: the events that are now
    marked as consumed, and were not before. *workflows*: the existing workflows by subject.
    *new_ids*: ids for the others, which their history needs before they are written. *keys*: the
    locked ordering keys. *cancellations*: those that wait for the workflows of the group.
    """

    delivery_ids: set[int] = field(factory=set)
    digests: set[bytes] = field(factory=set)
    workflows: dict[str, WorkflowRow] = field(factory=dict)
    new_ids: dict[str, int] = field(factory=dict)
    keys: set[int] = field(factory=set)
    cancellations: dict[int, list[Event[Any]]] = field(factory=dict)

    def workflow(self, turn: TurnRows) -> WorkflowRow:
        """Return the row of a turn's workflow, with zeros for a new one."""
        return self.workflows.get(turn.subject or "", _NO_WORKFLOW)

    def workflow_id(self, turn: TurnRows) -> int:
        """Return the id of a turn's workflow, new or not."""
        return self.workflow(turn).id or self.new_ids[turn.subject or ""]

    def refusal(self, batch: WriteBatch) -> CommitResult | None:
        """Return why a batch cannot be written, None if it can."""
        turn = batch.turn
        if turn is not None and turn.subject is not None:
            revision = self.workflow(turn).revision
            if revision != turn.expected:
                return Conflict(revision)
        if batch.delivery_id is not None and batch.delivery_id not in self.delivery_ids:
            return Fenced()
        if turn is not None and turn.digest not in self.digests:
            return Duplicate()
        return None


_NO_WORKFLOW: Final = WorkflowRow(0, 0, 0)


def needs_no_locks(batches: Sequence[WriteBatch]) -> bool:
    """Return True if the batches only send messages that any worker may claim."""
    return not any(
        batch.delivery_id is not None
        or batch.dead_letters
        or (batch.claim_own and batch.deliveries)
        for batch in batches
    )


async def lock_group(
    connection: Connection,
    dsn: Dsn,
    worker_id: int,
    batches: Sequence[WriteBatch],
    now: datetime,
) -> GroupLocks:
    """Lock the deliveries, workflows and keys of a group, and mark its events as consumed.

    Every transaction takes its locks in the same order, so that no two wait for each other:
    deliveries, workflows, the inbox, new workflows; for keys none waits.
    """
    turns = [batch.turn for batch in batches if batch.turn is not None]
    compared = [
        (batch.delivery_id, batch.turn.subject, batch.turn.expected, batch.turn.digest)
        for batch in batches
        if batch.turn is not None
    ]
    rows = await connection.fetch(
        dsn.sql(_LOCK),
        [batch.delivery_id for batch in batches if batch.delivery_id is not None],
        worker_id,
        [turn.subject for turn in turns if turn.subject is not None],
        _wanted_keys(batches),
        *columns(compared, 4),
        now,
        [turn.yields_by for turn in turns if turn.yields_by is not None],
    )
    return _read_locks(rows)


def _read_locks(rows: Iterable[asyncpg.Record]) -> GroupLocks:
    locks = GroupLocks()
    for kind, id_, subject, revision, history_length, digest in rows:
        match kind:
            case "delivery":
                locks.delivery_ids.add(id_)
            case "workflow":
                locks.workflows[subject] = WorkflowRow(id_, revision, history_length)
            case "key":
                locks.keys.add(id_)
            case "new":
                locks.new_ids[subject] = id_
            case "cancellation":
                locks.cancellations.setdefault(id_, []).append(decode_event(digest))
            case _:
                locks.digests.add(digest)
    return locks


def _wanted_keys(batches: Sequence[WriteBatch]) -> list[int]:
    # A dict keeps the order.
    keys = {
        row.key: None
        for batch in batches
        if batch.claim_own
        for row in batch.deliveries
        if row.key is not None
    }
    return list(keys)[:KEYS_MAX]


_LOCK: Final = """
with mine as materialized (
    select id from arvo.delivery
    where id = any($1::bigint[]) and owner = $2 order by id for update
), locked as materialized (
    select id, subject, revision, history_length from arvo.workflow
    where subject = any($3::text[]) order by subject for update
), turn as materialized (
    select * from unnest($5::bigint[], $6::text[], $7::bigint[], $8::bytea[])
        as turn (delivery, subject, expected, digest)
), marked as (
    insert into arvo.inbox (digest, at)
    select turn.digest, $9 from turn join mine on mine.id = turn.delivery
    left join locked on locked.subject = turn.subject
    where turn.subject is null or coalesce(locked.revision, 0) = turn.expected
    order by turn.digest on conflict do nothing returning digest
)
select 'delivery' as kind, id, null as subject, 0 as revision, 0 as history_length,
    null::bytea as digest
    from mine
union all select 'workflow', id, subject, revision, history_length, null from locked
union all select 'key', key, null, 0, 0, null
    from unnest($4::bigint[]) as wanted (key) where pg_try_advisory_xact_lock(key)
union all select 'new', nextval('arvo.workflow_id_seq'), subject, 0, 0, null
    from turn where expected = 0 and subject is not null
union all select 'marked', 0, null, 0, 0, digest from marked
union all select * from (
    select 'cancellation', key, null, 0, 0, event from arvo.delivery
    where key = any($10::bigint[]) and cancels order by id
) as waiting
"""


async def refusals(
    connection: Connection, dsn: Dsn, batches: Sequence[WriteBatch], locks: GroupLocks
) -> list[CommitResult | None]:
    """Return for each batch why it cannot be written, None if it can.

    Distinguishes a redelivered event from a lost race: on `Conflict` the worker steps again, which
    would be wasted on an event that was consumed.
    """
    results = [locks.refusal(batch) for batch in batches]
    outdated = [
        (place, batch.turn.digest)
        for place, batch in enumerate(batches)
        if batch.turn is not None and isinstance(results[place], Conflict)
    ]
    if outdated:
        digests = list({digest for _, digest in outdated})
        rows = await connection.fetch(dsn.sql(CONSUMED), digests)
        consumed = {row["digest"] for row in rows}
        for place, digest in outdated:
            if digest in consumed:
                is_owned = batches[place].delivery_id in locks.delivery_ids
                results[place] = Duplicate() if is_owned else Fenced()
    if locks.cancellations:
        await _yield_to_cancellations(connection, dsn, batches, locks, results)
    return results


async def _yield_to_cancellations(
    connection: Connection,
    dsn: Dsn,
    batches: Sequence[WriteBatch],
    locks: GroupLocks,
    results: list[CommitResult | None],
) -> None:
    """Refuse the turns whose workflow has a pending cancellation; their events stay unconsumed."""
    consumed = await consumed_cancellations(connection, dsn, locks.cancellations)
    unmarked: list[bytes] = []
    for place, batch in enumerate(batches):
        turn, delivery = batch.turn, batch.delivery
        if results[place] is None and turn is not None and delivery is not None:
            waiting = locks.cancellations.get(turn.yields_by or 0, ())
            cancellation = choose(waiting, delivery, consumed)
            if turn.yields_by is not None and cancellation is not None:
                results[place] = CancellationPending(cancellation)
                unmarked.append(turn.digest)
    if unmarked:
        await connection.execute(dsn.sql(_UNMARK), unmarked)


_UNMARK: Final = "delete from arvo.inbox where digest = any($1::bytea[])"


def acknowledged(
    batches: Sequence[WriteBatch], refused: Sequence[CommitResult | None]
) -> list[int]:
    """Return the deliveries to remove: also those of duplicates."""
    return [
        batch.delivery_id
        for batch, result in zip(batches, refused, strict=True)
        if batch.delivery_id is not None and not isinstance(result, _KEEPS_DELIVERY)
    ]


_KEEPS_DELIVERY: Final = (CancellationPending, Conflict, Fenced)
