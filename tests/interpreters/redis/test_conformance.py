"""Conformance: Redis as memory, as broker, and as both, against a real server."""

from typing import Any

from arvo.interpreters.paired.backend import Pair
from arvo.interpreters.ports.backend import Backend
from arvo.interpreters.ports.broker import Broker
from arvo.interpreters.ports.machine_memory import MachineMemory
from arvo.interpreters.redis import RedisBroker, RedisMemory
from arvo.testing import BackendConformance, BrokerConformance, MachineMemoryConformance
from tests.servers import redis_url


class TestRedisMemory(MachineMemoryConformance):
    survives = True

    async def memory(self) -> MachineMemory:
        return RedisMemory(redis_url(), self.place.name)

    async def close(self, memory: Any) -> None:
        await memory.close()


class TestRedisBroker(BrokerConformance):
    survives = True

    async def broker(self) -> Broker:
        return RedisBroker(redis_url(), self.place.name)

    async def close(self, broker: Any) -> None:
        await broker.close()


class TestRedis(BackendConformance):
    survives, lists = True, False

    async def backend(self) -> Backend:
        memory = RedisMemory(redis_url(), self.place.name)
        broker = RedisBroker(redis_url(), self.place.name)
        return Pair(memory, broker, self.queue_max, owned=True)
