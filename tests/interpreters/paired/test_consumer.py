"""Consumer: a delivery that a pair cannot return is delivered again by its process."""

import asyncio

import pytest

from arvo import InMemoryMachineMemory, MemoryBroker, Unavailable
from arvo.engine.step.route import ToHandler
from arvo.interpreters.paired.backend import Pair
from arvo.interpreters.ports.messages import Message
from tests.interpreters.paired.test_deaths import Flaky
from tests.shop import charge_request

PAY = "com.payment.charge"


@pytest.mark.promise("I1")
def test_a_delivery_that_cannot_be_released_is_delivered_again() -> None:
    """The broker takes it for delivered, so it would wait until this process ends."""

    async def go() -> tuple[str, int]:
        memory = Flaky(InMemoryMachineMemory())
        pair = Pair(memory, MemoryBroker())
        await pair.send(Message(charge_request(), ToHandler(PAY, None)))
        delivery = await pair.receive(PAY)
        memory.is_down = True
        with pytest.raises(Unavailable):
            await pair.release(delivery, 0.0)
        memory.is_down = False
        again = await pair.receive(PAY)
        await pair.ack(again)
        await pair.close()
        return again.message.event.id, again.attempt

    assert asyncio.run(asyncio.wait_for(go(), 10)) == (charge_request().id, 1)
