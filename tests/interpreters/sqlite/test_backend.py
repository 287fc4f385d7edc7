"""SQLite: one file that survives, that processes share, and that says when it is damaged."""

import asyncio
import sqlite3
import time as blocking
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest
from attrs import evolve

from arvo import Complete, Event, Runtime, Schedule, Subject, System, TimerFired, Turn, Violated
from arvo.engine.step.route import ToHandler
from arvo.interpreters.delivery.retention import Retention
from arvo.interpreters.ports.backend import (
    Committed,
    Conflict,
    Corrupt,
    DeadLetter,
    Depth,
    Duplicate,
    Fenced,
    Message,
    Unavailable,
)
from arvo.interpreters.runtime.backends import connect
from arvo.interpreters.sqlite import SqliteBackend
from arvo.interpreters.sqlite.connection.migrations import SCHEMA_VERSION, scripts
from tests.shop import (
    CardCharged,
    OrderFulfilled,
    answering,
    charging,
    committed,
    placing,
    shop,
    workflow,
)

T = TypeVar("T")

ORDER = "arvo.orc.order.fulfil"
PAY = "com.payment.charge"


def within(work: Coroutine[Any, Any, T], seconds: float = 10.0) -> T:
    async def go() -> T:
        async with asyncio.timeout(seconds):
            return await work

    return asyncio.run(go())


def post(number: int) -> Message:
    return Message(charging(f"c{number}"), ToHandler(PAY, None))


def turn(number: int, key: str = "k") -> Message:
    return Message(placing(f"i{number}"), ToHandler(ORDER, key))


async def nothing_comes(backend: SqliteBackend, queue: str, seconds: float = 0.3) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await backend.receive(queue)
    except TimeoutError:
        return True
    return False


async def begun(backend: SqliteBackend) -> Event[Any]:
    """Let a workflow begin, and give the request that it made."""
    event = placing()
    await backend.send(Message(event, ToHandler(ORDER, event.subject)))
    commit = committed(shop, event)
    (asked,) = commit.events
    messages = [Message(asked, ToHandler(PAY, None))]
    applied = await backend.commit(await backend.receive(ORDER), commit, messages, [])
    assert applied == Committed()
    return asked


# One process after the other


def test_what_was_taken_survives_the_process_that_took_it(tmp_path: Path) -> None:
    """I1: an event, a record, a request, a dead letter; in the order they came."""
    path = str(tmp_path / "a.db")
    dead_letter = DeadLetter(id="l1", event=charging("dead"), reason="r", attempts=2, at="now")

    async def first() -> Event[Any]:
        backend = SqliteBackend(path)
        asked = await begun(backend)
        for number in range(3):
            await backend.send(post(number))
        await backend.dead_letter(None, dead_letter)
        await backend.close()
        return asked

    async def second() -> tuple[list[str], object, object]:
        backend = SqliteBackend(path)
        events = [(await backend.receive(PAY)).message.event.id for _ in range(4)]
        record = await backend.load(placing().subject)
        dead_letters = await backend.dead_letters()
        await backend.close()
        return events, record, dead_letters

    asked = within(first())
    events, record, dead_letters = within(second())

    assert events == [asked.id, "c0", "c1", "c2"]
    assert record == committed(shop, placing()).record
    assert dead_letters == (dead_letter,)


def test_a_workflow_goes_on_in_the_next_process(tmp_path: Path) -> None:
    """The default backend, by its URL."""
    url = f"sqlite:///{tmp_path}/a.db"

    async def first() -> None:
        backend = connect(url)
        await backend.send(Message(placing(), ToHandler(ORDER, placing().subject)))
        await backend.close()

    async def second() -> object:
        async with Runtime(shop, url) as runtime:
            await runtime.drain(timeout=5)
            record = await runtime.record(placing().subject)
            return record and record.status

    within(first())
    assert within(second()) == "done"


def test_a_timer_survives_and_fires_once(tmp_path: Path) -> None:
    """I7: also after a restart, not early."""
    path = str(tmp_path / "a.db")

    def patient(turn: Turn[Any]) -> object:
        match turn.event.data:
            case TimerFired():
                return Complete(OrderFulfilled("t"))
            case _:
                return Schedule("t", after=0.3)

    system = System([workflow(patient)])

    async def first() -> Depth:
        async with Runtime(system, SqliteBackend(path)) as runtime:
            await runtime.send(placing())
            await runtime.drain(timeout=5)
            return await runtime._backend.depth()

    async def second() -> tuple[str, int]:
        async with Runtime(system, SqliteBackend(path)) as runtime:
            for _ in range(200):
                record = await runtime.record(placing().subject)
                assert record is not None
                if record.status == "done":
                    break
                await asyncio.sleep(0.02)
            await runtime.drain(timeout=5)
            assert record is not None
            return record.status, runtime.stats().handled

    assert within(first()) == Depth(timers=1)
    assert within(second()) == ("done", 1)


# Several on one file


def test_each_delivery_is_one_workers(tmp_path: Path) -> None:
    """Two processes share the work, and no event is taken twice."""
    path = str(tmp_path / "a.db")

    async def go() -> list[str]:
        one, other = SqliteBackend(path), SqliteBackend(path)
        for number in range(20):
            await one.send(post(number))
        taken: list[str] = []

        async def work(backend: SqliteBackend) -> None:
            while len(taken) < 20:
                delivery = await backend.receive(PAY)
                taken.append(delivery.message.event.id)
                await backend.ack(delivery)
                await asyncio.sleep(0.001)

        tasks = [asyncio.create_task(work(each)) for each in (one, other)]
        await one.wait_until_idle()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await one.close()
        await other.close()
        return sorted(taken)

    assert within(go()) == sorted(f"c{number}" for number in range(20))


def test_events_of_one_key_are_one_workers_at_a_time(tmp_path: Path) -> None:
    """Per subject some serial order, whoever takes them (I4)."""
    path = str(tmp_path / "a.db")

    async def go() -> list[str]:
        one, other = SqliteBackend(path), SqliteBackend(path)
        for number in range(3):
            await one.send(turn(number))
        first = await one.receive(ORDER)
        assert await nothing_comes(other, ORDER, 1.5)
        await one.ack(first)
        taken = [first.message.event.id]
        for backend in (one, one):
            delivery = await backend.receive(ORDER)
            taken.append(delivery.message.event.id)
            await backend.ack(delivery)
        await one.close()
        await other.close()
        return taken

    assert within(go()) == ["i0", "i1", "i2"]


def test_a_worker_that_was_taken_for_dead_is_refused(tmp_path: Path) -> None:
    """I6: its late commit changes nothing, and the other one's stands."""
    path = str(tmp_path / "a.db")
    then = datetime.now(UTC)

    async def go() -> tuple[object, ...]:
        # A clock that stands still keeps no lease.
        paused = SqliteBackend(path, now=lambda: then)
        event = placing()
        await paused.send(Message(event, ToHandler(ORDER, event.subject)))
        mine = await paused.receive(ORDER)
        other = SqliteBackend(path, now=lambda: then + timedelta(minutes=1))
        theirs = await other.receive(ORDER)
        late = await paused.commit(mine, committed(shop, event), [post(1)], [])
        good = await other.commit(theirs, committed(shop, event), [], [])
        depth = await other.depth()
        await paused.close()
        await other.close()
        return theirs.message.event.id, late, good, depth

    assert within(go()) == ("i1", Fenced(), Committed(), Depth())


def test_a_record_is_written_by_whoever_read_the_newest(tmp_path: Path) -> None:
    """Compare and set: a commit that was decided on an older record is refused whole."""
    path = str(tmp_path / "a.db")

    async def go() -> tuple[object, ...]:
        backend = SqliteBackend(path)
        asked = await begun(backend)
        record = committed(shop, placing()).record
        reply = answering(asked, CardCharged("r"))
        commit = committed(shop, reply, record)
        await backend.send(Message(reply, ToHandler(ORDER, reply.subject)))
        delivery = await backend.receive(ORDER)
        stale = evolve(commit, expected=7)
        refused = await backend.commit(delivery, stale, [post(1)], [])
        applied = await backend.commit(delivery, commit, [], [])
        await backend.send(Message(reply, ToHandler(ORDER, reply.subject)))
        again = await backend.commit(await backend.receive(ORDER), commit, [post(1)], [])
        held = await backend.load(reply.subject)
        await backend.close()
        return refused, applied, again, held == commit.record

    assert within(go()) == (Conflict(1), Committed(), Duplicate(), True)


def test_a_subject_may_be_of_any_length(tmp_path: Path) -> None:
    """B20: a tree of workflows makes long ones."""
    subject = Subject.parse(placing().subject)
    long = evolve(subject, meta={"note": "".join(map(str, range(4_000)))})

    async def go() -> object:
        async with Runtime(shop, SqliteBackend(str(tmp_path / "a.db"))) as runtime:
            await runtime.send(placing(subject=long))
            await runtime.drain(timeout=5)
            record = await runtime.record(str(long))
            return record and record.status

    assert len(str(long)) > 5_000
    assert within(go()) == "done"


# Damage


def test_a_file_that_is_not_ours_is_left_alone(tmp_path: Path) -> None:
    """Whatever it is, with what to do about it."""
    text, foreign, later, cut = (tmp_path / name for name in ("a.txt", "b.db", "c.db", "d.db"))
    text.write_text("no database at all, but a hundred bytes and more of something else " * 3)
    with sqlite3.connect(foreign) as connection:
        connection.execute("create table mine (id integer)")
    connection.close()
    within(_touched(later))
    with sqlite3.connect(later) as connection:
        connection.execute(f"pragma user_version = {SCHEMA_VERSION + 1}")
    connection.close()
    within(_touched(cut))
    cut.write_bytes(cut.read_bytes()[:-4096])
    said = {
        text: "no SQLite database",
        foreign: "tables of another program",
        later: "a later version of arvo",
        cut: "cut off",
    }

    for path, expected in said.items():
        before = path.read_bytes()
        with pytest.raises(Corrupt, match=expected) as refused:
            within(_touched(path))
        assert "name another file" in str(refused.value) or "backup" in str(refused.value)
        assert path.read_bytes() == before


async def _touched(path: Path) -> None:
    backend = SqliteBackend(str(path))
    try:
        await backend.send(post(1))
    finally:
        await backend.close()


def test_a_folder_that_is_missing_is_named(tmp_path: Path) -> None:
    """Nobody wants a folder made where a name is misspelt."""
    with pytest.raises(Unavailable, match="does not exist: make it, or name another file"):
        within(_touched(tmp_path / "nowhere" / "a.db"))


def test_a_full_disk_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    """What is refused was not taken; when there is room again, all goes on."""

    async def go() -> tuple[int, int]:
        backend = SqliteBackend(str(tmp_path / "a.db"))
        await backend.send(post(0))
        writer = await backend._opened()
        pages = await writer.do(lambda each: each.execute("pragma page_count").fetchone()[0])
        await writer.do(lambda each: each.execute(f"pragma max_page_count = {pages + 3}"))
        taken = 1
        full = False
        while not full:
            try:
                await backend.send(post(taken))
                taken += 1
            except Unavailable as error:
                full = "full" in str(error)
        await writer.do(lambda each: each.execute("pragma max_page_count = 1000000"))
        await backend.send(post(1_000))
        depth = await backend.depth()
        await backend.close()
        return taken + 1, depth.total

    taken, held = within(go())
    assert taken == held > 2


def test_a_file_of_the_version_before_is_upgraded_in_place(tmp_path: Path) -> None:
    """What it holds goes on, and has a history from now on."""
    path = tmp_path / "a.db"
    event = placing()

    async def now() -> object:
        async with Runtime(shop, SqliteBackend(str(path))) as runtime:
            await runtime.drain(timeout=5)
            record = await runtime.record(event.subject)
            return record and record.status

    async def before() -> None:
        backend = SqliteBackend(str(path))
        await backend.send(Message(event, ToHandler(ORDER, event.subject)))
        await backend.close()

    within(before())
    with sqlite3.connect(path) as connection:
        connection.execute("drop table history")
        connection.execute("drop index workflow_by_parent")
        connection.execute("alter table workflow drop column lines")
        connection.execute("pragma user_version = 1")
    connection.close()

    assert within(now()) == "done"
    with sqlite3.connect(path) as connection:
        assert connection.execute("pragma user_version").fetchone() == (SCHEMA_VERSION,)
        assert connection.execute("select count(*) from history").fetchone()[0] > 5
    connection.close()
    assert len(scripts()) == SCHEMA_VERSION


# Forgetting


def test_what_is_over_is_forgotten_after_its_time(tmp_path: Path) -> None:
    """In small bites; a workflow that failed waits for somebody."""
    path = str(tmp_path / "a.db")
    keep = Retention(inbox=timedelta(days=1), finished=timedelta(days=1))
    later = lambda: datetime.now(UTC) + timedelta(days=2)  # noqa: E731

    async def full() -> None:
        async with Runtime(shop, SqliteBackend(path)) as runtime:
            await runtime.send(placing("i1"))
            await runtime.send(placing("i2", amount=2_000))
            await runtime.drain(timeout=5)

    async def empty() -> list[object]:
        backend = SqliteBackend(path, keep=keep, now=later)
        await backend.send(post(1))
        for _ in range(100):
            if await backend.load(placing("i1").subject) is None:
                break
            await asyncio.sleep(0.05)
        left = await backend.load(placing("i2").subject)
        rows = await backend._read(
            lambda each: each.execute(
                "select (select count(*) from inbox),"
                " (select count(distinct workflow) from history)"
            ).fetchone()
        )
        await backend.close()
        return [left and left.status, rows]

    within(full())
    assert within(empty()) == ["failed", (0, 1)]


@pytest.mark.parametrize("url", ["sqlite:orders.db", "sqlite://orders.db", "sqlite:///"])
def test_a_url_without_a_path_is_refused(url: str) -> None:
    """Three slashes and a file."""
    with pytest.raises(Violated, match=r"sqlite:///orders\.db"):
        connect(url)


def test_a_url_names_a_file() -> None:
    """Relative with three slashes, absolute with four."""
    relative, absolute = connect("sqlite:///orders.db"), connect("sqlite:////var/orders.db")

    assert isinstance(relative, SqliteBackend)
    assert isinstance(absolute, SqliteBackend)
    assert (relative.path, absolute.path) == ("orders.db", "/var/orders.db")


def test_a_handler_that_blocks_keeps_its_lease(tmp_path: Path) -> None:
    """The heartbeat has a thread of its own: nobody takes over what is slow."""
    path = str(tmp_path / "a.db")

    async def slow() -> None:
        backend = SqliteBackend(path, lease=0.3)
        await backend.send(post(1))
        delivery = await backend.receive(PAY)
        other = asyncio.create_task(asyncio.to_thread(asyncio.run, waiting()))
        await asyncio.sleep(0.05)
        blocking.sleep(1.0)  # the whole event loop, as a careless handler does  # noqa: ASYNC251
        await backend.ack(delivery)
        assert await other
        await backend.close()

    async def waiting() -> bool:
        backend = SqliteBackend(path, lease=0.3)
        came = await nothing_comes(backend, PAY, 0.8)
        await backend.close()
        return came

    within(slow())


def test_send_waits_while_the_file_holds_enough(tmp_path: Path) -> None:
    """Backpressure, not loss."""

    async def go() -> tuple[bool, int]:
        backend = SqliteBackend(str(tmp_path / "a.db"), queue_max=2)
        for number in range(2):
            await backend.send(post(number))
        third = asyncio.create_task(backend.send(post(2)))
        await asyncio.sleep(0.05)
        waited = not third.done()
        await backend.ack(await backend.receive(PAY))
        await third
        depth = await backend.depth()
        await backend.close()
        return waited, depth.total

    assert within(go()) == (True, 2)


def test_a_worker_that_was_taken_for_dead_and_is_not_leaves_nothing_behind(tmp_path: Path) -> None:
    """What it wrote for itself before it noticed is handed out again, by whoever has room."""
    path = str(tmp_path / "a.db")

    async def go() -> list[str]:
        backend = SqliteBackend(path, lease=0.6)
        await backend.send(post(0))
        await backend.receive(PAY)
        with sqlite3.connect(path, timeout=5) as other:
            # As another process does with one whose lease has run out.
            other.execute("delete from worker")
            other.execute("update delivery set owner = null")
        other.close()
        await backend.send(post(1))
        await asyncio.sleep(0.8)
        taken = [(await backend.receive(PAY)).message.event.id for _ in range(2)]
        await backend.close()
        return sorted(taken)

    assert within(go()) == ["c0", "c1"]
