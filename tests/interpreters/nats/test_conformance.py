"""Conformance: NATS as memory, as broker and as both, on a real server."""

from hashlib import blake2b
from pathlib import Path
from typing import Any

import pytest

from arvo.interpreters.nats import NatsBroker, NatsMemory
from arvo.interpreters.nats.connection.connection import Connection
from arvo.interpreters.nats.storage.index import NatsIndex
from arvo.interpreters.paired.backend import Pair
from arvo.interpreters.ports.backend import Backend
from arvo.interpreters.ports.broker import Broker
from arvo.interpreters.ports.index import Index
from arvo.interpreters.ports.machine_memory import MachineMemory
from arvo.testing import (
    BackendConformance,
    BrokerConformance,
    IndexConformance,
    MachineMemoryConformance,
)
from tests.interpreters.ordered_pair import OrderedPairConformance
from tests.interpreters.within import LEASE_TIMEOUT
from tests.servers import nats_url


def prefix_of(place: Path) -> str:
    """Return a prefix of its own for each test, which has a directory of its own."""
    return f"t{blake2b(str(place).encode(), digest_size=8).hexdigest()}"


@pytest.mark.promise("I4", "I6")
class TestNatsMemory(MachineMemoryConformance):
    is_durable = True

    async def memory(self) -> MachineMemory:
        return NatsMemory(nats_url(), prefix=prefix_of(self.tmp_path))

    async def close(self, memory: Any) -> None:
        await memory.close()


class TestNatsIndex(IndexConformance):
    is_durable = True

    async def index(self) -> Index:
        return NatsIndex(Connection(nats_url()), prefix_of(self.tmp_path))

    async def close(self, index: Any) -> None:
        await index.connection.close()


@pytest.mark.promise("I1")
class TestNatsBroker(BrokerConformance):
    is_durable = True
    timeout = LEASE_TIMEOUT

    async def broker(self) -> Broker:
        return NatsBroker(nats_url(), prefix=prefix_of(self.tmp_path))

    async def close(self, broker: Any) -> None:
        await broker.close()


@pytest.mark.promise("I1", "I2", "I4", "I6", "I7", "I8")
class TestNats(OrderedPairConformance, BackendConformance):
    is_durable = True
    timeout = LEASE_TIMEOUT

    async def backend(self) -> Backend:
        prefix = prefix_of(self.tmp_path)
        memory = NatsMemory(nats_url(), prefix=prefix)
        broker = NatsBroker(nats_url(), prefix=prefix)
        return Pair(memory, broker, self.queue_max, owned=True)
