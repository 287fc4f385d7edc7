"""Workflow ids: beginning twice begins once, and each operation takes the id for the subject."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from attrs import evolve

from arvo import (
    Backend,
    Commands,
    Complete,
    Emit,
    Event,
    OrchestratorContract,
    Resumable,
    Runtime,
    System,
    Turn,
    Violated,
    Workflow,
)
from arvo.interpreters.ports.backend import find_outputs
from arvo.interpreters.ports.errors import Unavailable
from tests.core.contracts.test_versioned_workflow import begin
from tests.interpreters.runtime.running import Outage, run_runtime, within
from tests.interpreters.until import until
from tests.shop import (
    CardCharged,
    ChargeCard,
    OrderFulfilled,
    PlaceOrder,
    make_workflow,
    order,
    payments,
    reply_to,
    shipping,
    shop,
)

Open = Callable[[], Backend]


async def ask(runtime: Runtime, event: Event[Any]) -> Event[Any]:
    """Request the answer to an event, again while a server on a busy machine does not answer."""
    while True:
        try:
            return await runtime.request(event, timeout=60)
        except Unavailable:
            continue


def on(open_backend: Open, work: Callable[[Runtime], Awaitable[None]], system: Any = shop) -> None:
    run_runtime(system, work, backend=open_backend())


@pytest.mark.promise("I2")
def test_beginning_twice_begins_once(open_backend: Open) -> None:
    """I2: the second caller reads the answer of the first, also from another process."""

    async def go() -> None:
        async with Runtime(shop, open_backend()) as runtime:
            begins = (begin(), begin(), begin(id="b"))
            requests = (ask(runtime, event) for event in begins)
            answers = await asyncio.gather(*requests)
            first = await ask(runtime, begin())
            await runtime.drain(timeout=60)
        async with Runtime(shop, open_backend()) as later:
            second = await ask(later, begin())

        assert first == second
        assert {answer.id for answer in answers} == {first.id}
        assert first.data == OrderFulfilled("t-o1")

    within(go())


def test_a_begin_with_another_payload_is_refused(open_backend: Open) -> None:
    """The caller learns of the conflict, whether the run goes on or has ended."""

    async def work(runtime: Runtime) -> None:
        await ask(runtime, begin())
        for other in (begin(11.0), begin(11.0, id="other")):
            with pytest.raises(Violated, match="the done run 'order-1' of"):
                await ask(runtime, other)

    on(open_backend, work)


def test_the_next_run_begins_when_its_policy_allows_it(open_backend: Open) -> None:
    """By the same subject and id; the caller gets the answer of the new run."""

    async def work(runtime: Runtime) -> None:
        first = await ask(runtime, begin())
        second = await ask(runtime, begin(5.0, id_reuse_policy="allow"))
        third = await ask(runtime, begin(5.0, id_reuse_policy="allow"))
        with pytest.raises(Violated, match="has begun with another event"):
            await ask(runtime, begin(6.0, id_reuse_policy="allow_if_failed"))

        assert len({first.id, second.id, third.id}) == 3
        record = await runtime.record("order-1")
        assert record is not None
        assert record.init == third.parentid
        if find_outputs(runtime.backend) is None:
            history = await runtime.history("order-1")
            events = filter(None, (entry.event for entry in history))
            inits = [event.id for event in events if isinstance(event.data, PlaceOrder)]
            assert inits == [first.parentid, second.parentid, third.parentid]
            assert (await runtime.replay("order-1")).agrees

    on(open_backend, work)


def test_each_operation_takes_the_id_for_the_subject(open_backend: Open) -> None:
    """An operator knows the number of the order."""

    async def work(runtime: Runtime) -> None:
        await runtime.send(begin())
        await runtime.drain(timeout=60)
        subject = begin().subject

        assert await runtime.find_subject("order-1") == subject
        assert await runtime.find_subject(subject) == subject
        assert await runtime.find_subject("arvo.orc.order.fulfil/order-1") == subject
        description = await runtime.describe("order-1")
        assert description == await runtime.describe(subject)
        assert "workflow   order-1" in str(description)
        assert await runtime.record("order-1") == await runtime.record(subject)
        assert await runtime.history("order-1") == await runtime.history(subject)
        assert await runtime.query("order-1") == await runtime.query(subject)
        assert await runtime.tree("order-1") == await runtime.tree(subject)
        assert await runtime.dead_letters(subject="order-1") == ()
        (stored,) = await runtime.workflows(workflow_id="order-1")
        assert stored.record.subject == subject
        assert str(stored).splitlines()[1] == f"  order-1  …{subject[-12:]}"
        assert await runtime.workflows(workflow_id="order-1", status="done") == ()
        assert await runtime.workflows(workflow_id="order-1", type="arvo.orc.other") == ()
        assert await runtime.workflows(workflow_id="order-2") == ()
        assert await runtime.workflows(workflow_id="\0") == ()

        await runtime.cancel("order-1", "changed my mind")
        await runtime.drain(timeout=60)
        assert (await runtime.describe("order-1")).record.status == "cancelled"

    on(open_backend, work, System([payments, make_workflow(lambda _: None, state=None)]))


@pytest.mark.parametrize("name", ["order-2", "arvo.orc.order.fulfil/order-2", "\0", "ж", ""])
def test_an_unknown_id_names_no_workflow(name: str) -> None:
    """The message says what the operation takes."""

    async def work(client: Runtime) -> None:
        with pytest.raises(Violated, match="workflow: expected the id or the subject"):
            await client.describe(name)
        assert await client.record(name) is None
        assert await client.history(name) == ()

    run_runtime(shop, work, backend="memory:")


def test_an_id_of_runs_of_several_types_is_ambiguous(open_backend: Open) -> None:
    """The type before the id tells them apart."""
    goods = OrchestratorContract(
        uri="#/orchestrators/goods",
        name="goods.send",
        versions={"1.0.0": Workflow(init=PlaceOrder, complete=OrderFulfilled)},
    )

    send_goods = Resumable(goods, {"1.0.0": lambda _: None}, services=[])

    async def work(runtime: Runtime) -> None:
        await runtime.send(begin())
        other = goods["1.0.0"].init(PlaceOrder("o1"), source="com.shop.web", workflow_id="order-1")
        await runtime.send(other)
        await runtime.drain(timeout=60)

        with pytest.raises(Violated, match="several workflows have this id") as raised:
            await runtime.describe("order-1")
        assert "arvo.orc.goods.send/order-1" in str(raised.value)
        assert "arvo.orc.order.fulfil/order-1" in str(raised.value)
        described = await runtime.describe("arvo.orc.goods.send/order-1")
        assert described.record.subject == other.subject

    on(open_backend, work, System([payments, shipping, make_workflow(lambda _: None), send_goods]))


def begin_elsewhere(**options: Any) -> Event[PlaceOrder]:
    """Make a begin with the same id from another address."""
    return order["1.0.0"].init(
        PlaceOrder("o1"), source="com.shop.app", workflow_id="order-1", **options
    )


@pytest.mark.promise("I2")
def test_a_begin_from_another_address_is_refused(open_backend: Open) -> None:
    """I2: it would begin a second run for the same order, by another subject."""

    async def work(runtime: Runtime) -> None:
        await ask(runtime, begin())

        with pytest.raises(Violated, match=r"source: .*web', got 'com\.shop\.app'"):
            await runtime.send(begin_elsewhere())
        with pytest.raises(Violated, match=r"the done run 'order-1' of .* has another subject"):
            await runtime.check(begin_elsewhere(id_reuse_policy="allow_if_failed"))
        with pytest.raises(Violated, match="has begun with another event"):
            await runtime.send(begin(11.0))

    on(open_backend, work)


def test_of_several_runs_of_a_type_the_last_one_counts(open_backend: Open) -> None:
    """Another initiator may begin the next run, which has a subject of its own."""

    async def work(runtime: Runtime) -> None:
        await ask(runtime, begin())
        other = begin_elsewhere(id_reuse_policy="allow")
        await ask(runtime, other)

        assert await runtime.find_subject("order-1") == other.subject
        assert len(await runtime.workflows(workflow_id="order-1")) == 2

    on(open_backend, work)


@pytest.mark.promise("I2")
def test_a_failed_run_is_not_revived_while_another_run_is_active(open_backend: Open) -> None:
    """I2: both would be the order. It is when the other one has ended."""
    outage = Outage(down="CardCharged", after=3_600)

    async def work(runtime: Runtime) -> None:
        failed, other = begin(), begin_elsewhere(id_reuse_policy="allow_if_failed")
        await runtime.send(failed)
        await until_status(runtime, failed.subject, "failed")
        await runtime.send(other)
        await until_status(runtime, other.subject, "active")

        with pytest.raises(Violated, match="another run has the workflow id by now"):
            await runtime.revive(failed.subject)
        await runtime.cancel(other.subject, "a mistake")
        await until_status(runtime, other.subject, "cancelled")
        if not await runtime.backend.history(failed.subject):
            return  # it revives nothing
        revived = await runtime.revive(failed.subject)
        assert revived.status == "active"

    on(open_backend, work, outage.system)


async def until_status(runtime: Runtime, subject: str, status: str) -> None:
    while (record := await runtime.record(subject)) is None or record.status != status:  # noqa: ASYNC110 - `on` limits the time
        await asyncio.sleep(0.01)


def test_a_caller_that_waits_with_another_sends_the_begin_again_if_that_one_gives_up() -> None:
    """Its own time is not over."""

    async def work(runtime: Runtime) -> None:
        first = asyncio.create_task(ask(runtime, begin()))
        await asyncio.sleep(0)
        second = asyncio.create_task(ask(runtime, begin()))
        await asyncio.sleep(0)
        first.cancel()

        assert (await second).data == OrderFulfilled("t-o1")
        with pytest.raises(asyncio.CancelledError):
            await first

    run_runtime(shop, work, backend="memory:")


@pytest.mark.promise("I2")
def test_a_begin_that_changes_nothing_is_answered_whichever_process_takes_it(
    open_backend: Open,
) -> None:
    """I2: the process that asks must learn that its begin was a duplicate of the active run."""
    asked: list[Event[ChargeCard]] = []

    def place(turn: Turn[None]) -> Commands:
        if isinstance(turn.event.data, PlaceOrder):
            return Emit(ChargeCard("o1", 1.0), domain="bank")
        return Complete(OrderFulfilled("t"))

    async def go() -> Event[Any]:
        async with (
            Runtime(System([make_workflow(place)]), open_backend()) as worker,
            Runtime(System([], remote=[order["1.0.0"]]), open_backend()) as web,
        ):
            worker.on_domain("bank")(asked.append)
            await web.send(begin())
            await until(lambda: bool(asked))
            again = asyncio.create_task(ask(web, begin(id_reuse_policy="allow")))
            await until(lambda: worker.stats().duplicates > 0)
            reply = evolve(reply_to(asked[0], CardCharged("r")), domain=None)
            await worker.send(reply)
            return await again

    assert within(go(), 120).parentid == begin().id
