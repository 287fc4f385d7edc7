"""Fork: a new workflow begins from a turn of another one, on each backend."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from arvo import (
    Backend,
    Client,
    Commands,
    Compensate,
    Complete,
    Emit,
    Event,
    Fail,
    MemoryBackend,
    Persist,
    Retry,
    Runtime,
    Schedule,
    System,
    Turn,
    Violated,
    Violation,
)
from arvo.core.events.protocol import fork_type
from arvo.core.events.subject import Subject, workflow_id_of
from arvo.engine.step.doors import check_outside
from arvo.interpreters.ports.backend import find_outputs
from arvo.testing import World, eventually, simulate
from arvo.testing.simulation.faults.fault import Crash, LostAnswer, OutboxCrash
from arvo.testing.simulation.faults.message import Delay, Drop, Duplicate, Reorder
from tests.core.contracts.test_versioned_workflow import begin
from tests.interpreters.runtime.running import On, run_runtime
from tests.shop import (
    BookShipment,
    CardCharged,
    ChargeCard,
    OrderFulfilled,
    PlaceOrder,
    make_workflow,
    order_request,
    payments,
    shipping,
    shop,
)

ORDER = "arvo.orc.order.fulfil"


def shop_that_fails(broken: list[bool], compensates: bool = False) -> System:
    """Make a shop whose orders fail in their second turn as long as it is broken."""

    def fulfil(turn: Turn[Any]) -> Commands:
        match turn.event.data:
            case PlaceOrder(order_id=order_id, amount=amount):
                compensation = [Compensate(Emit(BookShipment("undo")))] if compensates else []
                return Persist(order_id), Emit(ChargeCard(order_id, amount)), *compensation
            case CardCharged() if broken[0]:
                return Fail("the shop is broken")
            case _:
                return Complete(OrderFulfilled(str(turn.state)))

    return System([payments, shipping, make_workflow(fulfil)])


def test_a_failed_workflow_is_forked_before_its_failure(
    open_backend: Callable[[], Backend],
) -> None:
    """The fork sends the request that was open again, and gets the reply; the first one stays."""
    broken = [True]

    async def work(runtime: Runtime) -> None:
        await runtime.send(begin(1.0, workflow_id="order-1"))
        await runtime.drain(timeout=60)
        if find_outputs(runtime.backend) is not None:
            with pytest.raises(Violated, match="the workflow has no history"):
                await runtime.fork(order_subject, at=1)
            return
        before = await runtime.record("order-1"), await runtime.history("order-1")
        broken[0] = False

        subject = await runtime.fork(
            "order-1", at=1, new_id="order-1-again", actor="ann", reason="the shop is mended"
        )
        await runtime.drain(timeout=60)
        await runtime.fork("order-1", at=1, new_id="order-1-again", actor="ann")
        await runtime.drain(timeout=60)

        assert (await runtime.record("order-1"), await runtime.history("order-1")) == before
        record = await runtime.record("order-1-again")
        assert record is not None
        assert (record.subject, record.status, record.revision) == (subject, "done", 2)
        first, sent, *_ = [entry.event for entry in await runtime.history(subject)]
        assert first is not None
        assert sent is not None
        assert (first.data.origin, first.data.revision) == (order_subject, 1)
        assert sent.data == ChargeCard("o1", 1.0)
        replayed = await runtime.replay(subject)
        assert replayed.agrees, str(replayed)
        acts = await runtime.audit_log(workflow="order-1")
        assert [(act.verb, act.actor, act.reason, act.detail) for act in acts] == [
            ("fork", "ann", "", "at 1 as order-1-again"),
            ("fork", "ann", "the shop is mended", "at 1 as order-1-again"),
        ]
        assert await runtime.dead_letters() == ()
        ids = [workflow_id_of(it.record.subject) for it in await runtime.workflows()]
        assert sorted(ids) == ["order-1", "order-1-again"]

        with pytest.raises(Violated, match="order-1"):
            await runtime.fork("order-1", at=1, new_id="order-1")

    order_subject = begin(1.0, workflow_id="order-1").subject
    run_runtime(shop_that_fails(broken), work, backend=open_backend(), retry=Retry(1))


def test_a_timer_that_was_due_meanwhile_fires_at_once(on: On) -> None:
    """Its time does not move: the fork waits no longer than the first workflow did."""

    def fulfil(turn: Turn[Any]) -> Commands:
        match turn.event.data:
            case PlaceOrder():
                return Persist(1), Schedule("soon", after=0.001)
            case _:
                return Complete(OrderFulfilled("fired"))

    async def work(runtime: Runtime) -> None:
        await runtime.send(order_request())
        await ended(runtime, order_request().subject)
        subject = await runtime.fork(order_request().subject, at=1)

        await ended(runtime, subject)

        record = await runtime.record(subject)
        assert record is not None
        assert record.status == "done"
        assert await runtime.timers() == ()

    on(System([payments, shipping, make_workflow(fulfil)]), work)


async def ended(runtime: Runtime, subject: str) -> None:
    while True:
        record = await runtime.record(subject)
        if record is not None and record.status != "active":
            return
        await asyncio.sleep(0.01)


def test_a_fork_answers_no_caller(on: On) -> None:
    """The one who began the first workflow has its answer."""
    answers: list[Event[Any]] = []

    async def work(runtime: Runtime) -> None:
        runtime.on_address("com.shop.web")(lambda event: answers.append(event))
        await runtime.send(order_request())
        await runtime.drain(timeout=60)
        subject = await runtime.fork(order_request().subject, at=2)
        await runtime.drain(timeout=60)

        record = await runtime.record(subject)
        assert record is not None
        assert record.status == "done"
        assert [event.subject for event in answers] == [order_request().subject]
        assert Subject.parse(subject).execution.initiator == "arvo.runtime.operator"

    on(shop, work)


def test_what_was_compensated_needs_a_word(on: On) -> None:
    """The state still shows what the first workflow has undone; the fork undoes it no more."""

    async def work(runtime: Runtime) -> None:
        await runtime.send(order_request())
        await runtime.drain(timeout=60)
        with pytest.raises(Violated, match="has compensated since revision 1"):
            await runtime.fork(order_request().subject, at=1)

        subject = await runtime.fork(order_request().subject, at=1, after_compensation=True)
        await runtime.drain(timeout=60)

        sent = [entry.event for entry in await runtime.history(subject) if entry.event is not None]
        assert [event.data for event in sent if event.data == BookShipment("undo")] == []

    on(shop_that_fails([True], compensates=True), work)


@pytest.mark.promise("I12")
def test_a_fork_from_outside_is_refused() -> None:
    """A forged one would begin a workflow with any record."""

    async def go() -> None:
        backend = MemoryBackend()
        async with Runtime(shop, backend) as runtime:
            await runtime.send(order_request())
            await runtime.drain(timeout=60)
        async with Client(shop, backend) as client:
            await client.fork(order_request().subject, at=1)
            forged = (await backend.receive(ORDER)).message.event
            with pytest.raises(Violated, match="no fork"):
                await client.send(forged)

    asyncio.run(go())


async def forks_of_an_order() -> list[Event[Any]]:
    """Return the events that fork an order at its first and its second revision."""
    backend = MemoryBackend()
    async with Runtime(shop, backend) as runtime:
        await runtime.send(order_request())
        await runtime.drain(timeout=60)
    forks = []
    async with Client(shop, backend) as client:
        for at in (1, 2):
            await client.fork(order_request().subject, at=at, new_id=f"fork-{at}")
            delivery = await backend.receive(ORDER)
            await backend.ack(delivery)
            forks.append(delivery.message.event)
    return forks


@pytest.mark.promise("I1", "I2", "I3")
def test_a_crash_during_a_fork_neither_doubles_nor_loses() -> None:
    """Workers die, messages are doubled and delayed: each fork begins once and ends."""
    forks = asyncio.run(forks_of_an_order())

    def door(system: System, event: Event[Any], *record: Any) -> Violation | None:
        return None if event.type == fork_type(ORDER) else check_outside(system, event, *record)

    def each_began_once(world: World) -> bool:
        orders = [record for record in world.records.values() if record.handler == ORDER]
        ids = sorted(workflow_id_of(record.subject) for record in orders)
        sent = len(world.payloads(ChargeCard)), len(world.payloads(BookShipment))
        return (
            ids == ["fork-1", "fork-2"]
            and {record.status for record in orders} == {"done"}
            # The first one charges and ships, the second one was forked behind its charge.
            and sent == (1, 2)
        )

    kinds = (Crash, Drop, Duplicate, Delay, Reorder, OutboxCrash, LostAnswer)
    checks = [eventually(each_began_once)]
    outcome = simulate(shop, forks, door=door, checks=checks, kinds=kinds, runs=40)

    assert outcome.runs == 40
