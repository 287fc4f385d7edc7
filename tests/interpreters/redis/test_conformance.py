"""Conformance: Redis as memory, as broker and as both, on a real server."""

from typing import Any

import pytest

from arvo.interpreters.paired.backend import Pair
from arvo.interpreters.ports.backend import Backend
from arvo.interpreters.ports.broker import Broker
from arvo.interpreters.ports.index import Index
from arvo.interpreters.ports.machine_memory import MachineMemory
from arvo.interpreters.redis import RedisBroker, RedisMemory
from arvo.interpreters.redis.connection import Connection
from arvo.interpreters.redis.index import RedisIndex
from arvo.testing import (
    BackendConformance,
    BrokerConformance,
    IndexConformance,
    MachineMemoryConformance,
)
from tests.interpreters.ordered_pair import OrderedPairConformance
from tests.interpreters.within import LEASE_TIMEOUT
from tests.servers import redis_url


@pytest.mark.promise("I4", "I6")
class TestRedisMemory(MachineMemoryConformance):
    is_durable = True

    async def memory(self) -> MachineMemory:
        return RedisMemory(redis_url(), self.tmp_path.name)

    async def close(self, memory: Any) -> None:
        await memory.close()


class TestRedisIndex(IndexConformance):
    is_durable = True

    async def index(self) -> Index:
        return RedisIndex(Connection(redis_url()), self.tmp_path.name)

    async def close(self, index: Any) -> None:
        await index.connection.close()


@pytest.mark.promise("I1")
class TestRedisBroker(BrokerConformance):
    is_durable = True
    timeout = LEASE_TIMEOUT

    async def broker(self) -> Broker:
        return RedisBroker(redis_url(), self.tmp_path.name)

    async def close(self, broker: Any) -> None:
        await broker.close()


@pytest.mark.promise("I1", "I2", "I4", "I6", "I7", "I8")
class TestRedis(OrderedPairConformance, BackendConformance):
    is_durable = True
    timeout = LEASE_TIMEOUT

    async def backend(self) -> Backend:
        memory = RedisMemory(redis_url(), self.tmp_path.name)
        broker = RedisBroker(redis_url(), self.tmp_path.name)
        return Pair(memory, broker, self.queue_max, owned=True)
