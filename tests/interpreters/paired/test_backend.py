"""Backend: a pair of a machine memory and a broker."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from typing import Any

import pytest
from attrs import define, evolve, field

from arvo import (
    Backend,
    Broker,
    Cancel,
    Client,
    Commands,
    Complete,
    ConfigViolation,
    Corrupt,
    DeadLetter,
    Depth,
    Emit,
    EncodedDelivery,
    EncodedMessage,
    Event,
    Fail,
    InMemoryMachineMemory,
    MemoryBroker,
    Runtime,
    Schedule,
    Stats,
    StoredWorkflow,
    System,
    TimerFired,
    TooLarge,
    Turn,
    Unavailable,
    Violate,
    Violated,
    paired,
)
from arvo.core.record import Status
from arvo.engine.step.route import ToCaller, ToDomain, ToHandler
from arvo.interpreters.paired import backend as pair
from arvo.interpreters.paired.documents.codec import encode_message
from arvo.interpreters.paired.documents.document import (
    REPLACED,
    Consumption,
    Output,
    WorkflowDocument,
)
from arvo.interpreters.ports.messages import OUTBOUND_QUEUE, REPLY_QUEUE, Message
from tests.interpreters.plain_broker import PlainBroker
from tests.interpreters.until import until
from tests.interpreters.within import within
from tests.shop import (
    NOW,
    WEB,
    ChargeCard,
    OrderFulfilled,
    PlaceOrder,
    charge,
    charge_request,
    expect_commit,
    make_workflow,
    order,
    order_request,
    payment_handler,
    payments,
    shop,
)

PAY, ORDER = "com.payment.charge", "arvo.orc.order.fulfil"


def a_pair(**options: Any) -> Backend:
    return paired(InMemoryMachineMemory(), MemoryBroker(), **options)


def turn(event: Event[Any]) -> Message:
    return Message(event, ToHandler(ORDER, event.subject))


def test_the_shop_runs_on_a_pair() -> None:
    """Requests are answered, and no message is left over."""

    async def go() -> tuple[list[object], Stats]:
        async with Runtime(shop, a_pair()) as runtime:
            events = [order_request(f"i{n}") for n in range(20)]
            answers = await asyncio.gather(
                *(runtime.request(event, timeout=60) for event in events)
            )
            return [answer.data for answer in answers], await runtime.drain(timeout=60)

    answers, stats = within(go())

    assert answers == [OrderFulfilled("t-o1")] * 20
    assert stats == Stats(handled=100, answered=20)


@pytest.mark.promise("I4", "I6")
def test_several_workers_share_a_memory_and_a_broker() -> None:
    """I4, I6: without a lock, the second writer is refused; events sent twice are done once."""

    async def go() -> tuple[set[tuple[Status, int]], int, int]:
        memory, broker = InMemoryMachineMemory(), MemoryBroker()
        runtimes = [Runtime(shop, paired(memory, broker)) for _ in range(3)]
        events = [order_request(f"i{n}") for n in range(30)]
        async with AsyncExitStack() as stack:
            for runtime in runtimes:
                await stack.enter_async_context(runtime)
            for number, event in enumerate([*events, *events]):
                await runtimes[number % 3].send(event)
            stats = [await runtime.drain(timeout=60) for runtime in runtimes]
        backend = paired(memory, broker)
        records = [await backend.load(event.subject) for event in events]
        done = {(record.status, record.revision) for record in records if record is not None}
        return done, len(records), sum(one.dead_lettered + one.failed for one in stats)

    assert within(go()) == ({("done", 3)}, 30, 0)


@pytest.mark.promise("I7")
def test_a_timer_fires_and_a_cleared_timer_changes_nothing() -> None:
    """I7: the broker delivers both, and the step ignores the second."""

    def function(turn: Turn[Any]) -> Commands:
        match turn.event.data:
            case PlaceOrder():
                return Schedule("first", after=0.01), Schedule("second", after=0.03)
            case TimerFired(name="first"):
                return Cancel("second"), Complete(OrderFulfilled("first"))
            case other:
                return Fail(f"unexpected: {other}")

    async def go() -> tuple[object, Stats]:
        async with Runtime(System([make_workflow(function)]), a_pair()) as runtime:
            answer = await runtime.request(order_request(), timeout=60)
            await until(lambda: runtime.stats().late == 1)
            return answer.data, await runtime.drain(timeout=60)

    answer, stats = within(go())

    assert answer == OrderFulfilled("first")
    assert (stats.handled, stats.late, stats.failed) == (2, 1, 0)


@pytest.mark.promise("I8")
def test_dead_letters_are_listed_redriven_and_deleted() -> None:
    """I8: by any process, with any broker, because they are in the memory."""

    async def go() -> tuple[list[str], int, int]:
        memory, broker = InMemoryMachineMemory(), MemoryBroker()
        refusing = System([payment_handler(lambda event: Violate(ConfigViolation("no bank")))])
        async with Runtime(refusing, paired(memory, broker)) as runtime:
            for n in range(3):
                await runtime.send(charge_request(f"c{n}"))
            await runtime.drain(timeout=60)
        async with Runtime(shop, paired(memory, broker)) as runtime:
            dead_letters = await runtime.dead_letters()
            await runtime.redrive_dead_letter(dead_letters[0].id)
            await runtime.delete_dead_letter(dead_letters[1].id)
            stats = await runtime.drain(timeout=60)
            with pytest.raises(Violated, match="there is no such dead letter"):
                await runtime.delete_dead_letter(dead_letters[1].id)
            rest = await runtime.dead_letters()
            return sorted(d.event.id for d in dead_letters), stats.handled, len(rest)

    assert within(go()) == (["c0", "c1", "c2"], 1, 1)


def test_a_delivery_that_waits_for_its_key_does_not_block_others() -> None:
    """Events are serial for each workflow, and only for each workflow."""

    async def go() -> list[str]:
        pair = a_pair()
        one, other = order_request("one"), order_request("other")
        for event in (one, one, one, other):
            await pair.send(turn(event))
        first, second = await pair.receive(ORDER), await pair.receive(ORDER)
        assert (await pair.depth()).total == 4
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await pair.receive(ORDER)
        await pair.ack(first)
        third = await pair.receive(ORDER)
        await pair.close()
        return [delivery.message.event.id for delivery in (first, second, third)]

    assert within(go()) == ["one", "other", "one"]


def number_done(tasks: list["asyncio.Task[None]"]) -> int:
    """Return how many of the first tasks are done; no later one is."""
    done = [task.done() for task in tasks]
    assert done == sorted(done, reverse=True)
    return sum(done)


def test_a_sender_waits_while_the_broker_is_full_and_fails_when_it_closes() -> None:
    """Backpressure instead of loss; senders are served in order."""

    async def go() -> list[str]:
        pair = a_pair(queue_max=2)
        messages = [Message(charge_request(f"c{n}"), ToHandler(PAY, None)) for n in range(5)]
        sending = [asyncio.create_task(pair.send(message)) for message in messages]
        await until(lambda: number_done(sending) == 2)
        received = []
        for _ in range(2):
            delivery = await pair.receive(PAY)
            received.append(delivery.message.event.id)
            await pair.ack(delivery)
        await until(lambda: number_done(sending) == 4)
        await pair.close()
        with pytest.raises(Unavailable, match="closed before it took the event"):
            await sending[4]
        return received

    assert within(go()) == ["c0", "c1"]


def test_a_broker_that_can_neither_count_nor_delay_is_enough() -> None:
    """Early timers are nacked until they are due; without deliveries the broker counts as empty."""

    def function(turn: Turn[Any]) -> Commands:
        if isinstance(turn.event.data, PlaceOrder):
            return Schedule("end", after=0.05)
        return Complete(OrderFulfilled("in time"))

    async def go() -> tuple[float, Stats]:
        pair = paired(InMemoryMachineMemory(), PlainBroker())
        async with Runtime(System([make_workflow(function)]), pair) as runtime:
            begun_at = asyncio.get_running_loop().time()
            await runtime.request(order_request(), timeout=60)
            return asyncio.get_running_loop().time() - begun_at, await runtime.drain(timeout=60)

    seconds, stats = within(go())

    assert seconds >= 0.05
    assert (stats.handled, stats.answered, stats.dead_lettered) == (2, 1, 0)


@define(eq=False)
class Small(PlainBroker):
    """A broker with a limit on the bytes of a message."""

    limit: int = 2_000

    async def publish(self, messages: Sequence[EncodedMessage]) -> None:
        for message in messages:
            if len(message.body) > self.limit:
                raise TooLarge(f"raise the limit ({self.limit})")
            await super().publish([message])


def test_an_event_that_is_too_large_for_the_broker_is_dead_lettered() -> None:
    """The turn is written, so raising would fail each redelivery and block the next turn.

    When the limit is raised, an operator redrives the event and the workflow goes on.
    """

    def function(turn: Turn[Any]) -> Commands:
        if isinstance(turn.event.data, PlaceOrder):
            return Emit(ChargeCard("small", 1.0)), Emit(ChargeCard("x" * 5_000, 1.0))
        if len(turn.collected["evt.payment.charged"]) < 2:
            return None
        return Complete(OrderFulfilled("both"))

    async def go() -> tuple[list[DeadLetter], Stats, Any]:
        broker = Small()
        system = System([payments, make_workflow(function)])
        async with Runtime(system, paired(InMemoryMachineMemory(), broker)) as runtime:
            request = asyncio.create_task(runtime.request(order_request(), timeout=60))
            await asyncio.sleep(0)
            stats = await runtime.drain(timeout=60)
            dead_letters = list(await runtime.dead_letters())
            with pytest.raises(TooLarge, match="raise the limit"):
                await runtime.redrive_dead_letter(dead_letters[0].id)
            assert len(await runtime.dead_letters()) == 1
            broker.limit = 20_000
            await runtime.redrive_dead_letter(dead_letters[0].id)
            return dead_letters, stats, (await request).data

    dead_letters, stats, answer = within(go())

    # The request is handled by the process that emits it, and the broker gets the reply.
    assert [(dead_letter.reason, dead_letter.to) for dead_letter in dead_letters] == [
        ("raise the limit (2000)", ToHandler(order.type, order_request().subject))
    ]
    assert (stats.handled, stats.failed) == (4, 0)
    assert answer == OrderFulfilled("both")


def test_sending_an_event_that_is_too_large_raises() -> None:
    """The broker stores nothing."""

    async def go() -> Stats:
        async with Runtime(shop, paired(InMemoryMachineMemory(), Small())) as runtime:
            with pytest.raises(TooLarge, match="raise the limit"):
                await runtime.send(
                    charge["1.0.0"].accepts(ChargeCard("x" * 5_000, 1.0), source=WEB)
                )
            return await runtime.drain(timeout=60)

    assert within(go()).handled == 0


def test_a_destination_survives_the_broker() -> None:
    """It comes back as it was sent."""

    async def go() -> list[object]:
        pair, event = a_pair(), charge_request()
        to = (ToHandler(PAY, None), ToHandler(ORDER, "s"), ToDomain("a.person"), ToCaller(WEB))
        for destination in to:
            await pair.send(Message(event, destination))
        received = [
            (await pair.receive(queue)).message
            for queue in (PAY, ORDER, OUTBOUND_QUEUE, REPLY_QUEUE)
        ]
        await pair.close()
        return [message.to for message in received if message.event == event]

    assert within(go()) == [
        ToHandler(PAY, None),
        ToHandler(ORDER, "s"),
        ToDomain("a.person"),
        ToCaller(WEB),
    ]


def test_a_value_of_another_program_stops_the_runtime() -> None:
    """Corrupt: an operator must look at it, and it is not overwritten."""

    async def go() -> None:
        memory = InMemoryMachineMemory()
        await memory.write(order_request().subject, b'{"other": "program"}', 0)
        async with Runtime(shop, paired(memory, MemoryBroker())) as runtime:
            await runtime.send(order_request())
            with pytest.raises(Corrupt, match="cannot be read"):
                await runtime.drain(timeout=60)
        stored = await memory.read(order_request().subject)
        assert stored is not None
        assert stored.revision == 1

    within(go())


def test_a_corrupt_broker_stops_the_runtime() -> None:
    """All workers get an error that waiting does not help: those that wait, and later ones."""

    @define(eq=False)
    class Broken:
        inner: MemoryBroker = field(factory=MemoryBroker)

        async def deliveries(self, queues: Sequence[str]) -> AsyncIterator[EncodedDelivery]:
            if queues:
                await asyncio.sleep(0)
                raise Corrupt("the broker sends garbage")
            yield EncodedDelivery(EncodedMessage("nowhere", b""))

        def __getattr__(self, name: str) -> Any:
            return getattr(self.inner, name)

    async def go() -> None:
        pair = paired(InMemoryMachineMemory(), Broken())
        for _ in range(2):
            with pytest.raises(Corrupt, match="sends garbage"):
                await pair.receive(PAY)
        await pair.close()

    within(go())


def test_listing_raises() -> None:
    """A store that only compares and sets cannot list its values."""

    async def go() -> StoredWorkflow | None:
        backend = paired(InMemoryMachineMemory(), MemoryBroker())
        with pytest.raises(Violated, match="ask for one workflow, by its id or subject"):
            await backend.workflows(status="failed")
        assert await backend.history(order_request().subject) == ()
        async with Runtime(shop, backend) as runtime:
            await runtime.send(order_request())
            await runtime.drain(timeout=60)
            return await backend.workflow(order_request().subject)

    workflow = asyncio.run(go())

    assert workflow is not None
    assert workflow.record.status == "done"
    assert workflow.began <= workflow.changed


def test_the_output_of_an_operators_change_is_sent_after_a_crash() -> None:
    """No delivery leads back to it, so the next process that reads the workflow sends it."""
    event = order_request()
    record = expect_commit(shop, event).record
    assert record is not None
    replaced = evolve(record, revision=2)

    async def go() -> str:
        memory, broker = InMemoryMachineMemory(), MemoryBroker()
        first = paired(memory, broker)
        await first.send(Message(event, ToHandler(order.type, event.subject)))
        delivery = await first.receive(order.type)
        await first.commit(delivery, expect_commit(shop, event), [], [])
        document = WorkflowDocument.from_stored(await memory.read(event.subject))
        output = Output((encode_message(turn(event)),))
        entry = Consumption(f"{REPLACED}2", 2, output)
        after = document.after_turns(replaced, [entry], (), NOW)
        await memory.write(event.subject, after.to_bytes(), document.revision)
        other = paired(memory, broker)
        await other.load(event.subject)
        return (await other.receive(order.type)).message.event.id

    assert asyncio.run(asyncio.wait_for(go(), 5)) == event.id


@define(eq=False)
class UnavailableBroker(PlainBroker):
    """A broker that counts its messages, and cannot be reached."""

    async def depth(self) -> Depth:
        raise Unavailable("the broker is gone")


def test_a_client_is_unreachable_without_its_broker() -> None:
    """An answer of the memory proves nothing about the broker, which is another server."""

    async def is_reachable(broker: Broker) -> bool:
        return await Client(shop, paired(InMemoryMachineMemory(), broker)).is_reachable()

    assert within(is_reachable(MemoryBroker()))
    assert within(is_reachable(PlainBroker()))
    assert not within(is_reachable(UnavailableBroker()))


@define(eq=False)
class OpeningBroker(PlainBroker):
    """A broker whose server takes a while until an iteration receives messages."""

    quiet_seconds: float = 0.0
    opened: asyncio.Event = field(factory=asyncio.Event)

    @property
    def is_opening(self) -> bool:
        return not self.opened.is_set()

    async def deliveries(self, queues: Sequence[str]) -> AsyncIterator[EncodedDelivery]:
        await self.opened.wait()
        async for delivery in self.inner.deliveries(queues):
            yield delivery


def test_a_broker_is_not_empty_because_it_is_slow_to_open() -> None:
    """It is quiet until it is asked for messages, and `drain` must not take that for the end."""

    async def go() -> tuple[bool, bool]:
        broker = OpeningBroker()
        backend = paired(InMemoryMachineMemory(), broker)
        await backend.send(Message(order_request(), ToHandler(order.type, order_request().subject)))
        receiving = asyncio.create_task(backend.receive(order.type))
        idle = asyncio.create_task(backend.wait_until_idle())
        # Long enough for a backend that gives up at once.
        await asyncio.wait({idle}, timeout=0.05)
        is_early = idle.done()
        broker.opened.set()
        await backend.ack(await receiving)
        await idle
        await backend.close()
        return is_early, idle.done()

    assert within(go()) == (False, True)


@define(eq=False)
class DeafBroker(PlainBroker):
    """A broker whose driver never confirms the first messages of a workflow, and says nothing."""

    is_deaf: bool = True

    async def publish(self, messages: Sequence[EncodedMessage]) -> None:
        if self.is_deaf and any(each.queue == PAY for each in messages):
            self.is_deaf = False
            await asyncio.Event().wait()
        await self.inner.publish(messages)


def test_a_commit_that_waits_for_good_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker would keep the event, and with it all later ones of its workflow, for ever."""
    monkeypatch.setattr(pair, "COMMIT_SECONDS_MAX", 0.05)

    async def go() -> Event[Any]:
        async with Runtime(shop, paired(InMemoryMachineMemory(), DeafBroker())) as runtime:
            return await runtime.request(order_request(), timeout=60)

    assert within(go()).data == OrderFulfilled("t-o1")
