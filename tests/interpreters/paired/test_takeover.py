"""Takeover: of two workers that have one event, the one that was frozen does not go on."""

import asyncio
from typing import Any

import pytest
from attrs import define

from arvo import EncodedDelivery, InMemoryMachineMemory, MemoryBroker, paired
from arvo.engine.step.route import ToHandler
from arvo.interpreters.paired import backend as paired_backend
from arvo.interpreters.ports.broker import OwnsDeliveries
from arvo.interpreters.ports.messages import Delivery, Message
from arvo.interpreters.ports.results import Committed, Fenced
from arvo.testing.conformance.checkpoints import ONE, TWO
from arvo.testing.conformance.kit.samples import SERVICE, WORKFLOW, to_service, to_workflow
from tests.interpreters.plain_broker import PlainBroker

MESSAGES = {WORKFLOW: to_workflow("begin"), SERVICE: to_service("ask")}


@define(eq=False)
class LosingBroker(PlainBroker):
    """A broker that may lose its connection: then other processes have its deliveries.

    *is_found*: the next delivery is its own again.
    """

    is_lost: bool = False
    is_found: bool = False

    def owns(self, delivery: EncodedDelivery) -> bool:  # noqa: ARG002 - it loses all
        is_lost, self.is_lost = self.is_lost, self.is_lost and not self.is_found
        return not is_lost


async def receive(backend: Any, message: Message) -> Delivery:
    """Send a message, and receive it."""
    await backend.send(message)
    return await receive_again(backend, message)


async def receive_again(backend: Any, message: Message) -> Delivery:
    """Receive a message, and read its checkpoint, as a step does that asks for an effect."""
    assert isinstance(message.to, ToHandler)
    delivery: Delivery = await backend.receive(message.to.address)
    await delivery.progress.load()
    return delivery


@pytest.mark.promise("I6")
@pytest.mark.parametrize("queue", MESSAGES)
def test_a_worker_that_lost_its_delivery_performs_no_further_effect(queue: str) -> None:
    """The next worker performs it. The result of the one in hand belongs to that one, too."""
    message = MESSAGES[queue]

    async def go() -> tuple[Any, ...]:
        memory, broker = InMemoryMachineMemory(), LosingBroker()
        assert isinstance(broker, OwnsDeliveries)
        backend: Any = paired(memory, broker)
        first, second = await receive(backend, message), await receive(backend, SECOND[queue])
        expected = None if queue == SERVICE else 0
        before = await backend.find_refusal(first, expected), await backend.checkpoint(first, ONE)
        broker.is_lost = True

        after = await backend.find_refusal(second, expected), await backend.checkpoint(first, TWO)

        stored = await backend._progress.read(message)
        return before, after, stored, (await backend.depth()).taken

    assert asyncio.run(go()) == ((None, Committed()), (Fenced(), Fenced()), ONE, 0)


SECOND = {WORKFLOW: to_workflow("begin", "two"), SERVICE: to_service("ask again")}


@pytest.mark.promise("I6")
@pytest.mark.parametrize("queue", MESSAGES)
def test_the_slower_of_two_workers_overwrites_no_checkpoint(
    queue: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It goes on behind the results of the other one, without another attempt."""
    monkeypatch.setattr(paired_backend, "CONTENDED_SECONDS", 0.0)
    message = MESSAGES[queue]

    async def go() -> tuple[Any, ...]:
        memory = InMemoryMachineMemory()
        backends: list[Any] = [paired(memory, MemoryBroker()) for _ in range(2)]
        fast, slow = [await receive(backend, message) for backend in backends]
        results = [await backends[0].checkpoint(fast, ONE), await backends[1].checkpoint(slow, TWO)]

        again = await receive_again(backends[1], message)

        known = again.progress.data
        results.append(await backends[1].checkpoint(again, TWO))
        results.append(await backends[0].checkpoint(fast, ONE))
        return results, known, again.attempt, await backends[0]._progress.read(message)

    results, known, attempt, stored = asyncio.run(go())

    assert results == [Committed(), Fenced(), Committed(), Fenced()]
    assert (known, attempt, stored) == (ONE, 1, TWO)


@pytest.mark.parametrize("queue", MESSAGES)
def test_a_delivery_that_was_lost_before_a_worker_took_it_is_not_processed(queue: str) -> None:
    """It waited in this process for its key, or while the process was frozen."""

    async def go() -> str:
        backend: Any = paired(InMemoryMachineMemory(), LosingBroker(is_lost=True, is_found=True))
        await backend.send(MESSAGES[queue])
        await backend.send(SECOND[queue])
        delivery = await backend.receive(queue)
        return str(delivery.message.event.id)

    assert asyncio.run(go()) == SECOND[queue].event.id
