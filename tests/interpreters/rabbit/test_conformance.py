"""Conformance: RabbitMQ as broker, against a real server where one can be found."""

from typing import Any

from arvo.interpreters.paired.backend import Pair
from arvo.interpreters.ports.backend import Backend
from arvo.interpreters.ports.broker import Broker
from arvo.interpreters.rabbit import RabbitBroker
from arvo.interpreters.redis import RedisMemory
from arvo.testing import BackendConformance, BrokerConformance
from tests.servers import rabbit_url, redis_url


class TestRabbitBroker(BrokerConformance):
    survives, patience = True, 15.0

    async def broker(self) -> Broker:
        return RabbitBroker(rabbit_url(), self.place.name)

    async def close(self, broker: Any) -> None:
        await broker.close()


class TestRabbit(BackendConformance):
    survives, lists, counts, patience = True, False, False, 15.0

    async def backend(self) -> Backend:
        memory = RedisMemory(redis_url(), self.place.name)
        return Pair(memory, RabbitBroker(rabbit_url(), self.place.name), self.queue_max, owned=True)
