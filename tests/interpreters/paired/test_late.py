"""Late: a reply that a failed workflow keeps leaves its outcome readable on a pair."""

from arvo import (
    Commands,
    Emit,
    Event,
    Fail,
    InMemoryMachineMemory,
    MemoryBroker,
    Runtime,
    System,
    SystemFault,
    Turn,
    paired,
)
from tests.interpreters.inside import send_inside
from tests.interpreters.within import within
from tests.shop import (
    BookShipment,
    CardCharged,
    ChargeCard,
    ShipmentBooked,
    make_workflow,
    order_request,
    payments,
    reply_to,
)


def fail_on_the_charge(turn: Turn[None]) -> Commands:
    if turn.input is not None:
        return Emit(ChargeCard("o1", 1.0)), Emit(BookShipment("o1"), domain="b")
    return Fail("no money") if isinstance(turn.event.data, CardCharged) else None


def test_a_second_request_still_reads_the_failure() -> None:
    """The document of a pair holds the last output of an ended workflow, and a caller reads it."""
    memory, broker = InMemoryMachineMemory(), MemoryBroker()
    system = System([make_workflow(fail_on_the_charge), payments])

    async def go() -> tuple[Event[object], Event[object], int]:
        async with Runtime(system, paired(memory, broker)) as runtime:
            sent: list[Event[object]] = []
            runtime.on_domain("b")(sent.append)
            first = await runtime.request(order_request(), timeout=60)
            await runtime.drain(timeout=60)
            for key in ("a2", "a3"):
                await send_inside(runtime, reply_to(sent[0], ShipmentBooked("t"), key=key))
            await runtime.drain(timeout=60)
            record = await runtime.record(order_request().subject)
            assert record is not None
        async with Runtime(system, paired(memory, broker)) as other:
            return first, await other.request(order_request(), timeout=60), record.late_replies

    first, second, late = within(go())

    assert isinstance(first.data, SystemFault)
    assert second == first
    assert late == 2
