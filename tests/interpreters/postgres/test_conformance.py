"""Conformance: Postgres passes the kit that we ship, on a real server."""

from typing import Any

import asyncpg

from arvo.interpreters.ports.backend import Backend
from arvo.interpreters.ports.machine_memory import MachineMemory
from arvo.interpreters.postgres import PostgresBackend, PostgresMemory
from arvo.testing import BackendConformance, MachineMemoryConformance
from tests import servers
from tests.interpreters.postgres.schemas import schema_of


class TestPostgres(BackendConformance):
    survives = True

    async def backend(self) -> Backend:
        return PostgresBackend(schema_of(self.place), queue_max=self.queue_max)

    async def expire_lease(self, backend: Any) -> None:
        connection = await asyncpg.connect(servers.postgres_url())
        await connection.execute(
            backend.address.sql("update arvo.delivery set owner = null; delete from arvo.worker")
        )
        await connection.close()


class TestPostgresMemory(MachineMemoryConformance):
    survives = True

    async def memory(self) -> MachineMemory:
        return PostgresMemory(schema_of(self.place))

    async def close(self, memory: Any) -> None:
        await memory.close()
