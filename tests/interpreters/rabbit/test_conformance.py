"""Conformance: RabbitMQ as broker, on a real server if one is available."""

from typing import Any

import aio_pika
import pytest

from arvo import Event
from arvo.interpreters.paired.backend import Pair
from arvo.interpreters.ports.backend import Backend
from arvo.interpreters.ports.broker import Broker
from arvo.interpreters.rabbit import RabbitBroker
from arvo.interpreters.redis import RedisMemory
from arvo.testing import BackendConformance, BrokerConformance, OrderedBrokerConformance
from arvo.testing.conformance.kit.samples import WORKFLOW
from tests.servers import rabbit_url, redis_url


@pytest.mark.promise("I1")
class TestRabbitBroker(BrokerConformance):
    is_durable = True

    async def broker(self) -> Broker:
        return RabbitBroker(rabbit_url(), self.tmp_path.name)

    async def close(self, broker: Any) -> None:
        await broker.close()


@pytest.mark.promise("I4")
class TestRabbitOrder(OrderedBrokerConformance):
    is_durable = True

    async def broker(self) -> RabbitBroker:
        return RabbitBroker(rabbit_url(), self.tmp_path.name)

    async def close(self, broker: Any) -> None:
        await broker.close()

    async def publish_plain(self, broker: Any, event: Event[Any]) -> None:
        async with (
            await aio_pika.connect(rabbit_url()) as connection,
            connection.channel() as channel,
        ):
            message = aio_pika.Message(event.to_json().encode())
            await channel.default_exchange.publish(message, f"{broker.prefix}:{WORKFLOW}")


@pytest.mark.promise("I1", "I2", "I4", "I6", "I7", "I8")
class TestRabbit(BackendConformance):
    is_durable, supports_listing, reports_depth = True, False, False
    shares_released = False

    async def backend(self) -> Backend:
        memory = RedisMemory(redis_url(), self.tmp_path.name)
        return Pair(
            memory, RabbitBroker(rabbit_url(), self.tmp_path.name), self.queue_max, owned=True
        )
