"""Conformance: our backends, stores and brokers pass the published conformance kit."""

import sqlite3
from contextlib import closing
from typing import Any

import pytest

from arvo import EncodedMessage, Event, Retention
from arvo.interpreters.delivery.codec import to_milliseconds
from arvo.interpreters.memory.backend import MemoryBackend
from arvo.interpreters.memory.broker import MemoryBroker
from arvo.interpreters.memory.index import InMemoryIndex
from arvo.interpreters.memory.store import InMemoryMachineMemory
from arvo.interpreters.paired.pairing import paired
from arvo.interpreters.ports.backend import Backend
from arvo.interpreters.ports.broker import Broker
from arvo.interpreters.ports.index import Index
from arvo.interpreters.ports.machine_memory import MachineMemory
from arvo.interpreters.sqlite import SqliteBackend
from arvo.interpreters.sqlite.statements.workers import release
from arvo.testing import (
    BackendConformance,
    BrokerConformance,
    IndexConformance,
    MachineMemoryConformance,
    OrderedBrokerConformance,
)


@pytest.mark.promise("I1", "I2", "I4", "I6", "I7", "I8")
class TestMemory(BackendConformance):
    async def backend(self) -> Backend:
        return MemoryBackend(queue_max=self.queue_max)


@pytest.mark.promise("I1", "I2", "I4", "I6", "I7", "I8", "I11")
class TestSqlite(BackendConformance):
    is_durable = True

    async def backend(self) -> Backend:
        return SqliteBackend(str(self.tmp_path / "arvo.db"), queue_max=self.queue_max)

    async def archiving_backend(self, retention: Retention) -> Backend:
        return SqliteBackend(str(self.tmp_path / "arvo.db"), retention=retention)

    async def expire_lease(self, backend: Any) -> None:
        with closing(sqlite3.connect(self.tmp_path / "arvo.db")) as file, file:
            release(file, [backend.worker_id], to_milliseconds(backend.now()))


@pytest.mark.promise("I1", "I2", "I4", "I6", "I7", "I8")
class TestPaired(BackendConformance):
    async def backend(self) -> Backend:
        memory, broker, index = InMemoryMachineMemory(), MemoryBroker(), InMemoryIndex()
        return paired(memory, broker, queue_max=self.queue_max, index=index)


@pytest.mark.promise("I1", "I2", "I4", "I6", "I7", "I8")
class TestPairedWithoutIndex(BackendConformance):
    supports_listing = False

    async def backend(self) -> Backend:
        return paired(InMemoryMachineMemory(), MemoryBroker(), queue_max=self.queue_max)


class BrokerWithoutOrder:
    """The memory broker, but `nack` lets the others of its key pass; so many brokers behave."""

    def __init__(self) -> None:
        self._inner = MemoryBroker()
        self.publish, self.deliveries = self._inner.publish, self._inner.deliveries
        self.ack, self.dead_letter = self._inner.ack, self._inner.dead_letter
        self.nack, self.depth = self._inner.defer, self._inner.depth


@pytest.mark.promise("I4")
class TestPairedWithoutOrder(BackendConformance):
    supports_listing = False

    async def backend(self) -> Backend:
        return paired(InMemoryMachineMemory(), BrokerWithoutOrder(), queue_max=self.queue_max)


@pytest.mark.promise("I4", "I6")
class TestMemoryMachineMemory(MachineMemoryConformance):
    async def memory(self) -> MachineMemory:
        return InMemoryMachineMemory()


class TestMemoryIndex(IndexConformance):
    async def index(self) -> Index:
        return InMemoryIndex()


@pytest.mark.promise("I1")
class TestMemoryBroker(BrokerConformance):
    async def broker(self) -> Broker:
        return MemoryBroker()


@pytest.mark.promise("I4")
class TestMemoryBrokerOrder(OrderedBrokerConformance):
    async def broker(self) -> Broker:
        return MemoryBroker()

    async def publish_plain(self, broker: Any, event: Event[Any]) -> None:
        plain = EncodedMessage(event.to or "", event.to_json().encode(), key=event.subject)
        await broker.publish([plain])
