"""Refusals: why commits and chains are refused, and whether one would be, before its effects."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final, TypeAlias

from arvo.core.events.digest import inbox_digest
from arvo.core.record import Record
from arvo.interpreters.delivery.codec import consumption_digest
from arvo.interpreters.ports.messages import Message, queue_of
from arvo.interpreters.ports.results import (
    CancellationPending,
    Conflict,
    Duplicate,
    Fenced,
    IdReused,
    WorkflowIdTaken,
    compare_digests,
)
from arvo.interpreters.postgres.connection.dsn import Connection, Dsn
from arvo.interpreters.postgres.statements.cancellations import (
    CONSUMED,
    choose,
    consumed_cancellations,
)
from arvo.interpreters.postgres.statements.columns import columns
from arvo.interpreters.postgres.statements.group_locks import GroupLocks
from arvo.interpreters.postgres.statements.write_batch import ChainRefused, WriteBatch

# Why a batch is not written.
Refusal: TypeAlias = (
    CancellationPending | ChainRefused | Conflict | Duplicate | Fenced | IdReused | WorkflowIdTaken
)


async def find_refusal(
    connection: Connection,
    dsn: Dsn,
    message: Message,
    owned: tuple[int, int],
    expected: int | None,
) -> Conflict | Duplicate | IdReused | Fenced | None:
    """Return why a turn of a message would be refused, None if it would not.

    *owned*: the id of its delivery, and the worker that should own it.
    """
    digest = consumption_digest(queue_of(message.to), message.event)
    row = await connection.fetchrow(dsn.sql(_STATE), *owned, digest, message.event.subject)
    assert row is not None
    if not row["is_owned"]:
        return Fenced()
    if row["consumed"] is not None:
        return compare_digests(row["consumed"], inbox_digest(message.event))
    revision = row["revision"]
    return None if expected in (None, revision) else Conflict(revision)


async def find_consumption(
    connection: Connection, dsn: Dsn, message: Message
) -> Duplicate | IdReused | None:
    """Return the refusal of a message that was consumed before."""
    digest = consumption_digest(queue_of(message.to), message.event)
    row = await connection.fetchrow(dsn.sql(CONSUMED), [digest])
    if row is None:
        return None
    return compare_digests(row["content"] or "", inbox_digest(message.event))


_STATE: Final = """
select exists (select from arvo.delivery where id = $1 and owner = $2) as is_owned,
    (select coalesce(content, '') from arvo.inbox where digest = $3) as consumed,
    coalesce((select revision from arvo.workflow where subject = $4), 0) as revision
"""


async def refusals(
    connection: Connection,
    dsn: Dsn,
    batches: Sequence[WriteBatch],
    locks: GroupLocks,
    holders: Mapping[int, Record],
    now: datetime,
) -> list[Refusal | None]:
    """Return for each batch why it cannot be written, None if it can.

    *holders*: the runs that have a workflow id which a batch begins, by the place of the batch.
    The events of a batch that is refused are not marked as consumed, unless they were before.
    """
    results: list[Refusal | None] = [locks.refusal(batch) for batch in batches]
    await _find_consumed(connection, dsn, batches, locks, results)
    if locks.cancellations:
        await _yield_to_cancellations(connection, dsn, batches, locks, results)
    for place, holder in holders.items():
        results[place] = results[place] or WorkflowIdTaken(holder)
    await _refuse_chains(connection, dsn, batches, locks, results, now)
    unmarked = [
        turn.digest
        for batch, result in zip(batches, results, strict=True)
        if isinstance(result, _UNMARKS)
        for turn in batch.changes.turns
        # The others were marked before, by another transaction.
        if turn.digest in locks.digests
    ]
    if unmarked:
        await connection.execute(dsn.sql(_UNMARK), unmarked)
    return results


_UNMARKS: Final = (CancellationPending, ChainRefused, WorkflowIdTaken)
_UNMARK: Final = "delete from arvo.inbox where digest = any($1::bytea[])"


async def _find_consumed(
    connection: Connection,
    dsn: Dsn,
    batches: Sequence[WriteBatch],
    locks: GroupLocks,
    results: list[Refusal | None],
) -> None:
    """Distinguish a redelivered event from a lost race: on `Conflict` the worker steps again, which
    would be wasted on an event that was consumed. And from another event with the same id.
    """
    doubtful = {
        place: turn
        for place, batch in enumerate(batches)
        if not batch.is_chain and isinstance(results[place], Conflict | Duplicate)
        for turn in batch.changes.turns
    }
    if not doubtful:
        return
    digests = list({turn.digest for turn in doubtful.values()})
    # A statement of its own: that of the locks does not see what it has waited for.
    rows = await connection.fetch(dsn.sql(CONSUMED), digests)
    consumed = {row["digest"]: row["content"] for row in rows}
    for place, turn in doubtful.items():
        if turn.digest in consumed:
            is_owned = locks.delivery_ids.issuperset(batches[place].delivery_ids)
            found = compare_digests(consumed[turn.digest], turn.event_digest)
            results[place] = found if is_owned else Fenced()


async def _yield_to_cancellations(
    connection: Connection,
    dsn: Dsn,
    batches: Sequence[WriteBatch],
    locks: GroupLocks,
    results: list[Refusal | None],
) -> None:
    """Refuse the turns whose workflow has a pending cancellation."""
    consumed = await consumed_cancellations(connection, dsn, locks.cancellations)
    for place, batch in enumerate(batches):
        delivery = batch.delivery
        if results[place] is not None or batch.is_chain or delivery is None:
            continue
        for turn in batch.changes.turns:
            waiting = locks.cancellations.get(turn.yields_by or 0, ())
            cancellation = choose(waiting, delivery, consumed)
            if turn.yields_by is not None and cancellation is not None:
                results[place] = CancellationPending(cancellation)


async def _refuse_chains(
    connection: Connection,
    dsn: Dsn,
    batches: Sequence[WriteBatch],
    locks: GroupLocks,
    results: list[Refusal | None],
    now: datetime,
) -> None:
    """Refuse the chains with a turn that is refused, or with one that other events wait for.

    A chain consumes events that have no row, so no ownership of a row protects their order (I4).
    Every statement sees what was committed when it began, and other processes write meanwhile.
    This is why no turn of a passing key is taken beside the chain, or too early:

    - Only a transaction that holds the advisory lock of a key gives a row of that key an owner
      (`claim`, and the commit of a sender that owns its messages at once), and it holds the lock
      until it has committed. The chain has the locks of all its passing keys before the query for
      other rows begins. So that query sees every row that has an owner, and there is no new owner
      before the chain has committed: no other worker processes an event of these keys meanwhile.
    - A row that the query does not see was not committed when it began, so its sender does not know
      yet that it was accepted; nor does any process know of the chain. Neither event came before
      the other. All that was accepted before the chain's own message was sent is seen.
    - A turn that another worker has committed since the chain was stepped has changed the revision
      of the workflow. Its row is locked, and a new one is unique (see `WriteConflict`).

    Rows that are deferred to a later time hold back no others of their key, as in `claim`.
    """
    passing: list[tuple[int, int]] = []
    own: list[tuple[int, int]] = []
    for place, batch in enumerate(batches):
        if not batch.is_chain:
            continue
        if results[place] is not None or not _may_pass(batch, locks):
            results[place] = ChainRefused()
        else:
            passing += ((place, key) for key in batch.passing_keys)
            own += ((place, id_) for id_ in batch.delivery_ids if batch.passing_keys)
    if passing:
        # A statement of its own: that of the locks saw each key as it was before it was locked.
        for row in await connection.fetch(
            dsn.sql(_BUSY), *columns(passing, 2), *columns(own, 2), now
        ):
            results[row["place"]] = ChainRefused()


def _may_pass(batch: WriteBatch, locks: GroupLocks) -> bool:
    """Return whether a chain has its locks, yields to none, and consumes no event and begins no
    workflow id twice.
    """
    turns = batch.changes.turns
    return (
        batch.changes.begun is not None
        and all(key in locks.keys for key in batch.passing_keys)
        and not any(turn.yields_by in locks.cancellations for turn in turns)
        and len({turn.digest for turn in turns}) == len(turns)
    )


# One index lookup for each key; see `claim`.
_BUSY: Final = """
select place
from unnest($1::integer[], $2::bigint[]) as passing (place, key)
where (
    select true from arvo.delivery as other
    where other.key = passing.key and not exists (
            select from unnest($3::integer[], $4::bigint[]) as own (place, delivery)
            where own.place = passing.place and own.delivery = other.id
        )
        and (other.due <= $5 or not other.deferred) limit 1
)
"""


def acknowledged(batches: Sequence[WriteBatch], refused: Sequence[Refusal | None]) -> list[int]:
    """Return the deliveries to remove: also those of duplicates."""
    return [
        id_
        for batch, result in zip(batches, refused, strict=True)
        if result is None or isinstance(result, Duplicate)
        for id_ in batch.delivery_ids
    ]
