"""Brokers: what the tests of all brokers share: messages, consumers and waiting for an outcome."""

import asyncio
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing, suppress
from datetime import datetime
from typing import Any, Final

from arvo import EncodedDelivery, EncodedMessage, Event, Runtime, Unavailable
from arvo.core.record import Status
from arvo.engine.step.route import ToHandler
from arvo.interpreters.memory.store import InMemoryMachineMemory
from arvo.interpreters.paired.backend import Pair
from arvo.interpreters.paired.documents.codec import decode_message, encode_message
from arvo.interpreters.ports.broker import Broker
from arvo.interpreters.ports.messages import Message
from tests.shop import charge_request

PAY: Final = "com.payment.charge"


def encode(event: Event[Any], address: str = PAY, due: datetime | None = None) -> EncodedMessage:
    """Encode an event for a handler without memory."""
    return encode_message(Message(event, ToHandler(address, None)), due)


def message(name: str, due: datetime | None = None) -> EncodedMessage:
    """Make a message with a subject, and so perhaps a partition, of its own."""
    return encode(charge_request(name), due=due)


def event_of(delivery: EncodedDelivery) -> Event[Any]:
    """Return the event of a delivery."""
    return decode_message(delivery.message).event


def event_ids(deliveries: Iterable[EncodedDelivery]) -> list[str]:
    """Return the ids of the delivered events."""
    return [event_of(delivery).id for delivery in deliveries]


async def receive(broker: Broker, number: int = 1) -> list[EncodedDelivery]:
    """Receive deliveries and ack each of them."""
    incoming = broker.deliveries([PAY])
    assert isinstance(incoming, AsyncGenerator)
    async with aclosing(incoming):
        deliveries: list[EncodedDelivery] = []
        for _ in range(number):
            deliveries.append(await anext(incoming))
            await broker.ack(deliveries[-1])
        return deliveries


async def receive_through_pair(broker: Broker, number: int = 1) -> list[str]:
    """Receive events as a pair does, which dead-letters what it cannot decode; returns their ids.

    It returns when the broker is empty.
    """
    pair = Pair(InMemoryMachineMemory(), broker)
    ids = []
    for _ in range(number):
        delivery = await pair.receive(PAY)
        ids.append(delivery.message.event.id)
        await pair.ack(delivery)
    receiving = asyncio.ensure_future(pair.receive(PAY))
    await pair.wait_until_idle()
    receiving.cancel()
    await asyncio.gather(receiving, return_exceptions=True)
    await pair.close()
    return ids


async def send_when_available(runtime: Runtime, event: Event[Any]) -> None:
    """Send to a server that may be unavailable for a while."""
    while True:
        with suppress(Unavailable):
            return await runtime.send(event)
        await asyncio.sleep(0.05)


async def final_states(runtime: Runtime, started: Iterable[Event[Any]]) -> list[tuple[Status, int]]:
    """Return the status of each workflow, and the number of its turns."""
    records = [await runtime.record(event.subject) for event in started]
    return [(record.status, record.revision) for record in records if record is not None]
