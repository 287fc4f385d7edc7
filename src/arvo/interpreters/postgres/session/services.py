"""Services: the registry of what the workers on a Postgres schema serve."""

from typing import final

from attrs import define

from arvo.interpreters.ports.services import WorkerServices
from arvo.interpreters.postgres.session.reconnect import SessionManager
from arvo.interpreters.postgres.statements import workers


@final
@define(eq=False)
class PostgresServices:
    """A `ServiceRegistry` in the rows of the workers, whose leases the session renews."""

    sessions: SessionManager

    async def register(self, services: WorkerServices) -> None:
        """Register what a worker of this process serves."""
        self.sessions.services.add(services)
        await self._write()

    async def deregister(self, worker_id: str) -> None:
        """Remove what a worker of this process serves. A closed session has done so already."""
        self.sessions.services.remove(worker_id)
        if self.sessions.is_open:
            await self._write()

    async def list(self) -> tuple[WorkerServices, ...]:
        """Return the services of the live workers."""
        session = await self.sessions.session()
        return await session.read(lambda c: workers.services(c, session.dsn))

    async def _write(self) -> None:
        session, encoded = await self.sessions.session(), self.sessions.services.encode()
        await session.write(
            lambda c: workers.set_services(c, session.dsn, session.worker_id, encoded)
        )
