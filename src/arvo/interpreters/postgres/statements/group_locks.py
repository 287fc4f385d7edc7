"""Group locks: the rows and keys that a group of batches needs, locked in one statement."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, final

import asyncpg
from attrs import define, field

from arvo.core.begin import find_holder
from arvo.core.events.event import Event
from arvo.core.record import Record
from arvo.interpreters.ports.results import Conflict, Duplicate, Fenced
from arvo.interpreters.postgres.connection.dsn import Connection, Dsn
from arvo.interpreters.postgres.statements.cancellations import decode_cancellations
from arvo.interpreters.postgres.statements.columns import columns
from arvo.interpreters.postgres.statements.queries import with_ids
from arvo.interpreters.postgres.statements.records import WorkflowRow
from arvo.interpreters.postgres.statements.write_batch import TurnRow, WriteBatch

# Keys that one transaction may lock: the server's lock table is bounded. A message whose key is not
# locked stays unclaimed, and a chain that passes such a key is refused.
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

    def workflow(self, subject: str) -> WorkflowRow:
        """Return the row of a workflow, with zeros for a new one."""
        return self.workflows.get(subject, _NO_WORKFLOW)

    def workflow_id(self, subject: str) -> int:
        """Return the id of a workflow, new or not."""
        return self.workflow(subject).id or self.new_ids[subject]

    def refusal(self, batch: WriteBatch) -> Conflict | Fenced | Duplicate | None:
        """Return why a batch cannot be written, None if it can."""
        turns = batch.changes.turns
        for turn in turns:
            if turn.subject is not None:
                revision = self.workflow(turn.subject).revision
                if revision != turn.expected:
                    return Conflict(revision)
        if not self.delivery_ids.issuperset(batch.delivery_ids):
            return Fenced()
        if not all(turn.digest in self.digests for turn in turns):
            return Duplicate()
        return None


_NO_WORKFLOW: Final = WorkflowRow(0, 0, 0, 0)


def needs_no_locks(batches: Sequence[WriteBatch]) -> bool:
    """Return True if the batches only send messages that any worker may claim."""
    return not any(
        batch.delivery_ids
        or batch.changes.turns
        or batch.dead_letters
        or (batch.claim_own and batch.deliveries)
        for batch in batches
    )


async def lock_ids(
    connection: Connection, dsn: Dsn, batches: Sequence[WriteBatch]
) -> Mapping[int, Record]:
    """Lock the workflow ids that batches begin, and find those that other runs have.

    Returns the record of such a run by the place of the batch. A unique index would not do: which
    runs that have ended allow another one depends on the policy of the event, and a run may end in
    the commit that begins it. So two transactions that begin one id follow each other: both take
    an advisory lock, and what the first one has written is visible once the second one has it.

    These are the first locks of every transaction, and taken in order, so that no two transactions
    wait for each other.
    """
    begun = {
        place: batch.changes.begun for place, batch in enumerate(batches) if batch.changes.begun
    }
    keys = {key: None for events in begun.values() for key in events}
    if not keys:
        return {}
    locks = sorted({dsn.hash(f"(workflow id) {handler}/{id_}") for handler, id_ in keys})
    await connection.execute(dsn.sql(_LOCK_IDS), locks)
    # A statement of its own: that of the locks does not see what it has waited for.
    runs = await with_ids(connection, dsn, list(keys))
    return {
        place: holder
        for place, events in begun.items()
        for key, event in events.items()
        if (holder := find_holder(runs.get(key, ()), event)) is not None
    }


_LOCK_IDS: Final = "select pg_advisory_xact_lock(key) from unnest($1::bigint[]) as wanted (key)"


async def lock_group(
    connection: Connection,
    dsn: Dsn,
    worker_id: int,
    batches: Sequence[WriteBatch],
    now: datetime,
) -> GroupLocks:
    """Lock the deliveries, workflows and keys of a group, and mark its events as consumed.

    Every transaction takes its locks in the same order, so that no two wait for each other:
    workflow ids (`lock_ids`), deliveries, workflows, the inbox, new workflows; for keys none waits.
    """
    turns = [each for batch in batches for each in _turns(batch)]
    compared = [
        (delivery_id, turn.subject, turn.expected, turn.digest, turn.event_digest)
        for delivery_id, turn in turns
    ]
    rows = await connection.fetch(
        dsn.sql(_LOCK),
        [id_ for batch in batches for id_ in batch.delivery_ids],
        worker_id,
        list({turn.subject: None for _, turn in turns if turn.subject is not None}),
        _wanted_keys(batches),
        *columns(compared, 5),
        now,
        list({turn.yields_by: None for _, turn in turns if turn.yields_by is not None}),
    )
    return _read_locks(rows, dsn)


def _turns(batch: WriteBatch) -> Iterator[tuple[int | None, TurnRow]]:
    """Yield the turns of a batch, each with the delivery that this worker has to own for it."""
    own = iter(batch.delivery_ids)
    first = batch.delivery_ids[0] if batch.delivery_ids else None
    for turn in batch.changes.turns:
        yield next(own, first), turn


def _read_locks(rows: Iterable[asyncpg.Record], dsn: Dsn) -> GroupLocks:
    locks = GroupLocks()
    for kind, id_, subject, revision, history_length, room, digest in rows:
        match kind:
            case "delivery":
                locks.delivery_ids.add(id_)
            case "workflow":
                locks.workflows[subject] = WorkflowRow(id_, revision, history_length, room)
            case "key":
                locks.keys.add(id_)
            case "new":
                locks.new_ids[subject] = id_
            case "cancellation":
                locks.cancellations.setdefault(id_, []).extend(decode_cancellations([digest], dsn))
            case _:
                locks.digests.add(digest)
    return locks


def _wanted_keys(batches: Sequence[WriteBatch]) -> list[int]:
    # A dict keeps the order: first those that a chain cannot do without.
    keys = {key: None for batch in batches for key in batch.passing_keys}
    for batch in batches:
        if batch.claim_own:
            keys.update((row.key, None) for row in batch.deliveries if row.key is not None)
    return list(keys)[:KEYS_MAX]


_LOCK: Final = """
with mine as materialized (
    select id from arvo.delivery
    where id = any($1::bigint[]) and owner = $2 order by id for update
), locked as materialized (
    select id, subject, revision, history_length, room from arvo.workflow
    where subject = any($3::text[]) order by subject for update
), turn as materialized (
    select * from unnest($5::bigint[], $6::text[], $7::bigint[], $8::bytea[], $9::text[])
        as turn (delivery, subject, expected, digest, content)
), marked as (
    insert into arvo.inbox (digest, at, content)
    select turn.digest, $10, turn.content from turn left join mine on mine.id = turn.delivery
    left join locked on locked.subject = turn.subject
    where (turn.delivery is null or mine.id is not null)
        and (turn.subject is null or coalesce(locked.revision, 0) = turn.expected)
    order by turn.digest on conflict do nothing returning digest
)
select 'delivery' as kind, id, null as subject, 0 as revision, 0 as history_length,
    0 as room, null::bytea as digest
    from mine
union all select 'workflow', id, subject, revision, history_length, room, null from locked
union all select 'key', key, null, 0, 0, 0, null
    from unnest($4::bigint[]) as wanted (key) where pg_try_advisory_xact_lock(key)
union all select 'new', nextval('arvo.workflow_id_seq'), subject, 0, 0, 0, null
    from (select distinct subject from turn where expected = 0 and subject is not null) as new
union all select 'marked', 0, null, 0, 0, 0, digest from marked
union all select * from (
    select 'cancellation', key, null, 0, 0, 0, event from arvo.delivery
    where key = any($11::bigint[]) and cancels order by id
) as waiting
"""
