"""Deaths: which deaths of workers a pair counts, with a store and any broker."""

import asyncio
from collections.abc import AsyncGenerator, Coroutine, Sequence
from contextlib import aclosing
from typing import Any, TypeVar
from unittest.mock import patch

import pytest
from attrs import define, evolve, field

from arvo import (
    Conflict,
    EncodedDelivery,
    InMemoryMachineMemory,
    MemoryBroker,
    Stored,
    Unavailable,
)
from arvo.engine.step.route import ToHandler
from arvo.interpreters.paired import deaths
from arvo.interpreters.paired.backend import Pair
from arvo.interpreters.paired.deaths import PAGE_EVENTS_MAX, PAGES, DeathCounter
from arvo.interpreters.paired.documents.codec import encode_message
from arvo.interpreters.ports.messages import DeadLetter, Delivery, Message, queue_of
from arvo.testing.conformance.kit.samples import (
    WORKFLOW,
    service_commit,
    to_service,
    to_workflow,
    turn_commit,
)
from tests.interpreters.death_counts import LIFE, count_deaths
from tests.shop import charge_request

PAY = "com.payment.charge"
TO = ToHandler(PAY, None)
T = TypeVar("T")


def within(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(asyncio.wait_for(work, 60))


@define(eq=False)
class Processes:
    """Pairs on one memory and one broker: one process after the other."""

    nacks_are_returns: bool = False
    memory: InMemoryMachineMemory = field(factory=InMemoryMachineMemory)
    broker: MemoryBroker = field(factory=MemoryBroker)

    def start(self) -> Pair:
        """Start a process."""
        pair = Pair(self.memory, self.broker)
        pair._deaths.nacks_are_returns = self.nacks_are_returns
        return pair

    async def die(self, pair: Pair) -> None:
        """End a process: the broker notices that its connection is gone."""
        await pair._consumer.close()

    async def counts(self) -> list[bytes]:
        """Return what is stored of events with a count."""
        pages = [await self.memory.read(f"(deaths) {page}") for page in range(PAGES)]
        return [page.record for page in pages if page is not None and b"[" in page.record]


@define(eq=False)
class Flaky:
    """A memory that is unavailable while *is_down*."""

    inner: InMemoryMachineMemory = field(factory=InMemoryMachineMemory)
    is_down: bool = False

    def _check(self) -> None:
        if self.is_down:
            raise Unavailable("down")

    async def read(self, subject: str) -> Stored | None:
        self._check()
        return await self.inner.read(subject)

    async def write(self, subject: str, record: bytes, expected: int) -> Stored | Conflict:
        self._check()
        return await self.inner.write(subject, record, expected)


async def receive(pair: Pair) -> tuple[Delivery, tuple[int, int]]:
    """Receive a delivery, and return it with its attempt and its deaths."""
    delivery = await pair.receive(PAY)
    return delivery, (delivery.attempt, delivery.deaths)


@pytest.mark.promise("I11")
def test_a_death_counts_if_the_delivery_was_started() -> None:
    """The first one in any case: the broker does not tell whether it was only fetched."""

    async def go() -> list[tuple[int, int]]:
        processes, seen = Processes(), []
        await processes.start().send(Message(charge_request(), TO))
        for is_started in (False, False, True, False, True, True):
            pair = processes.start()
            delivery, counts = await receive(pair)
            seen.append(counts)
            if is_started:
                await pair.mark_started(delivery)
            await processes.die(pair)
        pair = processes.start()
        delivery, counts = await receive(pair)
        await pair.ack(delivery)
        assert await processes.counts() == []
        return [*seen, counts]

    assert within(go()) == [(1, 0), (2, 1), (2, 1), (3, 2), (3, 2), (4, 3), (5, 4)]


@pytest.mark.promise("I11")
def test_a_failure_and_a_stop_are_no_deaths() -> None:
    """The mark of the start is removed; a failure is an attempt."""

    async def go() -> None:
        processes = Processes()
        await processes.start().send(Message(charge_request(), TO))
        dies = processes.start()
        await receive(dies)
        await processes.die(dies)

        fails = processes.start()
        delivery, counts = await receive(fails)
        assert counts == (2, 1)
        await fails.mark_started(delivery)
        await fails.nack(delivery, 0.0)
        delivery, counts = await receive(fails)
        assert counts == (3, 1)
        await fails.mark_started(delivery)
        await fails.close()

        last, counts = await receive(processes.start())
        assert counts == (3, 1)
        assert last.message.event == charge_request()

    within(go())


@pytest.mark.promise("I11")
def test_a_copy_of_a_dead_letter_ends_one_worker_at_most() -> None:
    """The event may have been published again before its workers died. A redrive counts anew."""

    async def go() -> list[tuple[int, int]]:
        processes, seen = Processes(), []
        message = Message(charge_request(), TO)
        pair = processes.start()
        for _ in range(2):
            await pair.send(message)
        for _ in range(3):
            dies = processes.start()
            delivery, _ = await receive(dies)
            if delivery.deaths:
                await dies.mark_started(delivery)
            await processes.die(dies)
        delivery, _ = await receive(pair)
        await pair.dead_letter(delivery, dead_letter_of(delivery))
        # The copy, for the first time and after the death of one worker.
        for _ in range(2):
            receiver = processes.start()
            seen.append((await receive(receiver))[1])
            await processes.die(receiver)
        copy, _ = await receive(pair)
        await pair.ack(copy)

        await pair.dead_letter(None, dead_letter_of(delivery))
        await pair.redrive("d1", [message])
        for _ in range(2):
            receiver = processes.start()
            seen.append((await receive(receiver))[1])
            await processes.die(receiver)
        return seen

    assert within(go()) == [(1, 0), (4, 3), (1, 0), (2, 1)]


@pytest.mark.promise("I11")
@pytest.mark.parametrize("sender", [to_workflow("a"), to_service("a")], ids=["workflow", "service"])
def test_a_copy_that_is_sent_after_a_death_has_the_deaths_of_the_first(sender: Message) -> None:
    """The event is sent once more each time that its end takes the ack of its sender along."""

    async def go() -> list[tuple[int, int]]:
        processes = Processes()
        pairs = [processes.start() for _ in range(2)]
        await pairs[0].send(sender)
        for number, pair in enumerate(pairs):
            delivery = await pair.receive(queue_of(sender.to))
            messages = [Message(charge_request(), TO)]
            commit = service_commit(delivery, messages)
            if sender.to == ToHandler(WORKFLOW, sender.event.subject):
                commit = turn_commit(delivery, 1, messages=messages)
            if number == 0:
                # The worker dies before its ack.
                with patch.object(MemoryBroker, "ack"):
                    await pair.commit(delivery, commit, messages, [])
                await processes.die(pair)
            else:
                await pair.commit(delivery, commit, messages, [])
        for _ in range(3):
            dies = processes.start()
            delivery, _ = await receive(dies)
            if delivery.deaths:
                await dies.mark_started(delivery)
            await processes.die(dies)
        receiver = processes.start()
        return [(await receive(receiver))[1] for _ in range(2)]

    assert within(go()) == [(4, 3), (3, 2)]


def dead_letter_of(delivery: Delivery) -> DeadLetter:
    message = delivery.message
    time = "2026-01-02T03:04:05Z"
    return DeadLetter(
        id="d1", event=message.event, reason="died", attempts=2, at=time, to=message.to
    )


@pytest.mark.promise("I11")
def test_failures_are_stored_for_a_broker_that_counts_all_deliveries_alike() -> None:
    """A message that failed often and one that was fetched often look equal there."""
    message = Message(charge_request(), TO)

    def encoded(times: int) -> EncodedDelivery:
        # As NATS reports the times-th delivery.
        return EncodedDelivery(encode_message(message), times, None, times - 1)

    async def go() -> list[tuple[int, int]]:
        memory, seen = InMemoryMachineMemory(), []
        for times, how in enumerate(["fails", "fails", "fetched", "fetched", "dies", "last"], 1):
            counter = DeathCounter(memory, nacks_are_returns=True)
            delivery = await counter.count(Delivery(message, times, encoded(times)))
            seen.append((delivery.attempt, delivery.deaths))
            if how == "fails":
                await counter.on_nack(delivery)
            if how == "dies":
                await counter.mark_started(delivery)
        return seen

    assert within(go()) == [(1, 0), (2, 0), (3, 0), (4, 1), (4, 1), (5, 2)]


@pytest.mark.promise("I11")
def test_the_usual_event_costs_no_call_of_the_memory() -> None:
    """Neither when it comes nor when it is settled."""

    async def go() -> None:
        memory = Flaky()
        memory.is_down = True
        pair = Pair(memory, MemoryBroker())
        await pair.send(Message(charge_request(), TO))
        delivery, _ = await receive(pair)
        await pair.ack(delivery)

    within(go())


def test_an_unavailable_memory_stops_no_settlement() -> None:
    """It may be what failed. The process remembers which starts it could not remove."""

    async def go() -> None:
        memory, broker = Flaky(), MemoryBroker()
        await Pair(memory, broker).send(Message(charge_request(), TO))
        dies = Pair(memory, broker)
        await receive(dies)
        await dies._consumer.close()
        pair = Pair(memory, broker)
        delivery, counts = await receive(pair)
        assert counts == (2, 1)
        await pair.mark_started(delivery)

        memory.is_down = True
        await pair.nack(delivery, 0.0)
        memory.is_down = False
        delivery, counts = await receive(pair)
        assert counts == (3, 1)
        await pair.mark_started(delivery)
        memory.is_down = True
        await pair.ack(delivery)
        await pair.close()

        assert not (await broker.depth()).total

    within(go())


def test_a_memory_that_does_not_answer_keeps_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """The start that it cannot remove counts as a death."""
    monkeypatch.setattr(deaths, "CLOSE_SECONDS", 0.01)

    async def go() -> None:
        counter = DeathCounter(InMemoryMachineMemory(), nacks_are_returns=False)
        encoded = EncodedDelivery(None, 2, None, 1)  # type: ignore[arg-type]
        await counter.mark_started(Delivery(Message(charge_request(), TO), 2, encoded))

        async def hang(_: DeathCounter, page: int) -> Any:
            await asyncio.Event().wait()
            return page

        monkeypatch.setattr(DeathCounter, "_read", hang)
        await counter.close()

    within(go())


def test_the_oldest_counts_are_dropped() -> None:
    """Everything is bounded; an event whose count is dropped counts from 0."""

    async def go() -> list[int]:
        memory = InMemoryMachineMemory()
        counter = DeathCounter(memory, nacks_are_returns=False)
        encoded = EncodedDelivery(None, 3, None, 2)  # type: ignore[arg-type]
        deliveries = [
            Delivery(Message(charge_request(f"c{number}"), TO), 2, encoded)
            for number in range(PAGE_EVENTS_MAX + 20)
        ]
        for delivery in deliveries:
            await counter.mark_started(delivery)
        other = DeathCounter(memory, nacks_are_returns=False)
        return [(await other.count(delivery)).deaths for delivery in deliveries]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(deaths, "PAGES", 1)
        counted = within(go())

    assert counted == [1] * 20 + [2] * PAGE_EVENTS_MAX


@pytest.mark.promise("I11")
@pytest.mark.parametrize("message", [to_workflow("e1"), to_service("e1")])
def test_failures_and_deaths_are_counted_apart(message: Message) -> None:
    """Whether the event has a key or not; a release is neither."""
    broker = MemoryBroker()

    counts = within(count_deaths(lambda: broker, message))

    assert counts == [before for _, before in LIFE]


class KeepsNoOrder:
    """A broker that counts all deliveries alike, and does not keep the order of a key."""

    nacks_are_returns = True

    def __init__(self, inner: MemoryBroker) -> None:
        self.publish, self.ack, self.dead_letter = inner.publish, inner.ack, inner.dead_letter
        self._inner = inner

    async def nack(self, delivery: EncodedDelivery, delay: float) -> None:
        await self._inner.nack(delivery, delay)

    async def deliveries(self, queues: Sequence[str]) -> AsyncGenerator[EncodedDelivery, None]:
        async with aclosing(self._inner.deliveries(queues)) as incoming:
            async for delivery in incoming:
                yield evolve(delivery, returns=delivery.attempt - 1)


@pytest.mark.promise("I11")
def test_a_failure_that_the_broker_does_not_see_hides_no_death() -> None:
    """The process keeps a delivery with a key, so it is not among the returns of the broker."""

    async def go() -> list[tuple[int, int]]:
        memory, broker, seen = InMemoryMachineMemory(), KeepsNoOrder(MemoryBroker()), []
        pair = Pair(memory, broker)
        await pair.send(to_workflow("e1"))
        for _ in range(2):
            delivery = await pair.receive(WORKFLOW)
            seen.append((delivery.attempt, delivery.deaths))
            await pair.nack(delivery, 0.0)
        await pair._consumer.close()
        delivery = await Pair(memory, broker).receive(WORKFLOW)
        return [*seen, (delivery.attempt, delivery.deaths)]

    assert within(go()) == [(1, 0), (2, 0), (2, 1)]
