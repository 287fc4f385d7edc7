"""Laws of chains in a SQLite file: to write them together is to write them one by one."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from itertools import count
from typing import Any, Literal, TypeAlias

from attrs import evolve, frozen
from hypothesis import event as note
from hypothesis import given
from hypothesis import strategies as st

from arvo import Commit, Event, Record
from arvo.core.events.protocol import cancel_type
from arvo.engine.step.route import ToHandler, Unroutable, route
from arvo.interpreters.delivery.claims import Token
from arvo.interpreters.ports.chains import CommitChain
from arvo.interpreters.ports.messages import Delivery, Message
from arvo.interpreters.sqlite.connection.migrations import upgrade
from arvo.interpreters.sqlite.statements import deliveries
from arvo.interpreters.sqlite.statements.chains import write_chains
from tests.shop import charge, charge_request, expect_commit, order, order_request, shop

EMPTY = sqlite3.connect(":memory:", isolation_level=None)
upgrade(EMPTY, "memory")

ME, OTHER = "me", "other"
ORDER = order.type
NUMBERS = 3

# A message of the workflow's key that was stored before: none, or one of these.
Stored: TypeAlias = Literal["nothing", "ready", "deferred", "cancellation"]


def turns_of(number: int) -> list[Commit]:
    """Take all turns of an order and of its services."""
    event: Event[Any] = order_request(f"i{number}")
    records: dict[str, Record] = {}
    turns: list[Commit] = []
    while True:
        is_service = event.type in (charge.type, "com.shipping.book")
        turns.append(expect_commit(shop, event, None if is_service else records.get(event.subject)))
        if (record := turns[-1].record) is not None:
            records[event.subject] = record
            if record.status == "done":
                return turns
        [event] = turns[-1].events


TURNS = [turns_of(number) for number in range(NUMBERS)]
SUBJECTS = [turns[0].event.subject for turns in TURNS]


@frozen
class OfWorkflow:
    """A chain with the first *length* turns of an order.

    *delivered*: its first message was stored before, and *lost*: another worker owns it. *stored*:
    a message of its workflow that waits besides.
    """

    length: int
    delivered: bool
    lost: bool
    stored: Stored

    def store(self, connection: sqlite3.Connection, number: int) -> CommitChain:
        turns = TURNS[number][: self.length]
        own = ToHandler(ORDER, SUBJECTS[number])
        waiting: list[Delivery] = []
        if self.delivered:
            owner = OTHER if self.lost else ME
            [row] = send(connection, [Message(turns[0].event, own)], owner)
            waiting = [Delivery(row.message, 1, Token(ME, row.id))]
        if self.stored != "nothing":
            send(connection, [Message(of_key(number, self.stored), own)], None)
        if self.stored == "deferred":
            statement = "update delivery set deferred = 1, due = 9 where owner is null and key = ?"
            connection.execute(statement, (own.key,))
        destinations = ((it, route(shop, it, turns[-1].event)) for it in turns[-1].events)
        left = [Message(it, to) for it, to in destinations if not isinstance(to, Unroutable)]
        return CommitChain(
            message=Message(turns[0].event, own),
            deliveries=tuple(waiting),
            commits=tuple(turns),
            messages=tuple(left),
        )


@frozen
class OfService:
    """A chain with one turn of a service, which may be a duplicate of another chain's, and sends a
    message to the workflow of another chain.
    """

    request: int
    to: int
    sent: Stored

    def store(self) -> CommitChain:
        commit = expect_commit(shop, charge_request(f"c{self.request}"))
        key = ToHandler(ORDER, SUBJECTS[self.to])
        messages = () if self.sent == "nothing" else (Message(of_key(self.to, self.sent), key),)
        return CommitChain(
            message=Message(commit.event, ToHandler(charge.type, None)),
            commits=(commit,),
            messages=messages,
        )


def of_key(number: int, kind: Stored) -> Event[Any]:
    event: Event[Any] = order_request(f"other-{number}")
    return evolve(event, type=cancel_type(ORDER)) if kind == "cancellation" else event


def store(
    connection: sqlite3.Connection, group: Sequence[OfWorkflow | OfService]
) -> list[CommitChain]:
    """Store what the chains of a group find, and return them."""
    numbers = count()
    return [
        each.store() if isinstance(each, OfService) else each.store(connection, next(numbers))
        for each in group
    ]


def send(connection: sqlite3.Connection, messages: Sequence[Message], owner: str | None) -> Any:
    return deliveries.send(connection, messages, 0, owner)


kinds = st.sampled_from(["cancellation", "cancellation", "nothing", "ready", "deferred"])
of_workflows = st.builds(
    OfWorkflow,
    length=st.sampled_from([1, 1, 2, 3, 5]),
    delivered=st.booleans(),
    # Most of them are refused for another reason, or written.
    lost=st.sampled_from([False, False, False, True]),
    stored=st.just("nothing") | kinds,
)
of_services = st.builds(OfService, st.integers(0, 2), st.sampled_from([0, 0, 1]), kinds)


@st.composite
def groups(draw: st.DrawFn) -> list[OfWorkflow | OfService]:
    """Draw at most one chain of each workflow, and some of services, in any order."""
    chains: list[OfWorkflow | OfService] = []
    chains += draw(st.lists(of_workflows, min_size=1, max_size=NUMBERS))
    chains += draw(st.lists(of_services, max_size=3))
    return draw(st.permutations(chains))


def tables(connection: sqlite3.Connection) -> list[Any]:
    """Return all rows; a delivery and an entry of the inbox without their number."""
    return [
        connection.execute(query).fetchall()
        for query in (
            "select queue, key, event, owner, due, deferred, cancels from delivery order by id",
            "select digest, at, content from inbox order by id",
            "select * from workflow order by id",
            "select * from history order by workflow, position",
        )
    ]


@given(groups())
def test_chains_that_are_written_together_are_those_that_are_written_one_by_one(
    group: Sequence[OfWorkflow | OfService],
) -> None:
    """Which of them are refused, what the others write, and which deliveries are ours."""
    results = []
    for at_once in (True, False):
        with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
            EMPTY.backup(connection)
            chains = store(connection, group)
            if at_once:
                written, rows = write_chains(connection, chains, ME, ME, 5)
            else:
                answers = [write_chains(connection, [chain], ME, ME, 5) for chain in chains]
                written = [is_written for [is_written], _ in answers]
                rows = [row for _, own in answers for row in own]
            owned = [row.message for row in rows]
            results.append((written, owned, tables(connection)))

    note(f"{written.count(False)} refused of {len(written)}")
    assert results[0] == results[1]
