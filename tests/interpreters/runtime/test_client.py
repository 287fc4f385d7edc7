"""Desk: what an operator sees of the workflows in a backend, and does with them."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeAlias

import attrs
import pytest

from arvo import (
    Backend,
    Client,
    Commands,
    Complete,
    Emit,
    Flow,
    MemoryBackend,
    Persist,
    Retry,
    Runtime,
    Schedule,
    System,
    TimerFired,
    Turn,
    Violated,
    ask,
    flow,
    sleep,
)
from arvo.interpreters.sqlite import SqliteBackend
from tests.shop import (
    NOW,
    SERVICES,
    BookShipment,
    CardCharged,
    ChargeCard,
    OrderFulfilled,
    PlaceOrder,
    ShipmentBooked,
    answering,
    fulfilment,
    order,
    paying,
    payments,
    placing,
    shipping,
    shop,
    workflow,
)

ORDER = "arvo.orc.order.fulfil"
SUBJECT = placing().subject
Work: TypeAlias = Callable[[Runtime], Awaitable[None]]
On: TypeAlias = Callable[[System, Work], None]


def test_whether_a_backend_answers_is_told_and_not_raised(tmp_path: Path) -> None:
    """A probe wants a yes or a no."""

    async def reached(url: str) -> bool:
        async with Client(shop, url) as desk:
            return await desk.is_reachable()

    assert asyncio.run(reached("memory:"))
    assert asyncio.run(reached(f"sqlite:///{tmp_path / 'arvo.db'}"))
    assert not asyncio.run(reached(f"sqlite:///{tmp_path / 'nowhere' / 'arvo.db'}"))
    damaged = tmp_path / "damaged.db"
    damaged.write_bytes(b"this is no database, and long enough not to be taken for one" * 99)
    assert not asyncio.run(reached(f"sqlite:///{damaged}"))


@pytest.fixture(params=["memory", "sqlite"])
def on(request: pytest.FixtureRequest, tmp_path: Path) -> On:
    """Run a system on each kind of backend."""

    def within(system: System, work: Work) -> None:
        async def go() -> None:
            backend: Backend = (
                MemoryBackend()
                if request.param == "memory"
                else SqliteBackend(str(tmp_path / "arvo.db"))
            )
            async with asyncio.timeout(20), Runtime(system, backend, retry=Retry(1)) as runtime:
                await work(runtime)

        asyncio.run(go())

    return within


@attrs.define
class Outage:
    """A workflow that fails while something that it needs is down."""

    down: str = ""
    fired: list[str] = attrs.field(factory=list)

    def turn(self, turn: Turn[Any]) -> Commands:
        kind = type(turn.event.data).__name__
        if kind == self.down:
            self.down = ""
            raise ConnectionError("the database is down")
        match turn.event.data:
            case PlaceOrder():
                return Persist(1), Emit(ChargeCard("o1", 1.0)), Schedule("soon", after=0.3)
            case CardCharged():
                return Persist(2), Emit(BookShipment("o1"))
            case TimerFired(name=name):
                self.fired.append(name)
                return None
            case ShipmentBooked(tracking=tracking):
                return Complete(OrderFulfilled(tracking)) if self.fired else Persist(3)
            case _:
                return None

    @property
    def system(self) -> System:
        return System([workflow(self.turn), payments, shipping])


async def until(holds: Callable[[], bool]) -> None:
    for _ in range(1000):
        if holds():
            return
        await asyncio.sleep(0.01)
    raise TimeoutError


def test_a_revived_workflow_is_handed_the_event_it_failed_on_and_goes_on(on: On) -> None:
    """B08: the inbox has seen that event, and lets it in once more all the same."""
    outage = Outage(down="CardCharged")

    async def work(runtime: Runtime) -> None:
        await runtime.send(placing())
        await runtime.drain(timeout=5)
        failed = await runtime.record(SUBJECT)
        assert failed is not None
        assert (failed.status, failed.state) == ("failed", 1)

        revived = await runtime.revive(SUBJECT)
        await runtime.drain(timeout=5)
        await asyncio.sleep(1.5)
        await runtime.drain(timeout=5)

        record = await runtime.record(SUBJECT)
        assert revived.revision == failed.revision + 1
        assert record is not None
        assert (record.status, record.state, record.revivals) == ("active", 3, 1)
        assert outage.fired == ["soon"]

    on(outage.system, work)


def test_a_timer_that_was_due_while_a_workflow_had_failed_comes_when_it_is_revived(on: On) -> None:
    """I7: it was cleared, or came too late, and would never fire."""
    outage = Outage(down="CardCharged")

    async def work(runtime: Runtime) -> None:
        await runtime.send(placing())
        await runtime.drain(timeout=5)
        await asyncio.sleep(0.4)
        await runtime.revive(SUBJECT)
        await until(lambda: bool(outage.fired))
        await runtime.drain(timeout=5)

        assert outage.fired == ["soon"]

    on(outage.system, work)


@pytest.mark.parametrize("down", ["PlaceOrder", "Due", "ShipmentBooked"])
def test_a_workflow_is_revived_whatever_it_failed_on(on: On, down: str) -> None:
    """Its first event, a timer, a reply."""
    outage = Outage(down=down)

    async def work(runtime: Runtime) -> None:
        await runtime.send(placing())
        await until(lambda: not outage.down)
        await runtime.drain(timeout=5)
        await runtime.revive(SUBJECT)
        await until(lambda: bool(outage.fired))
        await runtime.drain(timeout=5)

        record = await runtime.record(SUBJECT)
        assert record is not None
        assert record.failure is None
        assert outage.fired == ["soon"]
        assert await runtime.dead_letters() == ()

    on(outage.system, work)


def test_a_workflow_that_has_not_failed_is_not_revived() -> None:
    """The message says what it is instead."""

    async def go() -> None:
        async with Runtime(shop) as runtime:
            with pytest.raises(Violated, match="nothing is remembered"):
                await runtime.revive(SUBJECT)
            await runtime.request(placing(), timeout=5)
            with pytest.raises(Violated, match=r"has not failed: .* got done"):
                await runtime.revive(SUBJECT)

    asyncio.run(go())


def test_an_operator_sees_what_a_workflow_waits_for_and_since_when() -> None:
    """B15, B38: an order that hangs says why."""

    def waits(turn: Turn[Any]) -> Commands:
        return Persist("charging"), Emit(ChargeCard("o1", 1.0)), Schedule("end", after=3600)

    silent = System([workflow(waits), paying(lambda event: None)])

    async def go() -> str:
        backend = MemoryBackend(now=lambda: NOW)
        async with Runtime(silent, backend, now=lambda: NOW) as runtime:
            await runtime.send(placing())
            await runtime.drain(timeout=5)
            standing = await runtime.describe(SUBJECT)
            [request] = standing.requests
            assert (request.type, request.since) == ("com.payment.charge", NOW)
            return str(standing).replace(SUBJECT, "SUBJECT").replace(request.id, "ID")

    assert asyncio.run(go()).splitlines() == [
        "arvo.orc.order.fulfil 1.0.0: active",
        "  subject    SUBJECT",
        "  began      2026-01-02 03:04:05 UTC",
        "  changed    2026-01-02 03:04:05 UTC, revision 1",
        "  remembers  'charging'",
        "  waits for  an answer to com.payment.charge since 2026-01-02 03:04:05 UTC (event ID)",
        "  waits for  its timer end, due 2026-01-02 04:04:05 UTC",
    ]


def test_an_operator_sees_why_a_workflow_failed_and_what_came_too_late() -> None:
    """The dead letters are what to retry after it was revived."""
    outage = Outage(down="CardCharged")

    async def go() -> None:
        async with Runtime(outage.system, now=lambda: NOW) as runtime:
            await runtime.send(placing())
            await runtime.drain(timeout=5)
            [asked] = [each for each in await runtime.history(SUBJECT) if each.kind == "produced"][
                :1
            ]
            assert asked.event is not None
            late = answering(asked.event, CardCharged("r2"), key="late")
            await runtime.send(late)
            await runtime.drain(timeout=5)
            said = str(await runtime.describe(SUBJECT))
            assert "failed     ConnectionError: the database is down" in said
            assert "waited for  an answer to com.payment.charge" in said
            assert "buried     evt.payment.charged" in said

    asyncio.run(go())


def test_an_operator_sees_what_a_flow_waits_for_in_its_own_words() -> None:
    """A request, a sleep."""

    @flow(order, "1.0.0", services=SERVICES)
    def naps(event: Any) -> Flow[OrderFulfilled]:
        yield from sleep(timedelta(hours=1))
        paid = yield from ask(ChargeCard("o1", 1.0), CardCharged)
        return OrderFulfilled(paid.receipt)

    async def go() -> str:
        async with Runtime(System([naps, payments])) as runtime:
            await runtime.send(placing())
            await runtime.drain(timeout=5)
            standing = await runtime.describe(SUBJECT)
            assert standing.wishes == ("sleep 1:00:00",)
            return str(standing)

    assert "waits for  sleep 1:00:00" in asyncio.run(go())


def test_a_workflow_that_nothing_will_move_is_seen_as_such() -> None:
    """It may be a bug: it asked for nothing, and no timer will come."""
    idle = System([workflow(lambda turn: Persist(1))])

    async def go() -> str:
        async with Runtime(idle) as runtime:
            await runtime.send(placing())
            await runtime.drain(timeout=5)
            return str(await runtime.describe(SUBJECT))

    assert "waits for  nothing that it asked for: a signal, or nothing at all" in asyncio.run(go())


def test_workflows_are_listed_by_what_they_are_and_how_long_they_have_been_quiet(on: On) -> None:
    """The first look in the morning."""

    async def work(runtime: Runtime) -> None:
        for key in ("a", "b"):
            await runtime.request(placing(key), timeout=5)
        done = await runtime.workflows(status="done", type=ORDER)

        assert [each.record.init for each in done] == ["b", "a"]
        assert await runtime.workflows(status="failed") == ()
        assert await runtime.workflows(limit=1, after=done[0]) == (done[1],)
        later = done[0].changed + timedelta(seconds=1)
        assert len(await runtime.workflows(unchanged_since=later)) == 2
        assert await runtime.workflows(unchanged_since=done[1].changed) == ()
        assert str(done[0]).startswith("arvo.orc.order.fulfil 1.0.0  done  since ")

    on(shop, work)


def test_a_history_is_read_to_its_beginning(on: On) -> None:
    """Every event, in order."""

    async def work(runtime: Runtime) -> None:
        await runtime.request(placing(), timeout=5)

        lines = await runtime.history(SUBJECT)

        assert [line.position for line in lines] == list(range(6))
        assert [line.kind for line in lines] == ["consumed", "produced"] * 3

    on(shop, work)


def test_what_was_done_for_real_is_replayed_to_the_same_record(on: On) -> None:
    """I3: ids, times and timers, as they went through the store."""
    system = Outage().system

    async def work(runtime: Runtime) -> None:
        await runtime.send(placing())
        await runtime.drain(timeout=5)

        replayed = await runtime.replay(SUBJECT)

        assert str(replayed).splitlines() == [
            "turn 1, on arvo.orc.order.fulfil: agrees, sends com.payment.charge",
            "turn 2, on evt.payment.charged: agrees, sends com.shipping.book",
            "turn 3, on evt.shipping.booked: agrees, sends nothing",
        ]
        assert replayed.agrees
        assert replayed.record == await runtime.record(SUBJECT)

    on(system, work)


def test_a_desk_looks_on_while_another_process_works(tmp_path: Path) -> None:
    """An operator's shell needs no handlers, and takes no work."""

    async def go() -> None:
        url = f"sqlite:///{tmp_path / 'arvo.db'}"
        async with Runtime(shop, url) as runtime, Client(System([]), url) as desk:
            await runtime.request(placing(), timeout=5)
            [kept] = await desk.workflows()
            assert kept.record == await runtime.record(SUBJECT)
            assert (await desk.describe(SUBJECT)).record == kept.record
        async with Client(System([fulfilment]), url) as desk:
            await desk.send(placing("later"))
        async with Runtime(shop, url) as runtime:
            await runtime.drain(timeout=5)
            assert [each.record.init for each in await runtime.workflows()] == ["later", "i1"]

    asyncio.run(go())
