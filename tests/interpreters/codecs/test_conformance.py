"""Conformance: a backend with a codec keeps every promise of a backend."""

import sqlite3
from contextlib import closing
from typing import Any, Final

from obstore.store import LocalStore, MemoryStore

from arvo.codecs import composed, compressed, encrypted
from arvo.interpreters.codecs.blobs import ObstoreBlobs
from arvo.interpreters.codecs.offloaded import Offloaded
from arvo.interpreters.delivery.codec import to_milliseconds
from arvo.interpreters.memory.broker import MemoryBroker
from arvo.interpreters.memory.index import InMemoryIndex
from arvo.interpreters.memory.store import InMemoryMachineMemory
from arvo.interpreters.paired.pairing import paired
from arvo.interpreters.ports.backend import Backend
from arvo.interpreters.sqlite import SqliteBackend
from arvo.interpreters.sqlite.statements.workers import release
from arvo.testing import BackendConformance

CODEC: Final = composed(compressed(), encrypted({"first": bytes(32)}))


class TestEncryptedSqlite(BackendConformance):
    is_durable = True

    async def backend(self) -> Backend:
        path = str(self.tmp_path / "arvo.db")
        return SqliteBackend(path, queue_max=self.queue_max, codec=CODEC)

    async def expire_lease(self, backend: Any) -> None:
        with closing(sqlite3.connect(self.tmp_path / "arvo.db")) as file, file:
            release(file, [backend.worker_id], to_milliseconds(backend.now()))


class TestEncryptedPair(BackendConformance):
    async def backend(self) -> Backend:
        memory, broker, index = InMemoryMachineMemory(), MemoryBroker(), InMemoryIndex()
        return paired(memory, broker, queue_max=self.queue_max, index=index, codec=CODEC)


class TestOffloadedSqlite(TestEncryptedSqlite):
    """Everything is a blob: in a folder, encrypted before."""

    offloads = True

    async def backend(self) -> Backend:
        path = str(self.tmp_path / "arvo.db")
        blobs = ObstoreBlobs(LocalStore(self.tmp_path / "blobs", mkdir=True))
        codec = composed(CODEC, Offloaded(blobs, over=0))
        return SqliteBackend(path, queue_max=self.queue_max, codec=codec)


class TestOffloadedPair(BackendConformance):
    """Everything is a blob, and nothing is encoded before."""

    offloads = True

    async def backend(self) -> Backend:
        memory, broker, index = InMemoryMachineMemory(), MemoryBroker(), InMemoryIndex()
        codec = Offloaded(ObstoreBlobs(MemoryStore()), over=0)
        return paired(memory, broker, queue_max=self.queue_max, index=index, codec=codec)
