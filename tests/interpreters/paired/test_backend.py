"""Pair: a backend made of any machine memory and any broker."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import AsyncExitStack
from typing import Any, TypeVar

import pytest
from attrs import define, evolve, field

from arvo import (
    Backend,
    Cancel,
    Commands,
    Complete,
    ConfigViolation,
    Corrupt,
    DeadLetter,
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
from arvo.interpreters.paired.document import AMENDED, Held, Line, Output
from arvo.interpreters.ports.backend import OUTBOUND_QUEUE, REPLY_QUEUE, Message
from tests.shop import (
    NOW,
    WEB,
    ChargeCard,
    OrderFulfilled,
    PlaceOrder,
    charge,
    charging,
    committed,
    order,
    paying,
    payments,
    placing,
    shop,
    workflow,
)

PAY, ORDER = "com.payment.charge", "arvo.orc.order.fulfil"
T = TypeVar("T")


def within(work: Coroutine[Any, Any, T]) -> T:
    async def go() -> T:
        async with asyncio.timeout(5):
            return await work

    return asyncio.run(go())


def a_pair(**options: Any) -> Backend:
    return paired(InMemoryMachineMemory(), MemoryBroker(), **options)


def turn(event: Event[Any]) -> Message:
    return Message(event, ToHandler(ORDER, event.subject))


def test_the_shop_runs_on_a_pair() -> None:
    """Requests, answers, and nothing left over."""

    async def go() -> tuple[list[object], Stats]:
        async with Runtime(shop, a_pair()) as runtime:
            events = [placing(f"i{n}") for n in range(20)]
            answers = await asyncio.gather(*(runtime.request(each, timeout=3) for each in events))
            return [each.data for each in answers], await runtime.drain(timeout=3)

    answers, stats = within(go())

    assert answers == [OrderFulfilled("t-o1")] * 20
    assert stats == Stats(handled=100, answered=20)


def test_several_workers_share_a_memory_and_a_broker() -> None:
    """I4, I6: no lock, and whoever comes second is refused; everything sent twice, once done."""

    async def go() -> tuple[set[tuple[Status, int]], int, int]:
        memory, broker = InMemoryMachineMemory(), MemoryBroker()
        runtimes = [Runtime(shop, paired(memory, broker)) for _ in range(3)]
        events = [placing(f"i{n}") for n in range(30)]
        async with AsyncExitStack() as stack:
            for runtime in runtimes:
                await stack.enter_async_context(runtime)
            for number, event in enumerate([*events, *events]):
                await runtimes[number % 3].send(event)
            stats = [await runtime.drain(timeout=4) for runtime in runtimes]
        backend = paired(memory, broker)
        records = [await backend.load(event.subject) for event in events]
        done = {(record.status, record.revision) for record in records if record is not None}
        return done, len(records), sum(each.dead_lettered + each.failed for each in stats)

    assert within(go()) == ({("done", 3)}, 30, 0)


def test_a_timer_fires_on_a_pair_and_one_that_was_cleared_changes_nothing() -> None:
    """I7: the broker keeps both, and the workflow turns the second away."""

    def function(turn: Turn[Any]) -> Commands:
        match turn.event.data:
            case PlaceOrder():
                return Schedule("first", after=0.01), Schedule("second", after=0.03)
            case TimerFired(name="first"):
                return Cancel("second"), Complete(OrderFulfilled("first"))
            case other:
                return Fail(f"unexpected: {other}")

    async def go() -> tuple[object, Stats]:
        async with Runtime(System([workflow(function)]), a_pair()) as runtime:
            answer = await runtime.request(placing(), timeout=3)
            await asyncio.sleep(0.05)
            return answer.data, await runtime.drain(timeout=3)

    answer, stats = within(go())

    assert answer == OrderFulfilled("first")
    assert (stats.handled, stats.late, stats.failed) == (2, 1, 0)


def test_dead_letters_are_listed_retried_and_dropped() -> None:
    """I8: by any process, of any broker; the letters are in the memory."""

    async def go() -> tuple[list[str], int, int]:
        memory, broker = InMemoryMachineMemory(), MemoryBroker()
        refusing = System([paying(lambda event: Violate(ConfigViolation("no bank")))])
        async with Runtime(refusing, paired(memory, broker)) as runtime:
            for n in range(3):
                await runtime.send(charging(f"c{n}"))
            await runtime.drain(timeout=3)
        async with Runtime(shop, paired(memory, broker)) as runtime:
            dead_letters = await runtime.dead_letters()
            await runtime.redrive_dead_letter(dead_letters[0].id)
            await runtime.delete_dead_letter(dead_letters[1].id)
            stats = await runtime.drain(timeout=3)
            with pytest.raises(Violated, match="there is no such dead letter"):
                await runtime.delete_dead_letter(dead_letters[1].id)
            left = await runtime.dead_letters()
            return sorted(each.event.id for each in dead_letters), stats.handled, len(left)

    assert within(go()) == (["c0", "c1", "c2"], 1, 1)


def test_what_waits_for_its_key_does_not_hold_up_the_others() -> None:
    """One at a time for each workflow, and no more than that."""

    async def go() -> list[str]:
        pair = a_pair()
        one, other = placing("one"), placing("other")
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
        return [each.message.event.id for each in (first, second, third)]

    assert within(go()) == ["one", "other", "one"]


def test_a_sender_waits_while_the_broker_is_full_and_is_told_when_it_closes() -> None:
    """Backpressure, not loss; first come, first served."""

    async def go() -> list[str]:
        pair = a_pair(queue_max=2)
        messages = [Message(charging(f"c{n}"), ToHandler(PAY, None)) for n in range(5)]
        sending = [asyncio.create_task(pair.send(message)) for message in messages]
        await asyncio.sleep(0.01)
        assert [task.done() for task in sending] == [True, True, False, False, False]
        received = []
        for _ in range(2):
            delivery = await pair.receive(PAY)
            received.append(delivery.message.event.id)
            await pair.ack(delivery)
        await asyncio.sleep(0.02)
        await pair.close()
        with pytest.raises(Unavailable, match="closed before it took the event"):
            await sending[4]
        return received

    assert within(go()) == ["c0", "c1"]


@define(eq=False)
class Plain:
    """A broker that does no more than it must: it cannot count, and hands out early."""

    inner: MemoryBroker = field(factory=MemoryBroker)

    async def publish(self, messages: Sequence[EncodedMessage]) -> None:
        await self.inner.publish([evolve(each, due=None) for each in messages])

    def deliveries(self, addresses: Sequence[str]) -> AsyncIterator[EncodedDelivery]:
        return self.inner.deliveries(addresses)

    async def ack(self, delivery: EncodedDelivery) -> None:
        await self.inner.ack(delivery)

    async def nack(self, delivery: EncodedDelivery, delay: float) -> None:
        await self.inner.nack(delivery, delay)

    async def dead_letter(self, delivery: EncodedDelivery, reason: str) -> None:
        await self.inner.dead_letter(delivery, reason)


def test_a_broker_that_can_neither_count_nor_wait_will_do() -> None:
    """Timers that come early are turned away, and come back; rest is when nothing comes."""

    def function(turn: Turn[Any]) -> Commands:
        if isinstance(turn.event.data, PlaceOrder):
            return Schedule("end", after=0.05)
        return Complete(OrderFulfilled("in time"))

    async def go() -> tuple[float, Stats]:
        pair = paired(InMemoryMachineMemory(), Plain())
        async with Runtime(System([workflow(function)]), pair) as runtime:
            began = asyncio.get_running_loop().time()
            await runtime.request(placing(), timeout=3)
            return asyncio.get_running_loop().time() - began, await runtime.drain(timeout=3)

    took, stats = within(go())

    assert took >= 0.05
    assert (stats.handled, stats.answered, stats.dead_lettered) == (2, 1, 0)


@define(eq=False)
class Small(Plain):
    """A broker that takes no message of more than so many characters."""

    limit: int = 2_000

    async def publish(self, messages: Sequence[EncodedMessage]) -> None:
        for each in messages:
            if len(each.to_json()) > self.limit:
                raise TooLarge(f"raise the limit ({self.limit})")
            await super().publish([each])


def test_what_is_too_large_for_the_broker_is_a_dead_letter_and_stops_nobody() -> None:
    """The turn is written: it would fail over the event again and again, and so would the next.
    When the broker takes more, the letter is retried and the workflow goes on.
    """

    def function(turn: Turn[Any]) -> Commands:
        if isinstance(turn.event.data, PlaceOrder):
            return Emit(ChargeCard("small", 1.0)), Emit(ChargeCard("x" * 5_000, 1.0))
        if len(turn.collected["evt.payment.charged"]) < 2:
            return None
        return Complete(OrderFulfilled("both"))

    async def go() -> tuple[list[DeadLetter], Stats, Any]:
        broker = Small()
        system = System([payments, workflow(function)])
        async with Runtime(system, paired(InMemoryMachineMemory(), broker)) as runtime:
            asking = asyncio.create_task(runtime.request(placing(), timeout=4))
            await asyncio.sleep(0)
            stats = await runtime.drain(timeout=3)
            dead_letters = list(await runtime.dead_letters())
            with pytest.raises(TooLarge, match="raise the limit"):
                await runtime.redrive_dead_letter(dead_letters[0].id)
            assert len(await runtime.dead_letters()) == 1
            broker.limit = 20_000
            await runtime.redrive_dead_letter(dead_letters[0].id)
            return dead_letters, stats, (await asking).data

    dead_letters, stats, answer = within(go())

    assert [(each.reason, each.to) for each in dead_letters] == [
        ("raise the limit (2000)", ToHandler(PAY, None))
    ]
    assert (stats.handled, stats.failed) == (3, 0)
    assert answer == OrderFulfilled("both")


def test_a_sender_is_told_that_an_event_is_too_large() -> None:
    """And nothing was taken."""

    async def go() -> Stats:
        async with Runtime(shop, paired(InMemoryMachineMemory(), Small())) as runtime:
            with pytest.raises(TooLarge, match="raise the limit"):
                await runtime.send(
                    charge["1.0.0"].accepts(ChargeCard("x" * 5_000, 1.0), source=WEB)
                )
            return await runtime.drain(timeout=3)

    assert within(go()).handled == 0


def test_where_a_message_goes_survives_the_broker() -> None:
    """Destinations come back as they were."""

    async def go() -> list[object]:
        pair, event = a_pair(), charging()
        to = (ToHandler(PAY, None), ToHandler(ORDER, "s"), ToDomain("a.person"), ToCaller(WEB))
        for each in to:
            await pair.send(Message(event, each))
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


def test_a_memory_that_holds_something_else_stops_everything() -> None:
    """Corrupt: a person must look at it, and nothing is written over."""

    async def go() -> None:
        memory = InMemoryMachineMemory()
        await memory.write(placing().subject, b'{"somebody": "else\'s"}', 0)
        async with Runtime(shop, paired(memory, MemoryBroker())) as runtime:
            await runtime.send(placing())
            with pytest.raises(Corrupt, match="cannot be read"):
                await runtime.drain(timeout=3)
        stored = await memory.read(placing().subject)
        assert stored is not None
        assert stored.revision == 1

    within(go())


def test_a_broker_that_breaks_stops_everything() -> None:
    """An error that waiting does not mend is heard of, by those who wait and those who come."""

    @define(eq=False)
    class Broken:
        inner: MemoryBroker = field(factory=MemoryBroker)

        async def deliveries(self, addresses: Sequence[str]) -> AsyncIterator[EncodedDelivery]:
            if addresses:
                await asyncio.sleep(0)
                raise Corrupt("the broker speaks in tongues")
            yield EncodedDelivery(EncodedMessage("nowhere", charging()))

        def __getattr__(self, name: str) -> Any:
            return getattr(self.inner, name)

    async def go() -> None:
        pair = paired(InMemoryMachineMemory(), Broken())
        for _ in range(2):
            with pytest.raises(Corrupt, match="in tongues"):
                await pair.receive(PAY)
        await pair.close()

    within(go())


def test_a_pair_cannot_list_and_says_so() -> None:
    """A store that can only compare and set knows its values by name."""

    async def go() -> StoredWorkflow | None:
        backend = paired(InMemoryMachineMemory(), MemoryBroker())
        with pytest.raises(Violated, match="ask for one workflow, by its subject"):
            await backend.workflows(status="failed")
        assert await backend.history(placing().subject) == ()
        async with Runtime(shop, backend) as runtime:
            await runtime.send(placing())
            await runtime.drain(timeout=5)
            return await backend.workflow(placing().subject)

    kept = asyncio.run(go())

    assert kept is not None
    assert kept.record.status == "done"
    assert kept.began <= kept.changed


def test_an_operators_change_is_sent_even_where_a_process_died_over_it() -> None:
    """No delivery reminds anybody of it, so whoever reads the workflow next sends it."""
    event = placing()
    record = committed(shop, event).record
    assert record is not None
    amended = evolve(record, revision=2)

    async def go() -> str:
        memory, broker = InMemoryMachineMemory(), MemoryBroker()
        first = paired(memory, broker)
        await first.send(Message(event, ToHandler(order.type, event.subject)))
        delivery = await first.receive(order.type)
        await first.commit(delivery, committed(shop, event), [], [])
        held = Held.of(await memory.read(event.subject))
        output = Output((EncodedMessage(order.type, event, event.subject),))
        line = Line(f"{AMENDED}2", 2, output)
        after = held.after(amended, line, (), NOW)
        await memory.write(event.subject, after.to_bytes(), held.revision)
        other = paired(memory, broker)
        await other.load(event.subject)
        return (await other.receive(order.type)).message.event.id

    assert asyncio.run(asyncio.wait_for(go(), 5)) == event.id
