"""Conformance: Postgres passes the conformance kit, on a real server."""

from typing import Any

import asyncpg
import pytest

from arvo.interpreters.delivery.retention import Retention
from arvo.interpreters.ports.backend import Backend
from arvo.interpreters.ports.machine_memory import MachineMemory
from arvo.interpreters.postgres import PostgresBackend, PostgresMemory
from arvo.interpreters.postgres.connection.dsn import Dsn
from arvo.interpreters.postgres.session import maintenance
from arvo.interpreters.postgres.statements.workers import release
from arvo.testing import BackendConformance, MachineMemoryConformance
from tests import servers
from tests.interpreters.postgres.schemas import schema_url


@pytest.mark.promise("I1", "I2", "I4", "I6", "I7", "I8", "I11")
class TestPostgres(BackendConformance):
    is_durable = True

    async def backend(self) -> Backend:
        return PostgresBackend(schema_url(self.tmp_path), queue_max=self.queue_max)

    async def archiving_backend(self, retention: Retention) -> Backend:
        return PostgresBackend(schema_url(self.tmp_path), retention=retention)

    @pytest.fixture(autouse=True)
    def purges_often(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(maintenance, "PURGE_SECONDS", 0.0)

    async def expire_lease(self, backend: Any) -> None:
        # Not those of all: the next worker is registered too, and would lose what it has just got.
        worker_id, dsn = (await backend._sessions.session()).worker_id, Dsn.parse(backend.url)
        connection = await asyncpg.connect(servers.postgres_url())
        # In one transaction, or the backend may renew its lease between the two.
        async with connection.transaction():
            await connection.execute(dsn.sql(_EXPIRE), worker_id)
            await release(connection, dsn, 0, backend.now())
        await connection.close()


_EXPIRE = "update arvo.worker set lease = '-infinity' where id = $1"


class TestPostgresMemory(MachineMemoryConformance):
    is_durable = True

    async def memory(self) -> MachineMemory:
        return PostgresMemory(schema_url(self.tmp_path))

    async def close(self, memory: Any) -> None:
        await memory.close()
