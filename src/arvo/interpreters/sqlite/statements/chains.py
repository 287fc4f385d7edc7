"""Chains: the turns of many messages, each chain written whole or not at all."""

import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import chain as concatenate
from itertools import compress
from typing import Final, TypeVar, final

import orjson
from attrs import define

from arvo.core.begin import begun_id, begun_ids, find_holder
from arvo.core.commit import Commit
from arvo.core.record import Record
from arvo.interpreters.codecs.codec import Codec
from arvo.interpreters.delivery.claims import token_of
from arvo.interpreters.delivery.codec import StoredMessage
from arvo.interpreters.ports.chains import CommitChain
from arvo.interpreters.ports.messages import is_cancellation, key_of, yields_to_cancellation
from arvo.interpreters.sqlite.connection.in_place import codec_of
from arvo.interpreters.sqlite.statements import deliveries, queries, records
from arvo.interpreters.sqlite.statements.deliveries import delivery_id
from arvo.interpreters.sqlite.statements.values import select
from arvo.interpreters.sqlite.statements.write_batch import (
    MARK,
    change_of,
    inbox_row,
    write_timers,
)

T = TypeVar("T")


def write_chains(
    connection: sqlite3.Connection,
    chains: Sequence[CommitChain],
    worker_id: str,
    owner: str | None,
    now: int,
    unowned: Collection[str] = (),
) -> tuple[list[bool], list[StoredMessage]]:
    """Write those chains that are not refused, in the transaction of the caller.

    Returns for each chain whether it was written, and the new deliveries that *owner* owns. All
    chains are checked, and then written together: each statement costs the thread a hand-over of
    the interpreter. *worker_id* has to own the deliveries of a chain. *unowned*: see
    `deliveries.send`.
    """
    marks = [[inbox_row(commit, now) for commit in chain.commits] for chain in chains]
    digests = [[digest for digest, *_ in rows] for rows in marks]
    ids = [[delivery_id(delivery) for delivery in chain.deliveries] for chain in chains]
    stored = _read(connection, chains, _all(ids), _all(digests), (worker_id, now))
    is_written = [
        all(token_of(each).worker_id == worker_id for each in chain.deliveries)
        and stored.accept(chain, own, marked)
        for chain, own, marked in zip(chains, ids, digests, strict=True)
    ]
    written = list(compress(chains, is_written))
    deliveries.remove(connection, _all(compress(ids, is_written)))
    connection.executemany(MARK, _all(compress(marks, is_written)))
    codec = codec_of(connection)
    changes = [
        change for chain in written for change in _changes(chain, stored.workflows, now, codec)
    ]
    records.write_workflows(connection, changes, now)
    write_timers(connection, [commit for chain in written for commit in chain.commits])
    messages = [message for chain in written for message in chain.messages]
    return is_written, deliveries.send(connection, messages, now, owner, unowned)


def _all(parts: Iterable[Sequence[T]]) -> list[T]:
    return list(concatenate.from_iterable(parts))


@final
@define(eq=False)
class _Stored:
    """The contents of the file that chains depend on, with those that were accepted.

    *owned*: those of their deliveries that the worker owns. *workflows*: by subject. *busy*: the
    keys that a chain passes and of which there is another message. *cancelled*: the keys for which
    a cancellation is under way. *consumed*: the digests of consumptions that were marked. *runs*:
    those that have the workflow ids which chains begin, by `begun_id`.
    """

    owned: set[int]
    workflows: dict[str, records.WorkflowRow]
    busy: set[str]
    cancelled: set[str]
    consumed: set[bytes]
    runs: dict[tuple[str, str], list[Record]]

    def accept(self, chain: CommitChain, ids: Sequence[int], digests: Sequence[bytes]) -> bool:
        """Return whether a chain is written; its digests and messages then count for the next.

        *ids*: of its deliveries.
        """
        own = set(digests)
        is_new = len(own) == len(digests) and self.consumed.isdisjoint(own)
        if not is_new or not self.owned.issuperset(ids):
            return False
        for subject, expected in chain.expected.items():
            row = self.workflows.get(subject)
            if expected != (0 if row is None else row.revision):
                return False
        passing = chain.passing_keys
        if not self.busy.isdisjoint(passing):
            return False
        held_up = self.cancelled.intersection(chain.expected).difference(passing)
        if held_up and any(map(yields_to_cancellation, chain.commits)):
            return False
        begun = begun_ids(chain.commits)
        if begun is None or any(find_holder(self.runs[key], begun[key]) for key in begun):
            return False
        for commit in chain.commits:
            begun_key = begun_id(commit)
            if begun_key is not None and commit.record is not None:
                self.runs[begun_key].append(commit.record)
        self.consumed |= own
        for message in chain.messages:
            key = key_of(message.to)
            if key is not None:
                self.busy.add(key)
                if is_cancellation(message):
                    self.cancelled.add(key)
        return True


def _read(
    connection: sqlite3.Connection,
    chains: Sequence[CommitChain],
    ids: Sequence[int],
    digests: Sequence[bytes],
    place: tuple[str, int],
) -> _Stored:
    """Read the rows behind *chains*. *ids*: of their deliveries. *place*: worker and time."""
    worker_id, now = place
    own = orjson.dumps(ids).decode()
    subjects = [subject for chain in chains for subject in chain.expected]
    passing = [key for chain in chains for key in chain.passing_keys]
    begun = {begun_id(commit) for chain in chains for commit in chain.commits}
    return _Stored(
        owned={id_ for (id_,) in connection.execute(_OWNED, (own, worker_id))},
        workflows=records.find_workflows(connection, subjects),
        busy={key for (key,) in select(connection, _BUSY, passing, (own, now))},
        cancelled={key for (key,) in select(connection, _CANCELLED, subjects)},
        consumed={digest for (digest,) in select(connection, _CONSUMED, digests)},
        runs={key: queries.with_id(connection, key) for key in begun if key is not None},
    )


_OWNED: Final = """
select id from delivery where id in (select value from json_each(?)) and owner = ?
"""
# Of a key that a chain passes, no other chain has a delivery. A cancellation, also one that was
# deferred, comes before what the chain passes.
_BUSY: Final = """
select column1 from ({values}) where exists (
    select 1 from delivery
    where key = column1 and id not in (select value from json_each(?1))
        and (cancels or not (deferred and due > ?2))
)
"""
_CANCELLED: Final = """
select column1 from ({values}) where exists (
    select 1 from delivery where key = column1 and cancels
)
"""
_CONSUMED: Final = "select digest from inbox where digest in ({values})"


def _changes(
    chain: CommitChain,
    workflows: Mapping[str, records.WorkflowRow],
    now: int,
    codec: Codec | None,
) -> Iterator[records.WorkflowChange]:
    """Yield the change of each workflow of a chain."""
    turns: dict[str, list[Commit]] = {}
    for commit in chain.commits:
        if commit.record is not None:
            turns.setdefault(commit.event.subject, []).append(commit)
    for subject, own in turns.items():
        yield change_of(own, workflows.get(subject), now, codec)
