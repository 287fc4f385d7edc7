"""Services: the registry of simulated workers, and the view that one process has of it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, final

from attrs import define, field

from arvo.core.events.event import Event
from arvo.core.record import Record
from arvo.engine.system.missing import missing_service
from arvo.engine.system.system import System
from arvo.interpreters.ports.services import WorkerServices


@final
@define(eq=False)
class Registry:
    """What the simulated processes serve. A process that is silent for *lease* seconds drops out
    until it is heard again.
    """

    lease: float
    _by_process: dict[str, WorkerServices] = field(factory=dict, init=False)
    # Periods in which a process renews nothing, each from when until when.
    _silences: dict[str, list[tuple[float, float]]] = field(factory=dict, init=False)

    def register(self, process: str, services: WorkerServices) -> None:
        """Register the services of a process."""
        self._by_process[process] = services

    def silence(self, process: str, since: float, until: float) -> None:
        """Let a process renew nothing for a while."""
        self._silences.setdefault(process, []).append((since, until))

    def live(self, now: float) -> tuple[WorkerServices, ...]:
        """Return what the processes serve whose lease has not expired."""
        return tuple(
            services
            for process, services in self._by_process.items()
            if not any(
                since + self.lease < now < until for since, until in self._silences.get(process, ())
            )
        )


@final
@define(eq=False)
class ProcessServices:
    """A `ServiceRegistry` of one process. *connect* waits until a request has reached the store."""

    registry: Registry
    process: str
    connect: Callable[[], Awaitable[None]]
    # What the registry has returned to each task since its last delivery.
    _listed: "dict[asyncio.Task[Any] | None, tuple[WorkerServices, ...]]" = field(
        factory=dict, init=False
    )

    async def register(self, services: WorkerServices) -> None:
        """Register the services of this process."""
        self.registry.register(self.process, services)

    async def deregister(self, worker_id: str) -> None:
        """Do nothing: a simulated process ends by a crash, and its lease expires."""

    async def list(self) -> tuple[WorkerServices, ...]:
        """Return the services of the live processes."""
        await self.connect()
        listed = self.registry.live(asyncio.get_running_loop().time())
        self._listed[asyncio.current_task()] = listed
        return listed

    def forget(self) -> None:
        """Forget what the registry has returned to this task."""
        self._listed.pop(asyncio.current_task(), None)

    def is_served(self, system: System, event: Event[Any], record: Record | None) -> bool:
        """Return whether a live process serves an event that *system* lacks the version for, as far
        as this task could know.
        """
        missing = missing_service(system, event, record)
        if missing is None:
            return False
        live = self.registry.live(asyncio.get_running_loop().time())
        known = self._listed.get(asyncio.current_task(), live)
        return any(services.serves(missing.address, missing.version) for services in known)
