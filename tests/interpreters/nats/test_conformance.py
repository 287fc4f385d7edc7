"""Conformance: NATS as memory, as broker and as both passes the kit, on a real server."""

from hashlib import blake2b
from pathlib import Path
from typing import Any

from arvo.interpreters.nats import NatsBroker, NatsMemory
from arvo.interpreters.paired.backend import Pair
from arvo.interpreters.ports.backend import Backend
from arvo.interpreters.ports.broker import Broker
from arvo.interpreters.ports.machine_memory import MachineMemory
from arvo.testing import BackendConformance, BrokerConformance, MachineMemoryConformance
from tests.servers import nats_url


def prefix_of(place: Path) -> str:
    """A bucket and a queue of its own for each test: each has a place of its own."""
    return f"t{blake2b(str(place).encode(), digest_size=8).hexdigest()}"


class TestNatsMemory(MachineMemoryConformance):
    survives = True

    async def memory(self) -> MachineMemory:
        return NatsMemory(nats_url(), prefix=prefix_of(self.place))

    async def close(self, memory: Any) -> None:
        await memory.close()


class TestNatsBroker(BrokerConformance):
    survives = True

    async def broker(self) -> Broker:
        return NatsBroker(nats_url(), prefix=prefix_of(self.place))

    async def close(self, broker: Any) -> None:
        await broker.close()


class TestNats(BackendConformance):
    survives = True
    lists = False

    async def backend(self) -> Backend:
        prefix = prefix_of(self.place)
        memory = NatsMemory(nats_url(), prefix=prefix)
        broker = NatsBroker(nats_url(), prefix=prefix)
        return Pair(memory, broker, self.queue_max, owned=True)
