"""Backend between ticks: what a process does without polling the file."""

import asyncio
import sqlite3
import threading
import time
from collections.abc import Callable, Coroutine
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from arvo import (
    Commit,
    Event,
    EventHandler,
    Flow,
    Limit,
    Record,
    Runtime,
    System,
    flow,
    sleep,
)
from arvo.core.commit import PendingTimer
from arvo.engine.step.route import ToHandler
from arvo.interpreters.ports.errors import Corrupt, Unavailable
from arvo.interpreters.ports.messages import DeadLetter, Delivery, Message
from arvo.interpreters.ports.results import Depth
from arvo.interpreters.sqlite import SqliteBackend
from arvo.interpreters.sqlite.session import session
from arvo.interpreters.sqlite.session.session import PREFETCH
from arvo.interpreters.sqlite.statements import deliveries, workers
from tests.interpreters.until import until
from tests.interpreters.within import within
from tests.shop import (
    OrderFulfilled,
    PlaceOrder,
    charge_request,
    expect_commit,
    fulfilment,
    order,
    order_request,
    payments,
    shipping,
    shop,
)

ORDER, PAY = "arvo.orc.order.fulfil", "com.payment.charge"
START = datetime(2026, 1, 2, tzinfo=UTC)


@pytest.fixture(autouse=True)
def no_ticks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test that depends on a tick hangs, and fails."""
    monkeypatch.setattr(session, "TICK_SECONDS", 3600.0)


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "a.db")


def rows(path: str, sql: str) -> list[Any]:
    with closing(sqlite3.connect(path)) as connection:
        return [row[0] for row in connection.execute(sql)]


def message(name: str, key: str | None = None, queue: str = PAY) -> Message:
    return Message(charge_request(name), ToHandler(queue, key))


def test_events_of_a_limited_handler_are_claimed_at_once(path: str) -> None:
    """No process owns them when they are stored, and none may wait for a poll of the file."""
    limits = [Limit(concurrent=1), Limit(rate=2, seconds=0.1)]
    limited = EventHandler(payments.contract, payments.functions, limits=limits)

    async def go() -> int:
        async with Runtime(System([limited, fulfilment, shipping]), SqliteBackend(path)) as runtime:
            for number in range(3):
                await runtime.request(charge_request(f"c{number}"), timeout=60)
                # The next one finds a process that has nothing else to do.
                await asyncio.sleep(0.1)
            orders = [order_request(f"i{number}") for number in range(3)]
            await asyncio.gather(*(runtime.request(event, timeout=60) for event in orders))
            return runtime.stats().dead_lettered

    assert within(go()) == 0


def dead_letter(delivery: Delivery) -> DeadLetter:
    return DeadLetter(
        id=delivery.message.event.id,
        event=delivery.message.event,
        reason="no",
        attempts=1,
        at="2026-01-02T00:00:00Z",
        to=delivery.message.to,
    )


def record_of(commit: Commit) -> Record:
    assert commit.record is not None
    return commit.record


async def serve(backend: SqliteBackend, *queues: str) -> None:
    """Let the backend serve queues that it has found empty."""
    await backend._session.open()
    backend._session.claims.served.update(queues)
    backend._session.claims._more.clear()


async def receive_begin(backend: SqliteBackend) -> tuple[Delivery, Commit]:
    """Receive an event that begins a workflow, and decide on it."""
    event = order_request()
    await backend.send(Message(event, ToHandler(ORDER, event.subject)))
    return await backend.receive(ORDER), expect_commit(shop, event)


async def send(backend: SqliteBackend) -> None:
    await backend.send(message("c1"))


async def commit(backend: SqliteBackend) -> None:
    delivery, decided = await receive_begin(backend)
    await backend.commit(delivery, decided, [message("c1")], [])


async def replace_record(backend: SqliteBackend) -> None:
    delivery, decided = await receive_begin(backend)
    await backend.commit(delivery, decided, [], [])
    event = charge_request("c1", subject=record_of(decided).subject)
    record = evolve(record_of(decided), revision=2, handler=PAY)
    await backend.replace_record(record, 1, redeliver=[event])


async def redrive(backend: SqliteBackend) -> None:
    await backend.send(message("c1"))
    delivery = await backend.receive(PAY)
    await backend.dead_letter(delivery, dead_letter(delivery))
    assert await backend.redrive("c1", [message("c1")])


@pytest.mark.parametrize("operation", [send, commit, replace_record, redrive])
def test_a_process_delivers_at_once_what_it_sends_to_itself(
    path: str, operation: Callable[[SqliteBackend], Coroutine[Any, Any, None]]
) -> None:
    """If it serves the queue: neither another process nor this one needs to poll."""

    async def go() -> tuple[list[Any], str, Delivery, int]:
        backend = SqliteBackend(path)
        await serve(backend, PAY, ORDER)
        await operation(backend)
        owners = rows(path, "select owner from delivery")
        ready = backend._session.claims.queues.ready
        delivery = await backend.receive(PAY)
        worker_id = backend.worker_id
        await backend.close()
        return owners, worker_id, delivery, ready

    owners, worker_id, delivery, ready = within(go())
    assert owners == [worker_id]
    assert (delivery.message.event.id, delivery.attempt, ready) == ("c1", 1, 1)


@pytest.mark.promise("I4")
def test_a_redelivered_event_waits_for_the_key_of_its_workflow(path: str) -> None:
    """I4: it comes after the event of that workflow that is under way."""

    async def go() -> list[object]:
        backend = SqliteBackend(path)
        await serve(backend, PAY, ORDER)
        delivery, decided = await receive_begin(backend)
        await backend.commit(delivery, decided, [], [])
        record = record_of(decided)
        await backend.send(Message(order_request("i2"), ToHandler(ORDER, record.subject)))
        busy = await backend.receive(ORDER)
        await backend.replace_record(evolve(record, revision=2), 1, redeliver=[order_request("i3")])
        waiting = asyncio.create_task(backend.receive(ORDER))
        await asyncio.sleep(0.01)
        early = waiting.done()
        await backend.ack(busy)
        after = await waiting
        await backend.close()
        return [early, after.message.event.id, after.message.to == ToHandler(ORDER, record.subject)]

    assert within(go()) == [False, "i3", True]


def test_a_process_knows_the_depth_of_the_queues_without_a_count(path: str) -> None:
    """As far as it wrote them itself: so `send` waits neither too long nor too late."""

    async def go() -> list[tuple[int | None, int]]:
        backend = SqliteBackend(path)
        await serve(backend, PAY, ORDER)
        depths: list[tuple[int | None, int]] = []

        def compare() -> None:
            counted = rows(path, "select count(*) from delivery")[0]
            depths.append((backend._session.backpressure.depth, counted))

        for name in ("c1", "c2", "c3"):
            await backend.send(message(name))
        compare()
        delivery, decided = await receive_begin(backend)
        compare()
        await backend.commit(delivery, decided, [message("c4"), message("c5")], [])
        compare()
        events = [order_request(name) for name in ("i2", "i3")]
        record = evolve(record_of(decided), revision=2)
        await backend.replace_record(record, 1, redeliver=events)
        compare()
        first, second, third = [await backend.receive(PAY) for _ in range(3)]
        await backend.ack(first)
        compare()
        await backend.dead_letter(second, dead_letter(second))
        compare()
        await backend.redrive("c2", [message("c6"), message("c7")])
        await backend.redrive("c2", [message("c8")])
        compare()
        await backend.nack(third, 0.0)
        compare()
        taken = len(backend._session.claims.queues.taken)
        await backend.close()
        return [*depths, (taken, 0)]

    *depths, taken = within(go())
    assert [counted for _, counted in depths] == [3, 4, 5, 7, 6, 5, 7, 7]
    assert all(known == counted for known, counted in depths)
    assert taken == (0, 0)


def test_an_ack_of_a_lost_delivery_does_not_lower_the_depth(path: str) -> None:
    """Its row is still in the file, and belongs to another worker."""

    async def go() -> tuple[int | None, int]:
        backend = SqliteBackend(path)
        await backend.send(message("c1"))
        delivery = await backend.receive(PAY)
        with closing(sqlite3.connect(path)) as other, other:
            workers.deregister(other, backend.worker_id)
        await backend.ack(delivery)
        depth = backend._session.backpressure.depth
        await backend.close()
        return depth, rows(path, "select count(*) from delivery")[0]

    assert within(go()) == (1, 1)


def test_send_waits_for_room_and_each_ack_lets_one_message_in(path: str) -> None:
    """Messages that are being written take room too."""

    async def go() -> list[object]:
        backend = SqliteBackend(path, queue_max=2)
        await serve(backend, PAY)
        senders = [asyncio.create_task(backend.send(message(f"c{n}"))) for n in range(4)]
        seen: list[object] = []
        for expected in (2, 3):
            await until(lambda: sum(sender.done() for sender in senders) >= expected)  # noqa: B023
            # One that does not wait would come in meanwhile.
            await asyncio.sleep(0.05)
            done = sum(sender.done() for sender in senders)
            seen.append((done, backend._session.backpressure.depth))
            await backend.ack(await backend.receive(PAY))
        await asyncio.gather(*senders)
        seen.append(backend._session.backpressure.depth)
        await backend.close()
        return seen

    assert within(go()) == [(2, 2), (3, 2), 2]


def test_claims_go_on_until_the_queue_is_empty(path: str) -> None:
    """A few at a time for each waiting call; the rest is left to others."""

    async def go() -> tuple[list[str], int]:
        sender, backend = SqliteBackend(path), SqliteBackend(path)
        for number in range(2 * PREFETCH + 1):
            await sender.send(message(f"c{number}"))
        received = [await backend.receive(PAY)]
        claimed = rows(path, "select count(*) from delivery where owner is not null")[0]
        received += [await backend.receive(PAY) for _ in range(2 * PREFETCH)]
        names = [delivery.message.event.id for delivery in received]
        await sender.close()
        await backend.close()
        return names, claimed

    names, claimed = within(go())
    assert names == [f"c{number}" for number in range(2 * PREFETCH + 1)]
    assert claimed == PREFETCH


def test_a_claim_of_an_empty_queue_does_not_stop_those_of_another(path: str) -> None:
    """Otherwise its deliveries would wait for a poll: a second is long."""

    async def go() -> list[str]:
        sender, backend = SqliteBackend(path), SqliteBackend(path)
        for number in range(2 * PREFETCH):
            await sender.send(message(f"w{number}", key=f"k{number}", queue=ORDER))
        await sender.close()
        received = [await backend.receive(ORDER)]
        # While no call waits for that queue, one waits for an empty queue.
        waiting = asyncio.create_task(backend.receive(PAY))
        await asyncio.sleep(0.05)
        received += [await backend.receive(ORDER) for _ in range(2 * PREFETCH - 1)]
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        await backend.close()
        return [delivery.message.event.id for delivery in received]

    assert within(go()) == [f"w{number}" for number in range(2 * PREFETCH)]


def test_a_claim_that_finds_the_file_busy_is_repeated(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process may hold the file for too long: no queue is forgotten for it."""
    is_refused = threading.Event()

    def refuse(*_: object) -> list[Any]:
        is_refused.set()
        raise sqlite3.OperationalError("database is locked")

    async def go() -> tuple[bool, str]:
        backend, other = SqliteBackend(path), SqliteBackend(path)
        await serve(backend, PAY, ORDER)
        await other.send(message("c1"))
        with monkeypatch.context() as patch:
            patch.setattr(deliveries, "claim", refuse)
            backend._session.claims._more.add(PAY)
            waiting = asyncio.create_task(backend.receive(PAY))
            await asyncio.to_thread(is_refused.wait)
            await until(lambda: backend._session.claims._filling is None)
            early = waiting.done()
        backend._session.claims.fill()
        delivery = await waiting
        await backend.close()
        await other.close()
        return early, str(delivery.message.event.id)

    assert within(go()) == (False, "c1")


def test_a_claim_that_fails_for_good_fails_the_calls_that_wait(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A task that died in silence would leave them waiting for ever."""

    def break_down(*_: object) -> list[Any]:
        raise DeprecationWarning("a warning that a test suite turns into an error")

    monkeypatch.setattr(deliveries, "claim", break_down)

    async def go() -> list[object]:
        backend = SqliteBackend(path)
        received = await asyncio.gather(
            backend.receive(PAY), backend.receive(ORDER), return_exceptions=True
        )
        await backend.close()
        return list(received)

    assert [repr(error) for error in within(go())] == [
        "DeprecationWarning('a warning that a test suite turns into an error')"
    ] * 2


def test_a_claim_that_fails_for_good_fails_a_request(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The caller of `request` sees the error before its timeout."""

    def break_down(*_: object) -> list[Any]:
        raise RuntimeError("a bug")

    monkeypatch.setattr(deliveries, "claim", break_down)

    async def go() -> None:
        async with Runtime(shop, SqliteBackend(path)) as runtime:
            while runtime.is_working:  # noqa: ASYNC110 - it breaks by itself
                await asyncio.sleep(0)
            await runtime.request(order_request(), timeout=60)

    with pytest.raises(BaseException, match="a bug") as failed:
        within(go())
    assert not isinstance(failed.value, TimeoutError)


async def other_process_sends(backend: SqliteBackend, other: SqliteBackend) -> None:
    """Let another process send what a tick would find."""
    await other.send(message("c1"))
    backend._session.on_claimable()


async def lease_expires(backend: SqliteBackend, other: SqliteBackend) -> None:
    """Let this process be taken for dead, which a tick would find."""
    await other.send(message("c1"))
    backend._session.on_lost()


async def backend_sends(backend: SqliteBackend, other: SqliteBackend) -> None:
    """Send to a queue that no process serves yet."""
    await backend.send(message("c1"))


@pytest.mark.parametrize("happens", [other_process_sends, lease_expires, backend_sends])
def test_the_first_receive_on_a_queue_finds_what_was_sent_before(
    path: str, happens: Callable[[SqliteBackend, SqliteBackend], Coroutine[Any, Any, None]]
) -> None:
    """No call waited for it when it came."""

    async def go() -> str:
        backend, other = SqliteBackend(path), SqliteBackend(path)
        await serve(backend, ORDER)
        await happens(backend, other)
        await asyncio.sleep(0.01)
        name = (await backend.receive(PAY)).message.event.id
        await backend.close()
        await other.close()
        return name

    assert within(go()) == "c1"


def test_one_claim_runs_at_a_time_and_only_while_a_call_waits(path: str) -> None:
    """Two at once would claim twice as much as there is room for."""

    async def go() -> list[bool]:
        backend = SqliteBackend(path)
        await serve(backend, PAY)
        claims = backend._session.claims
        claims._more.add(PAY)
        claims.fill()
        idle = claims._filling is None
        waiting = asyncio.create_task(backend.receive(PAY))
        await asyncio.sleep(0.01)
        claims._more.add(PAY)
        claims.fill()
        first = claims._filling
        claims.fill()
        once = isinstance(first, asyncio.Task) and claims._filling is first
        # A tick may still notify the claims while the backend is closed.
        closing_ = asyncio.create_task(backend.close())
        await asyncio.sleep(0)
        claims._filling = None
        claims.fill()
        await closing_
        closed = (claims._filling, backend._session._opening) == (None, None)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        return [idle, once, closed]

    assert within(go()) == [True, True, True]


def test_a_delayed_delivery_is_due_for_others_at_the_same_time(path: str) -> None:
    """They may claim it if this process has died meanwhile, and not before it is due."""
    now = [START]

    async def go() -> list[object]:
        backend = SqliteBackend(path, now=lambda: now[0])
        await backend.send(message("c1"))
        await backend.nack(await backend.receive(PAY), 90.0)
        (due,) = rows(path, "select due from delivery")
        await backend.close()
        return [due, *rows(path, "select attempt from delivery")]

    due = START + timedelta(seconds=90)
    assert within(go()) == [int(due.timestamp() * 1000), 2]


def test_depth_counts_ready_taken_delayed_and_timers(path: str) -> None:
    """An operator sees what waits, and for what."""

    async def go() -> Depth:
        backend = SqliteBackend(path, now=lambda: START)
        for name in ("c1", "c2", "c3", "c4"):
            await backend.send(message(name))
        await backend.receive(PAY)
        await backend.nack(await backend.receive(PAY), 90.0)
        delivery, decided = await receive_begin(backend)
        timer = PendingTimer(order_request("rings"), START + timedelta(days=1))
        await backend.commit(delivery, evolve(decided, timers=(timer,)), [], [])
        depth = await backend.depth()
        await backend.close()
        return depth

    assert within(go()) == Depth(ready=2, taken=1, delayed=1, timers=1)


def test_workflows_are_listed_by_the_time_of_their_last_change(path: str) -> None:
    """For example those that have not changed for an hour."""
    now = [START]

    async def go() -> list[list[datetime]]:
        backend = SqliteBackend(path, now=lambda: now[0])
        for name in ("i1", "i2"):
            event = order_request(name)
            await backend.send(Message(event, ToHandler(ORDER, event.subject)))
            await backend.commit(await backend.receive(ORDER), expect_commit(shop, event), [], [])
            now[0] += timedelta(days=1)
        times = [START, START + timedelta(hours=1), now[0]]
        pages = [await backend.workflows(unchanged_since=since) for since in times]
        await backend.close()
        return [[stored.changed for stored in page] for page in pages]

    later = START + timedelta(days=1)
    assert within(go()) == [[], [START], [later, START]]


def test_reads_run_one_after_the_other_in_a_thread_of_their_own(path: str) -> None:
    """A connection serves one call at a time; effects that fill the shared threads block none."""

    def read(_: sqlite3.Connection) -> tuple[int, str]:
        time.sleep(0.01)  # another thread, if there were one, would run the next read
        return threading.get_ident(), threading.current_thread().name

    async def go() -> set[tuple[int, str]]:
        backend = SqliteBackend(path)
        threads = await asyncio.gather(*(backend._session.read(read) for _ in range(5)))
        await backend.close()
        return set(threads)

    ((_, name),) = within(go())
    assert name.startswith("arvo sqlite reader")


@pytest.mark.parametrize("kind", [Unavailable, Corrupt])
def test_a_file_that_cannot_be_opened_can_be_closed(tmp_path: Path, kind: type) -> None:
    """Also while it is being opened."""
    damaged = tmp_path / "a.db"
    damaged.write_text("no database")
    path = damaged if kind is Corrupt else tmp_path / "nowhere" / "a.db"

    async def go() -> list[object]:
        backend = SqliteBackend(str(path))
        waiting = asyncio.create_task(backend.receive(PAY))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        await backend.close()
        return [type(error) for error in await asyncio.gather(waiting, return_exceptions=True)]

    assert within(go()) == [kind]


def test_a_worker_that_cannot_deregister_closes_the_file_all_the_same(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process may hold the file: the lease expires later, but no connection stays open."""

    def refuse(*_: object) -> None:
        raise sqlite3.OperationalError("database is locked")

    async def go() -> tuple[bool, int]:
        backend = SqliteBackend(path)
        await backend.send(message("c1"))
        monkeypatch.setattr(workers, "deregister", refuse)
        writer = await backend._session.open()
        thread = writer._thread
        assert thread is not None
        await backend.close()
        return thread.is_alive(), len(rows(path, "select id from worker"))

    assert within(go()) == (False, 1)


def test_a_send_that_waits_for_room_fails_when_the_backend_is_closed(path: str) -> None:
    """The event was not accepted, and its sender must know."""

    async def go() -> str:
        backend = SqliteBackend(path, queue_max=1)
        await backend.send(message("c1"))
        waiting = asyncio.create_task(backend.send(message("c2")))
        await asyncio.sleep(0.01)
        await backend.close()
        (refused,) = await asyncio.gather(waiting, return_exceptions=True)
        assert isinstance(refused, Unavailable)
        return str(refused)

    assert "closed before it took the event" in within(go())


def test_a_call_that_waits_claims_once_and_does_not_poll(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Transactions of one file take turns, so a claim is never contested."""
    claims: list[object] = []

    def claim(connection: sqlite3.Connection, *arguments: Any) -> Any:
        claims.append(arguments)
        return real_claim(connection, *arguments)

    real_claim = deliveries.claim
    monkeypatch.setattr(deliveries, "claim", claim)

    async def go() -> None:
        backend = SqliteBackend(path)
        waiting = asyncio.create_task(backend.receive(PAY))
        await until(lambda: bool(claims))
        await asyncio.sleep(0.05)
        waiting.cancel()
        await backend.close()

    within(go())

    assert len(claims) == 1


@pytest.mark.promise("I7")
def test_timers_that_a_process_sets_itself_fire_without_a_poll(path: str) -> None:
    """I7: six naps take the time of six naps, and not that of six polls."""

    @flow(order, "1.0.0")
    def doze(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
        for _ in range(6):
            yield from sleep(0.02)
        return OrderFulfilled("rested")

    async def go() -> object:
        async with Runtime(System([doze]), SqliteBackend(path)) as runtime:
            return (await runtime.request(order_request(), timeout=60)).data

    assert within(go()) == OrderFulfilled("rested")


@pytest.mark.promise("I7")
def test_timers_of_a_replaced_record_fire_without_a_poll(path: str) -> None:
    """I7: an operator who revives a workflow sees it go on."""

    async def go() -> str:
        backend = SqliteBackend(path)
        delivery, commit = await receive_begin(backend)
        await backend.commit(delivery, commit, [], [])
        record = record_of(commit)
        due = datetime.now(UTC) + timedelta(seconds=0.05)
        timer = PendingTimer(evolve(order_request("timer"), subject=record.subject), due)
        again = evolve(record, revision=record.revision + 1)
        await backend.replace_record(again, record.revision, timers=[timer])
        received = await backend.receive(ORDER)
        await backend.close()
        return received.message.event.id

    assert within(go()) == "timer"
