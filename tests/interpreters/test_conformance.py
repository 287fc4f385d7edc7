"""Conformance: our own backends, memories and brokers pass the kit that we ship."""

import sqlite3
from contextlib import closing
from typing import Any

from arvo.interpreters.memory.backend import MemoryBackend
from arvo.interpreters.memory.broker import MemoryBroker
from arvo.interpreters.paired.backend import paired
from arvo.interpreters.ports.backend import Backend
from arvo.interpreters.ports.broker import Broker
from arvo.interpreters.ports.machine_memory import InMemoryMachineMemory, MachineMemory
from arvo.interpreters.sqlite import SqliteBackend
from arvo.interpreters.sqlite.statements.workers import leave
from arvo.testing import BackendConformance, BrokerConformance, MachineMemoryConformance


class TestMemory(BackendConformance):
    async def backend(self) -> Backend:
        return MemoryBackend(queue_max=self.queue_max)


class TestSqlite(BackendConformance):
    survives = True

    async def backend(self) -> Backend:
        return SqliteBackend(str(self.place / "arvo.db"), queue_max=self.queue_max)

    async def expire_lease(self, backend: Any) -> None:
        with closing(sqlite3.connect(self.place / "arvo.db")) as file, file:
            leave(file, backend.me)


class TestPaired(BackendConformance):
    lists = False

    async def backend(self) -> Backend:
        return paired(InMemoryMachineMemory(), MemoryBroker(), queue_max=self.queue_max)


class TestMemoryMachineMemory(MachineMemoryConformance):
    async def memory(self) -> MachineMemory:
        return InMemoryMachineMemory()


class TestMemoryBroker(BrokerConformance):
    async def broker(self) -> Broker:
        return MemoryBroker()
