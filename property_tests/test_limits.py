"""Limits: in any interleaving none is exceeded, none is idle while work waits, and none is lost."""

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Protocol, TypeAlias

import pytest
from attrs import define, evolve, field, frozen
from hypothesis import given
from hypothesis import strategies as st

from arvo import Event, EventHandler, Limit, System
from arvo.engine.limits import Slot, slots_of
from arvo.interpreters.limits.table import SlotTable, Wakes
from arvo.interpreters.sqlite.connection.connection import open_file
from arvo.interpreters.sqlite.statements import limits
from tests.shop import ChargeCard, charge

SLOTS = (
    Slot("two", 2),
    Slot("one", 1),
    Slot("other", 1),
    Slot("rate", 2, 4.0),
    Slot("fast", 1, 1.0),
)
Move: TypeAlias = tuple[str, int]

DELIVERIES = st.lists(
    st.lists(st.sampled_from(SLOTS), min_size=1, max_size=2, unique=True), min_size=1, max_size=12
)
MOVES = st.lists(
    st.tuples(
        st.sampled_from(["acquire", "acquire", "settle", "return", "die", "wait", "wait"]),
        st.integers(0, 7),
    ),
    min_size=8,
    max_size=60,
)


class Table(Protocol):
    """A store of slots; see `SlotTable`."""

    def acquire(
        self, requests: Sequence[tuple[int, tuple[Slot, ...]]], now: float
    ) -> tuple[list[bool], Wakes]: ...

    def release(self, number: int, now: float) -> Wakes: ...

    def unpark(self, number: int) -> bool: ...


@define
class FileTable:
    """A SQLite file as a table of slots. A delivery that is asked for is claimed before."""

    connection: sqlite3.Connection
    parked: set[int] = field(factory=set)

    def acquire(
        self, requests: Sequence[tuple[int, tuple[Slot, ...]]], now: float
    ) -> tuple[list[bool], Wakes]:
        for number, _ in requests:
            self.connection.execute(_CLAIM, (number,))
        acquired = limits.acquire(self.connection, "me", requests, round(now * 1_000))
        for (number, _), is_held in zip(requests, acquired.held, strict=True):
            if not is_held:
                self.parked.add(number)
        return list(acquired.held), self._wakes()

    def release(self, number: int, now: float) -> Wakes:  # noqa: ARG002
        limits.release(self.connection, [number])
        return self._wakes()

    def unpark(self, number: int) -> bool:
        is_parked = number in self.parked
        self.parked.discard(number)
        return is_parked

    def _wakes(self) -> Wakes:
        wakes = Wakes()
        for number, due in self.connection.execute(_CLAIMABLE).fetchall():
            if number in self.parked and due:
                wakes.due[number] = due / 1_000
            elif number in self.parked:
                self.parked.remove(number)
                wakes.numbers.append(number)
        return wakes


_SEND = """
insert into delivery (id, queue, destination, event, attempt, due) values (?, '', '', '', 1, 0)
"""
_CLAIM = "update delivery set owner = 'me' where id = ?"
_CLAIMABLE = "select id, due from delivery where owner is null and parked is not null order by id"


@frozen
class Start:
    """A delivery that got a slot of a rate, and when."""

    slot: Slot
    at: float


@define
class Model:
    """Deliveries that workers move, and what becomes of them by the answers of a table."""

    slots: dict[int, tuple[Slot, ...]]
    table: Table
    now: float = 0.0
    ready: list[int] = field(factory=list)
    held: list[int] = field(factory=list)
    parked: set[int] = field(factory=set)
    due: dict[int, float] = field(factory=dict)
    starts: list[Start] = field(factory=list)

    def acquire(self, count: int) -> None:
        """Let some workers acquire at once, in one transaction."""
        taken, self.ready = self.ready[:count], self.ready[count:]
        results, wakes = self.table.acquire([(it, self.slots[it]) for it in taken], self.now)
        for number, is_held in zip(taken, results, strict=True):
            if is_held:
                self.held.append(number)
                rates = (slot for slot in self.slots[number] if slot.seconds is not None)
                self.starts += (Start(slot, self.now) for slot in rates)
            else:
                self.parked.add(number)
        self.apply(wakes)

    def release(self, number: int) -> None:
        """Free what a delivery holds."""
        self.apply(self.table.release(number, self.now))

    def wait(self, seconds: float) -> None:
        """Let time pass, and deliver what is due."""
        self.now += seconds
        for number, due in list(self.due.items()):
            if due <= self.now:
                assert self.table.unpark(number)
                self.wake(number)

    def apply(self, wakes: Wakes) -> None:
        """Deliver what a table wakes."""
        for number in wakes.numbers:
            self.wake(number)
        self.due |= wakes.due

    def wake(self, number: int) -> None:
        """Deliver a parked delivery again."""
        self.parked.remove(number)
        self.due.pop(number, None)
        self.ready.append(number)

    def free(self, slot: Slot) -> int:
        """Return how many places of a slot are free, counted by what happened."""
        if slot.seconds is None:
            return slot.number - sum(slot in self.slots[it] for it in self.held)
        counts = [it for it in self.starts if it.slot == slot and it.at + slot.seconds > self.now]
        return slot.number - len(counts)

    def check(self) -> None:
        """None is exceeded; and what waits is woken, or one of its slots has no room."""
        assert all(self.free(slot) >= 0 for slots in self.slots.values() for slot in slots)
        coming = Counter(slot for number in self.ready for slot in self.slots[number])
        for number in self.parked - self.due.keys():
            assert any(self.is_taken(slot, coming[slot]) for slot in self.slots[number])

    def is_taken(self, slot: Slot, coming: int) -> bool:
        """Return whether a slot has no room beyond the deliveries that come for it.

        A start that is due wakes the next one when it acquires the slot of its rate.
        """
        if slot.seconds is not None and (coming or any(slot in self.slots[it] for it in self.due)):
            return True
        return self.free(slot) <= coming


@pytest.fixture(scope="module")
def connection(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sqlite3.Connection]:
    path: Path = tmp_path_factory.mktemp("limits") / "a.db"
    with closing(open_file(str(path), full_sync=False)) as opened:
        yield opened


@pytest.fixture(scope="module", params=["table", "file"])
def make_table(
    request: pytest.FixtureRequest, connection: sqlite3.Connection
) -> Callable[[int], Table]:
    """Return what makes an empty table for so many deliveries."""

    def of_file(number: int) -> Table:
        if connection.in_transaction:
            connection.execute("rollback")
        connection.execute("begin")
        connection.executemany(_SEND, [(each,) for each in range(number)])
        return FileTable(connection)

    return of_file if request.param == "file" else lambda _: SlotTable()


@given(deliveries=DELIVERIES, moves=MOVES)
def test_a_limit_is_neither_exceeded_nor_idle(
    make_table: Callable[[int], Table], deliveries: list[list[Slot]], moves: list[Move]
) -> None:
    """Whatever workers do, also with several limits of one handler, and with workers that die."""
    slots = {number: tuple(slots) for number, slots in enumerate(deliveries)}
    model = Model(slots, make_table(len(slots)))
    model.ready = list(model.slots)

    for move, which in moves:
        match move:
            case "acquire":
                model.acquire(1 + which % 2)
            case "wait":
                model.wait(which / 4)
            case "die":
                lost, model.held = model.held, []
                for number in lost:
                    model.release(number)
                model.ready = lost + model.ready
            case _:
                for number in model.held[which % 3 :][:1]:
                    model.held.remove(number)
                    model.release(number)
                    if move == "return":
                        model.ready.append(number)
        model.check()

    # None is lost: in the end each one has its turn, and none waits while there is room.
    for _ in range(20 * len(deliveries)):
        model.acquire(len(model.ready))
        model.check()
        for number in model.held:
            model.release(number)
        model.held.clear()
        if not model.ready:
            model.wait(1.0)
    assert not model.ready
    assert not model.parked


ONE_SLOT = st.sampled_from([Slot("one", 1), Slot("three", 3), Slot("rate", 2, 2.0)])
# The priority and the fairness key of each delivery, in the order in which they come.
GROUPS = st.lists(
    st.tuples(st.sampled_from([0, 1, 3]), st.sampled_from("ab")), min_size=4, max_size=24
)


@define
class Turn:
    """A delivery that is parked: how many of each other group may start before it is woken.

    *ahead*: those that were woken before that was counted, and have a place for sure.
    """

    group: str
    room: dict[str, float] = field(factory=dict)
    ahead: set[int] = field(factory=set)


@define
class Shares(Model):
    """Counts which groups of one slot start while a delivery waits for it."""

    turns: dict[int, Turn] = field(factory=dict)
    woken: set[int] = field(factory=set)

    def acquire(self, count: int) -> None:
        asking, turns, parked = self.ready[:count], dict(self.turns), set(self.parked)
        self.woken.difference_update(asking)
        super().acquire(count)
        for number in asking:
            if number in self.held:
                self.start(number, turns)
        for number in asking:
            if number in self.parked - parked:
                self.begin(number)

    def begin(self, number: int) -> None:
        """Record that a delivery waits, behind those of its group."""
        group = self.slots[number][0].group or ""
        self.turns[number] = Turn(group)
        self.update(number, sum(turn.group == group for turn in self.turns.values()))

    def update(self, number: int, position: int) -> None:
        """Limit what may start before a delivery to what its *position* in its group allows."""
        turn, [slot] = self.turns[number], self.slots[number]
        turn.ahead.update({*self.woken, *self.due} - {number})
        for (other,) in self.slots.values():
            group = other.group or ""
            share = position * 2.0 ** (other.priority - slot.priority) + 1
            turn.room[group] = min(turn.room.get(group, share), share)
        turn.room[turn.group] = position - 1

    def start(self, number: int, turns: dict[int, Turn]) -> None:
        """Count a start against all that waited before it."""
        group = self.slots[number][0].group
        assert group is not None
        for turn in turns.values():
            if number not in turn.ahead:
                turn.room[group] -= 1
                assert turn.room[group] >= 0

    def wake(self, number: int) -> None:
        super().wake(number)
        self.woken.add(number)
        if (woken := self.turns.pop(number, None)) is not None:
            behind = [it for it, turn in self.turns.items() if turn.group == woken.group]
            for position, other in enumerate(behind, 1):
                self.update(other, position)


@given(slot=ONE_SLOT, groups=GROUPS, moves=MOVES)
def test_each_group_gets_its_share(
    make_table: Callable[[int], Table],
    slot: Slot,
    groups: list[tuple[int, str]],
    moves: list[Move],
) -> None:
    """Before the n-th that waits in a group, n * 2 ** d + 1 of each other group start at most,
    where d is by how much their priority is higher. None passes those of its own group.
    """
    model = Shares({}, make_table(len(groups)))
    model.slots = {
        number: (evolve(slot, group=f"{priority} {key}", priority=priority),)
        for number, (priority, key) in enumerate(groups)
    }
    coming = list(model.slots)

    for move, which in [*moves, *[("acquire", 1), ("settle", 0), ("wait", 4)] * 8 * len(groups)]:
        model.ready += coming[: which % 3]
        del coming[: which % 3]
        match move:
            case "acquire":
                model.acquire(1 + which % 2)
            case "wait":
                model.wait(which / 4)
            case _:
                for number in model.held[which % 3 :][:1]:
                    model.held.remove(number)
                    model.release(number)
                    if move == "return":
                        model.ready.append(number)
        model.check()
    assert not model.ready
    assert not model.parked
    assert not coming


KEYS = st.one_of(st.text(), st.integers())


@given(KEYS, KEYS)
def test_events_share_a_slot_if_and_only_if_they_have_one_key(
    one: str | int, two: str | int
) -> None:
    """A text and a number that read the same are one key, as in the JSON of two senders."""
    first, second = (_slots(lambda _event, key=key: key) for key in (one, two))

    assert (first == second) is (str(one) == str(two))


def _slots(per: object) -> tuple[Slot, ...]:
    limits = [Limit(concurrent=1, per=per)]  # type: ignore[arg-type]
    system = System([EventHandler(charge, {"1.0.0": lambda _: None}, limits=limits)])
    event: Event[ChargeCard] = charge["1.0.0"].accepts(ChargeCard("o", 1.0), source="com.shop.web")
    slots = slots_of(system, event)
    assert isinstance(slots, tuple)
    return slots
