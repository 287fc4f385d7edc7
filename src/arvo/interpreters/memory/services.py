"""Services: the registry of the workers that share a backend in memory."""

from typing import final

from attrs import define, field

from arvo.interpreters.ports.services import WorkerServices


@final
@define(eq=False)
class MemoryServices:
    """A `ServiceRegistry` in a dict. Its workers are in this process, so it needs no lease."""

    _by_worker: dict[str, WorkerServices] = field(factory=dict, init=False)

    async def register(self, services: WorkerServices) -> None:
        """Register the services of a worker."""
        self._by_worker[services.worker_id] = services

    async def deregister(self, worker_id: str) -> None:
        """Remove the services of a worker."""
        self._by_worker.pop(worker_id, None)

    async def list(self) -> tuple[WorkerServices, ...]:
        """Return the services of the workers."""
        return tuple(self._by_worker.values())
