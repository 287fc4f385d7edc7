"""Brokers: what the tests of one broker do with messages as those of another do."""

import asyncio
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing, suppress
from typing import Any, Final

from arvo import EncodedDelivery, EncodedMessage, Event, Runtime, Unavailable
from arvo.core.record import Status
from arvo.interpreters.ports.broker import Broker
from tests.shop import charging

PAY: Final = "com.payment.charge"


def message(name: str) -> EncodedMessage:
    """Make a message whose subject, and so perhaps its partition, is its own."""
    return EncodedMessage(PAY, charging(name))


async def take(broker: Broker, number: int = 1) -> list[EncodedDelivery]:
    """Take messages and settle them, one by one."""
    taking = broker.deliveries([PAY])
    assert isinstance(taking, AsyncGenerator)
    async with aclosing(taking) as incoming:
        found: list[EncodedDelivery] = []
        for _ in range(number):
            found.append(await anext(incoming))
            await broker.ack(found[-1])
        return found


def names(found: Iterable[EncodedDelivery]) -> list[str]:
    """Give the ids of the events that were handed out."""
    return [each.message.event.id for each in found]


async def surely_sent(runtime: Runtime, event: Event[Any]) -> None:
    """Send to a server that may be away for a while."""
    while True:
        with suppress(Unavailable):
            return await runtime.send(event)
        await asyncio.sleep(0.05)


async def ended(runtime: Runtime, begun: Iterable[Event[Any]]) -> list[tuple[Status, int]]:
    """Say of each workflow how it ended, and in how many turns."""
    records = [await runtime.record(each.subject) for each in begun]
    return [(each.status, each.revision) for each in records if each is not None]
