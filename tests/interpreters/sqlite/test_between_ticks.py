"""Backend between ticks: what a process does by itself, before it looks into the file again."""

import asyncio
import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Coroutine
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest
from attrs import evolve

from arvo import Commit, Record
from arvo.core.commit import PendingTimer
from arvo.engine.step.route import ToHandler
from arvo.interpreters.ports.backend import (
    Corrupt,
    DeadLetter,
    Delivery,
    Depth,
    Message,
    Unavailable,
)
from arvo.interpreters.sqlite import SqliteBackend
from arvo.interpreters.sqlite.backend import AHEAD
from arvo.interpreters.sqlite.statements import deliveries
from tests.shop import charging, committed, placing, shop

T = TypeVar("T")
ORDER, PAY = "arvo.orc.order.fulfil", "com.payment.charge"
START = datetime(2026, 1, 2, tzinfo=UTC)


@pytest.fixture(autouse=True)
def no_ticks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is looked for: whoever waits for a tick here waits for ever."""
    monkeypatch.setattr(sys.modules[SqliteBackend.__module__], "TICK_SECONDS", 3600.0)


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "a.db")


def within(work: Coroutine[Any, Any, T]) -> T:
    async def go() -> T:
        async with asyncio.timeout(3):
            return await work

    return asyncio.run(go())


def rows(path: str, sql: str) -> list[Any]:
    with closing(sqlite3.connect(path)) as connection:
        return [row[0] for row in connection.execute(sql)]


def post(name: str, key: str | None = None, queue: str = PAY) -> Message:
    return Message(charging(name), ToHandler(queue, key))


def letter(delivery: Delivery) -> DeadLetter:
    return DeadLetter(
        id=delivery.message.event.id,
        event=delivery.message.event,
        reason="no",
        attempts=1,
        at="2026-01-02T00:00:00Z",
        to=delivery.message.to,
    )


def given(record: Record | None) -> Record:
    assert record is not None
    return record


async def serving(backend: SqliteBackend, *queues: str) -> None:
    """Let it serve lanes, and have found nothing there."""
    await backend._opened()
    backend._feed.served.update(queues)
    backend._feed._more.clear()


async def a_commit(backend: SqliteBackend) -> tuple[Delivery, Commit]:
    """Take an event that begins a workflow, and decide on it."""
    event = placing()
    await backend.send(Message(event, ToHandler(ORDER, event.subject)))
    return await backend.receive(ORDER), committed(shop, event)


async def sends(backend: SqliteBackend) -> None:
    await backend.send(post("c1"))


async def commits(backend: SqliteBackend) -> None:
    delivery, commit = await a_commit(backend)
    await backend.commit(delivery, commit, [post("c1")], [])


async def amends(backend: SqliteBackend) -> None:
    delivery, commit = await a_commit(backend)
    await backend.commit(delivery, commit, [], [])
    again = charging("c1", subject=given(commit.record).subject)
    record = evolve(given(commit.record), revision=2, handler=PAY)
    await backend.replace_record(record, 1, redeliver=[again])


async def unburies(backend: SqliteBackend) -> None:
    await backend.send(post("c1"))
    delivery = await backend.receive(PAY)
    await backend.dead_letter(delivery, letter(delivery))
    assert await backend.redrive("c1", [post("c1")])


@pytest.mark.parametrize("does", [sends, commits, amends, unburies])
def test_what_a_process_sends_to_itself_it_has_at_once(
    path: str, does: Callable[[SqliteBackend], Coroutine[Any, Any, None]]
) -> None:
    """Where it serves the lane: no other process need look for it, nor this one."""

    async def go() -> tuple[list[Any], str, Delivery, int]:
        backend = SqliteBackend(path)
        await serving(backend, PAY, ORDER)
        await does(backend)
        owners, ready = rows(path, "select owner from delivery"), backend._feed.lanes.ready
        delivery = await backend.receive(PAY)
        me = backend.me
        await backend.close()
        return owners, me, delivery, ready

    owners, me, delivery, ready = within(go())
    assert owners == [me]
    assert (delivery.message.event.id, delivery.attempt, ready) == ("c1", 1, 1)


def test_what_a_process_amends_waits_for_the_key_of_its_workflow(path: str) -> None:
    """I4: its event comes after the one of that workflow that is under way."""

    async def go() -> list[object]:
        backend = SqliteBackend(path)
        await serving(backend, PAY, ORDER)
        delivery, commit = await a_commit(backend)
        await backend.commit(delivery, commit, [], [])
        record = given(commit.record)
        await backend.send(Message(placing("i2"), ToHandler(ORDER, record.subject)))
        busy = await backend.receive(ORDER)
        await backend.replace_record(evolve(record, revision=2), 1, redeliver=[placing("i3")])
        waiting = asyncio.create_task(backend.receive(ORDER))
        await asyncio.sleep(0.01)
        early = waiting.done()
        await backend.ack(busy)
        after = await waiting
        await backend.close()
        return [early, after.message.event.id, after.message.to == ToHandler(ORDER, record.subject)]

    assert within(go()) == [False, "i3", True]


def test_a_process_knows_how_much_the_file_holds_without_counting(path: str) -> None:
    """As far as it wrote that itself: so `send` waits neither too long nor too late."""

    async def go() -> list[tuple[int | None, int]]:
        backend = SqliteBackend(path)
        await serving(backend, PAY, ORDER)
        seen: list[tuple[int | None, int]] = []

        def look() -> None:
            seen.append((backend._room.depth, rows(path, "select count(*) from delivery")[0]))

        for name in ("c1", "c2", "c3"):
            await backend.send(post(name))
        look()
        delivery, commit = await a_commit(backend)
        look()
        await backend.commit(delivery, commit, [post("c4"), post("c5")], [])
        look()
        again = [placing(name) for name in ("i2", "i3")]
        await backend.replace_record(evolve(given(commit.record), revision=2), 1, redeliver=again)
        look()
        first, second, third = [await backend.receive(PAY) for _ in range(3)]
        await backend.ack(first)
        look()
        await backend.dead_letter(second, letter(second))
        look()
        await backend.redrive("c2", [post("c6"), post("c7")])
        await backend.redrive("c2", [post("c8")])
        look()
        await backend.nack(third, 0.0)
        look()
        taken = len(backend._feed.lanes.taken)
        await backend.close()
        return [*seen, (taken, 0)]

    *seen, taken = within(go())
    assert [held for _, held in seen] == [3, 4, 5, 7, 6, 5, 7, 7]
    assert all(known == held for known, held in seen)
    assert taken == (0, 0)


def test_send_waits_for_room_and_goes_on_with_the_first_that_is_made(path: str) -> None:
    """One in, one out; what is on its way into the file takes room too."""

    async def go() -> list[object]:
        backend = SqliteBackend(path, queue_max=2)
        await serving(backend, PAY)
        senders = [asyncio.create_task(backend.send(post(f"c{n}"))) for n in range(4)]
        seen: list[object] = []
        for _ in range(2):
            await asyncio.sleep(0.05)
            seen.append((sum(each.done() for each in senders), backend._room.depth))
            await backend.ack(await backend.receive(PAY))
        await asyncio.gather(*senders)
        seen.append(backend._room.depth)
        await backend.close()
        return seen

    assert within(go()) == [(2, 2), (3, 2), 2]


def test_more_is_fetched_until_nothing_is_left(path: str) -> None:
    """A few at a time for each that waits, and the rest can be had by others."""

    async def go() -> tuple[list[str], int]:
        sender, backend = SqliteBackend(path), SqliteBackend(path)
        for number in range(2 * AHEAD + 1):
            await sender.send(post(f"c{number}"))
        found = [await backend.receive(PAY)]
        had = rows(path, "select count(*) from delivery where owner is not null")[0]
        found += [await backend.receive(PAY) for _ in range(2 * AHEAD)]
        names = [each.message.event.id for each in found]
        await sender.close()
        await backend.close()
        return names, had

    names, had = within(go())
    assert names == [f"c{number}" for number in range(2 * AHEAD + 1)]
    assert had == AHEAD


def test_a_lane_is_not_taken_for_empty_because_another_one_is(path: str) -> None:
    """Else what lies there waits for a look: a second is long."""

    async def go() -> list[str]:
        sender, backend = SqliteBackend(path), SqliteBackend(path)
        for number in range(2 * AHEAD):
            await sender.send(post(f"w{number}", key=f"k{number}", queue=ORDER))
        await sender.close()
        found = [await backend.receive(ORDER)]
        # While nobody waits in that lane, somebody asks for what is not there.
        waiting = asyncio.create_task(backend.receive(PAY))
        await asyncio.sleep(0.05)
        found += [await backend.receive(ORDER) for _ in range(2 * AHEAD - 1)]
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        await backend.close()
        return [each.message.event.id for each in found]

    assert within(go()) == [f"w{number}" for number in range(2 * AHEAD)]


def test_what_could_not_be_fetched_is_fetched_later(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file was held by another for too long, say: nothing is forgotten for it."""

    def held(*_: object) -> list[Any]:
        raise sqlite3.OperationalError("database is locked")

    async def go() -> tuple[bool, str]:
        backend, other = SqliteBackend(path), SqliteBackend(path)
        await serving(backend, PAY, ORDER)
        await other.send(post("c1"))
        with monkeypatch.context() as patch:
            patch.setattr(deliveries, "claim", held)
            backend._feed._more.add(PAY)
            waiting = asyncio.create_task(backend.receive(PAY))
            await asyncio.sleep(0.05)
            early = waiting.done()
        backend._feed.feed()
        found = await waiting
        await backend.close()
        await other.close()
        return early, str(found.message.event.id)

    assert within(go()) == (False, "c1")


async def others_offer(backend: SqliteBackend, other: SqliteBackend) -> None:
    """Let another process send what a tick would find."""
    await other.send(post("c1"))
    backend._offered()


async def all_is_lost(backend: SqliteBackend, other: SqliteBackend) -> None:
    """Let this process be taken for dead, which a tick would find."""
    await other.send(post("c1"))
    backend._lost()


async def it_sends_elsewhere(backend: SqliteBackend, other: SqliteBackend) -> None:
    """Send to a lane that nobody serves yet."""
    await backend.send(post("c1"))


@pytest.mark.parametrize("happens", [others_offer, all_is_lost, it_sends_elsewhere])
def test_whoever_comes_for_a_delivery_finds_what_lay_there_before(
    path: str, happens: Callable[[SqliteBackend, SqliteBackend], Coroutine[Any, Any, None]]
) -> None:
    """Nobody waited for it when it came."""

    async def go() -> str:
        backend, other = SqliteBackend(path), SqliteBackend(path)
        await serving(backend, ORDER)
        await happens(backend, other)
        await asyncio.sleep(0.01)
        name = (await backend.receive(PAY)).message.event.id
        await backend.close()
        await other.close()
        return name

    assert within(go()) == "c1"


def test_it_fetches_once_at_a_time_and_only_what_somebody_waits_for(path: str) -> None:
    """Two at once would take twice as much as there is room for."""

    async def go() -> list[bool]:
        backend = SqliteBackend(path)
        await serving(backend, PAY)
        backend._feed._more.add(PAY)
        backend._feed.feed()
        idle = backend._feed._feeding is None
        waiting = asyncio.create_task(backend.receive(PAY))
        await asyncio.sleep(0.01)
        backend._feed._more.add(PAY)
        backend._feed.feed()
        first = backend._feed._feeding
        backend._feed.feed()
        once = isinstance(first, asyncio.Task) and backend._feed._feeding is first
        # A tick may still be heard when all is over.
        closing_ = asyncio.create_task(backend.close())
        await asyncio.sleep(0)
        backend._feed._feeding = None
        backend._feed.feed()
        await closing_
        closed = (backend._feed._feeding, backend._opening) == (None, None)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        return [idle, once, closed]

    assert within(go()) == [True, True, True]


def test_what_is_put_off_is_due_for_others_at_the_same_time(path: str) -> None:
    """They may have it when this process has died meanwhile, and not before."""
    now = [START]

    async def go() -> list[object]:
        backend = SqliteBackend(path, now=lambda: now[0])
        await backend.send(post("c1"))
        await backend.nack(await backend.receive(PAY), 90.0)
        (due,) = rows(path, "select due from delivery")
        await backend.close()
        return [due, *rows(path, "select attempt from delivery")]

    due = START + timedelta(seconds=90)
    assert within(go()) == [int(due.timestamp() * 1000), 2]


def test_depth_tells_what_is_ready_taken_put_off_and_timed(path: str) -> None:
    """An operator sees what waits, and for what."""

    async def go() -> Depth:
        backend = SqliteBackend(path, now=lambda: START)
        for name in ("c1", "c2", "c3", "c4"):
            await backend.send(post(name))
        await backend.receive(PAY)
        await backend.nack(await backend.receive(PAY), 90.0)
        delivery, commit = await a_commit(backend)
        timer = PendingTimer(placing("rings"), START + timedelta(days=1))
        await backend.commit(delivery, evolve(commit, timers=(timer,)), [], [])
        depth = await backend.depth()
        await backend.close()
        return depth

    assert within(go()) == Depth(ready=2, taken=1, delayed=1, timers=1)


def test_workflows_are_listed_as_they_are_asked_for(path: str) -> None:
    """Those that nobody has heard of since, say."""
    now = [START]

    async def go() -> list[list[datetime]]:
        backend = SqliteBackend(path, now=lambda: now[0])
        for name in ("i1", "i2"):
            event = placing(name)
            await backend.send(Message(event, ToHandler(ORDER, event.subject)))
            await backend.commit(await backend.receive(ORDER), committed(shop, event), [], [])
            now[0] += timedelta(days=1)
        asked = [START, START + timedelta(hours=1), now[0]]
        pages = [await backend.workflows(unchanged_since=since) for since in asked]
        await backend.close()
        return [[each.changed for each in page] for page in pages]

    later = START + timedelta(days=1)
    assert within(go()) == [[], [START], [later, START]]


def test_reads_come_one_after_the_other_in_a_thread_of_their_own(path: str) -> None:
    """A connection is for one at a time; and effects that fill the common threads block none."""

    def read(_: sqlite3.Connection) -> tuple[int, str]:
        time.sleep(0.01)  # for another thread, if there were one, to take the next
        return threading.get_ident(), threading.current_thread().name

    async def go() -> set[tuple[int, str]]:
        backend = SqliteBackend(path)
        found = await asyncio.gather(*(backend._read(read) for _ in range(5)))
        await backend.close()
        return set(found)

    ((_, name),) = within(go())
    assert name.startswith("arvo sqlite reader")


@pytest.mark.parametrize("kind", [Unavailable, Corrupt])
def test_a_file_that_cannot_be_opened_can_be_closed(tmp_path: Path, kind: type) -> None:
    """While it is being opened, too: whoever gives up early hears no more of it."""
    spoilt = tmp_path / "a.db"
    spoilt.write_text("no database")
    path = spoilt if kind is Corrupt else tmp_path / "nowhere" / "a.db"

    async def go() -> list[object]:
        backend = SqliteBackend(str(path))
        waiting = asyncio.create_task(backend.receive(PAY))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        await backend.close()
        return [type(each) for each in await asyncio.gather(waiting, return_exceptions=True)]

    assert within(go()) == [kind]


def test_who_waits_for_room_when_it_is_closed_hears_of_it(path: str) -> None:
    """The event was not taken: its sender must know."""

    async def go() -> str:
        backend = SqliteBackend(path, queue_max=1)
        await backend.send(post("c1"))
        waiting = asyncio.create_task(backend.send(post("c2")))
        await asyncio.sleep(0.01)
        await backend.close()
        (refused,) = await asyncio.gather(waiting, return_exceptions=True)
        assert isinstance(refused, Unavailable)
        return str(refused)

    assert "closed before it took the event" in within(go())


def test_whoever_waits_looks_once_and_not_all_the_time(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody else is in the way of one file: its writers take turns."""
    looked: list[object] = []

    def claim(connection: sqlite3.Connection, *arguments: Any) -> Any:
        looked.append(arguments)
        return real(connection, *arguments)

    real = deliveries.claim
    monkeypatch.setattr(deliveries, "claim", claim)

    async def go() -> None:
        backend = SqliteBackend(path)
        waiting = asyncio.create_task(backend.receive(PAY))
        await asyncio.sleep(0.1)
        waiting.cancel()
        await backend.close()

    within(go())

    assert len(looked) == 1
