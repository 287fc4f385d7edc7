"""Revive: a failed workflow continues after its cause is fixed."""

import asyncio
from collections.abc import Callable

import pytest

from arvo import (
    Effects,
    Emit,
    Event,
    EventHandler,
    Flow,
    Runtime,
    System,
    TimerFired,
    Violated,
    ask,
    call,
    flow,
    gather,
)
from tests.interpreters.runtime.running import On, Outage
from tests.shop import (
    SERVICES,
    BookShipment,
    CardCharged,
    ChargeCard,
    OrderFulfilled,
    PlaceOrder,
    ShipmentBooked,
    order,
    order_request,
    payments,
    ship,
    shop,
)

SUBJECT = order_request().subject


async def until(holds: Callable[[], bool]) -> None:
    while not holds():  # noqa: ASYNC110 - `on` limits the time
        await asyncio.sleep(0.01)


async def timers_of(runtime: Runtime) -> list[str]:
    """Return the timers that the workflow has consumed; a turn may be taken twice to do so."""
    history = await runtime.history(SUBJECT)
    consumed = [entry.event for entry in history if entry.kind == "consumed" and entry.event]
    return [event.data.name for event in consumed if isinstance(event.data, TimerFired)]


def test_a_revived_workflow_consumes_the_event_it_failed_on_and_continues(on: On) -> None:
    """B08: although the event was consumed before."""
    # Long enough that the timer fires last, also on a busy machine.
    outage = Outage(down="CardCharged", after=3.0)

    async def work(runtime: Runtime) -> None:
        await runtime.send(order_request())
        await runtime.drain(timeout=60)
        failed = await runtime.record(SUBJECT)
        assert failed is not None
        assert (failed.status, failed.state) == ("failed", 1)

        revived = await runtime.revive(SUBJECT)
        await runtime.drain(timeout=60)
        await until(lambda: bool(outage.fired))
        await runtime.drain(timeout=60)

        record = await runtime.record(SUBJECT)
        assert revived.revision == failed.revision + 1
        assert record is not None
        assert (record.status, record.state, record.revivals) == ("active", 3, 1)
        assert await timers_of(runtime) == ["soon"]

    on(outage.system, work)


@pytest.mark.promise("I7")
def test_a_timer_that_was_due_while_a_workflow_had_failed_fires_when_it_is_revived(on: On) -> None:
    """It was cleared, or came too late, and would never fire (promise I7)."""
    outage = Outage(down="CardCharged")

    async def work(runtime: Runtime) -> None:
        await runtime.send(order_request())
        await runtime.drain(timeout=60)
        await asyncio.sleep(0.4)
        await runtime.revive(SUBJECT)
        await until(lambda: bool(outage.fired))
        await runtime.drain(timeout=60)

        assert await timers_of(runtime) == ["soon"]

    on(outage.system, work)


@pytest.mark.parametrize("down", ["PlaceOrder", "TimerFired", "ShipmentBooked"])
def test_a_workflow_can_be_revived_after_any_event(on: On, down: str) -> None:
    """Its first event, a timer, a reply."""
    outage = Outage(down=down)

    async def work(runtime: Runtime) -> None:
        await runtime.send(order_request())
        await until(lambda: not outage.down)
        await runtime.drain(timeout=60)
        await runtime.revive(SUBJECT)
        await until(lambda: bool(outage.fired))
        await runtime.drain(timeout=60)

        record = await runtime.record(SUBJECT)
        assert record is not None
        assert record.failure is None
        # The turn that failed has consumed it, too.
        consumed = 2 if down == "TimerFired" else 1
        assert await timers_of(runtime) == ["soon"] * consumed
        assert await runtime.dead_letters() == ()

    on(outage.system, work)


def test_a_workflow_that_has_not_failed_is_not_revived() -> None:
    """The message names its status."""

    async def go() -> None:
        async with Runtime(shop) as runtime:
            with pytest.raises(Violated, match="there is no such workflow"):
                await runtime.revive(SUBJECT)
            await runtime.request(order_request(), timeout=60)
            with pytest.raises(Violated, match=r"has not failed: .* got done"):
                await runtime.revive(SUBJECT)

    asyncio.run(go())


@pytest.mark.promise("I8")
def test_a_reply_that_comes_after_the_failure_counts_when_the_workflow_is_revived(on: On) -> None:
    """I8: it is no dead letter, and no operator has to redrive it."""
    is_down, shipped = [True], asyncio.Event()

    @flow(order, "1.0.0", services=SERVICES)
    def both(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
        def pay() -> Flow[str]:
            charged = yield from ask(ChargeCard("o1", 1.0), CardCharged)
            if is_down[0]:
                raise ConnectionError("the database is down")
            return charged.receipt

        receipt, booked = yield from gather(pay(), ask(BookShipment("o1"), ShipmentBooked))
        return OrderFulfilled(f"{receipt} {booked.tracking}")

    async def wait() -> None:
        await shipped.wait()

    def book(event: Event[BookShipment]) -> Effects[Emit]:
        yield from call(wait)
        return Emit(ShipmentBooked("t1"))

    async def work(runtime: Runtime) -> None:
        await runtime.send(order_request())
        record = None
        while record is None or record.status != "failed":
            await asyncio.sleep(0.01)
            record = await runtime.record(SUBJECT)
        shipped.set()
        stats = await runtime.drain(timeout=60)
        retained = await runtime.record(SUBJECT)

        is_down[0] = False
        await runtime.revive(SUBJECT)
        await runtime.drain(timeout=60)

        done = await runtime.record(SUBJECT)
        assert (stats.late, stats.dead_lettered) == (1, 0)
        assert retained is not None
        assert (retained.status, retained.late_replies) == ("failed", 1)
        assert done is not None
        assert (done.status, done.revivals, done.late_replies) == ("done", 1, 0)
        assert await runtime.dead_letters() == ()
        is_down[0] = True
        # The turn of the failure differs from now on: it would fail again.
        replayed = await runtime.replay(SUBJECT, until=retained.revision)
        assert [turn.agrees for turn in replayed.turns] == [True, True, True]
        assert replayed.record == retained

    on(System([both, payments, EventHandler(ship, {"1.0.0": book})]), work)
