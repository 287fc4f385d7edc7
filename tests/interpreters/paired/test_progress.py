"""Progress: a pair repeats no effect whose result it has stored."""

import asyncio
from typing import Any, get_args

import pytest
from attrs import define, field

from arvo import (
    Conflict,
    Effects,
    Emit,
    Event,
    Flow,
    InMemoryMachineMemory,
    MemoryBroker,
    Stored,
    System,
    ask,
    call,
    flow,
    gather,
    paired,
)
from arvo.engine.step.route import ToHandler
from arvo.interpreters.paired.progress import PAGES
from arvo.interpreters.ports.messages import Delivery, Message
from tests.interpreters.crashes import CallFault, FaultKind, run_with_fault
from tests.shop import (
    SERVICES,
    CardCharged,
    ChargeCard,
    OrderFulfilled,
    PlaceOrder,
    charge_request,
    order,
    order_request,
    payment_handler,
)

PAY, ORDER = "com.payment.charge", "arvo.orc.order.fulfil"
EFFECTS = ["five", "four", "one", "six", "three", "two"]
# The effects that were performed, in order.
performed: list[str] = []


async def reserve(item: str) -> str:
    performed.append(item)
    return f"reserved {item}"


@flow(order, "1.0.0", services=SERVICES)
def reserve_all(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
    """Perform effects one by one and side by side, before a request and after its reply."""
    first = yield from call(reserve, "one")
    both = yield from gather(call(reserve, "two"), call(reserve, "three"))
    yield from ask(ChargeCard(event.data.order_id, 1.0), CardCharged)
    last = yield from call(reserve, "four")
    return OrderFulfilled(f"{first}, {', '.join(both)}, {last}")


def charge_by_bank(event: Event[ChargeCard]) -> Effects[Emit]:
    """Perform two effects in a handler that has no record."""
    yield from call(reserve, "five")
    receipt = yield from call(reserve, "six")
    return Emit(CardCharged(receipt))


system = System([payment_handler(charge_by_bank), reserve_all])


@pytest.mark.parametrize("kind", get_args(FaultKind))
def test_a_crash_or_an_outage_at_any_call_repeats_at_most_the_effect_in_hand(
    kind: FaultKind,
) -> None:
    """A crash after the result was stored repeats nothing, and neither does an outage.

    But for a request that was published twice, as the answer of the broker was lost: two workers
    may handle both copies at the same time, if their handler has no record.
    """

    async def everywhere() -> list[int]:
        undisturbed = CallFault(-1)
        expected = await run_with_fault(system, [order_request()], undisturbed)
        assert sorted(performed) == EFFECTS
        repeated = []
        for at in range(len(undisturbed.calls)):
            performed.clear()
            result = await run_with_fault(system, [order_request()], CallFault(at, kind))
            assert result["outbound"] == expected["outbound"]
            assert result["dead_letters"] == []
            assert set(performed) == set(EFFECTS)
            if (kind, undisturbed.calls[at]) != ("fail after", "publish"):
                repeated.append(len(performed) - len(EFFECTS))
        return repeated

    performed.clear()
    repeated = asyncio.run(everywhere())

    if kind.startswith("fail"):
        assert not any(repeated)
    else:
        # The two that run side by side end together.
        assert max(repeated) <= 2
        assert 0 in repeated


@define
class CountingMemory:
    """A memory that records the subjects of its calls."""

    inner: InMemoryMachineMemory = field(factory=InMemoryMachineMemory)
    calls: list[str] = field(factory=list)

    async def read(self, subject: str) -> Stored | None:
        self.calls.append(f"read {subject}")
        return await self.inner.read(subject)

    async def write(self, subject: str, record: bytes, expected: int) -> Stored | Conflict:
        self.calls.append(f"write {subject}")
        return await self.inner.write(subject, record, expected)


async def receive_request(backend: Any) -> Delivery:
    await backend.send(Message(charge_request(), ToHandler(PAY, None)))
    delivery: Delivery = await backend.receive(PAY)
    return delivery


def test_a_delivery_without_effects_reads_no_checkpoint() -> None:
    """Only a step that asks for an effect pays for it."""

    async def go() -> list[str]:
        memory = CountingMemory()
        backend = paired(memory, MemoryBroker())
        await receive_request(backend)
        await backend.close()
        return memory.calls

    assert asyncio.run(go()) == []


def test_the_checkpoints_of_handlers_without_a_record_are_bounded() -> None:
    """A store can neither list nor delete, so newer checkpoints replace the oldest."""

    async def go() -> int:
        memory = CountingMemory()
        backend = paired(memory, MemoryBroker())
        for number in range(2 * PAGES):
            message = Message(charge_request(f"c{number}"), ToHandler(PAY, None))
            await backend.send(message)
            delivery = await backend.receive(PAY)
            await backend.checkpoint(delivery, b'{"effects":[]}')
            await backend.ack(delivery)
        await backend.close()
        return len({call for call in memory.calls if call.startswith("write (progress)")})

    assert asyncio.run(go()) <= PAGES


def test_a_page_drops_its_oldest_checkpoints() -> None:
    """It stays small enough for every store."""

    async def go() -> tuple[bytes, bytes]:
        backend: Any = paired(InMemoryMachineMemory(), MemoryBroker())
        messages = [
            Message(charge_request(f"c{number}"), ToHandler(PAY, None))
            for number in range(20 * PAGES)
        ]
        for message in messages:
            await backend._progress.write(message, b'{"effects":["' + b"x" * 50_000 + b'"]}', ())
        first = await backend._progress.read(messages[0])
        return first, await backend._progress.read(messages[-1])

    first, last = asyncio.run(go())

    assert first == b""
    assert last.startswith(b'{"effects"')
