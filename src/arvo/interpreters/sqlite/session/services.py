"""Services: the registry of the workers on a SQLite file."""

from collections.abc import Callable
from typing import final

from attrs import define

from arvo.interpreters.ports.services import WorkerServices
from arvo.interpreters.sqlite.session.session import Session
from arvo.interpreters.sqlite.statements import workers


@final
@define(eq=False)
class SqliteServices:
    """A `ServiceRegistry` in the rows of the workers, whose leases the session renews.

    *now*: the time in milliseconds.
    """

    session: Session
    now: Callable[[], int]

    async def register(self, services: WorkerServices) -> None:
        """Register the services of a worker of this process."""
        self.session.services.add(services)
        await self._write()

    async def deregister(self, worker_id: str) -> None:
        """Remove the services of a worker of this process. A closed session has done so already."""
        self.session.services.remove(worker_id)
        if self.session.is_open:
            await self._write()

    async def list(self) -> tuple[WorkerServices, ...]:
        """Return the services of the live workers."""
        return await self.session.read(lambda c: workers.services(c, self.now()))

    async def _write(self) -> None:
        session = self.session
        writer = await session.open()
        await writer.write(
            lambda c: workers.set_services(
                c, session.maintenance.worker_id, session.services.encode()
            )
        )
