"""Directory: registers the services of this worker, and looks up those of the others."""

import asyncio
from typing import Any, Final, cast, final
from uuid import uuid4

from attrs import define, field

from arvo.core.contracts.check import is_orchestrator_type
from arvo.core.events.event import Event
from arvo.engine.step.route import Route, ToCaller, Unroutable, to_other_process
from arvo.engine.system.missing import versions_of
from arvo.engine.system.system import System
from arvo.interpreters.calls.listeners import Listeners
from arvo.interpreters.ports.backend import Backend
from arvo.interpreters.ports.services import SupportsServiceRegistry, WorkerServices
from arvo.interpreters.services.this_process import this_process

# Addresses that are remembered when the last worker that has a listener for them is gone.
REMEMBERED_MAX: Final = 1_000


@final
@define(eq=False)
class ServiceDirectory:
    """The services of this worker, and of all workers on its backend."""

    system: System
    backend: Backend
    listeners: Listeners
    _worker_id: str = field(factory=lambda: uuid4().hex, init=False)
    # How many listeners are registered; None before the worker is.
    _registered: int | None = field(default=None, init=False)
    _remembered: dict[str, None] = field(factory=dict, init=False)
    _lock: asyncio.Lock = field(factory=asyncio.Lock, init=False)
    _registering: SupportsServiceRegistry | None = field(init=False)

    def __attrs_post_init__(self) -> None:
        # Checked once: `isinstance` with a protocol is slow.
        has_registry = isinstance(self.backend, SupportsServiceRegistry)
        self._registering = cast("SupportsServiceRegistry", self.backend) if has_registry else None

    async def register(self) -> None:
        """Register the services of this worker, unless it is registered; raises `Unavailable`.

        A worker calls it before it receives anything, and after a listener was added. So what it
        sends can reach no worker that does not see it.
        """
        if self._registered == self.listeners.number:
            return
        async with self._lock:
            await self._register_once()

    async def deregister(self) -> None:
        """Remove the services of this worker; the next `register` registers it again."""
        # Another event loop may run the next one.
        self._registered, self._lock = None, asyncio.Lock()
        if self._registering is not None:
            await self._registering.services.deregister(self._worker_id)

    async def registered(self) -> tuple[WorkerServices, ...] | None:
        """Return the services of all live workers; None if the backend has no registry."""
        return None if self._registering is None else await self._registering.services.list()

    async def is_served(self, address: str) -> bool:
        """Return whether a live worker has a handler of an address."""
        return any(each.serves(address, None) for each in await self.registered() or ())

    async def is_listened(self, domain: str) -> bool:
        """Return whether another live worker has a listener for a domain."""
        registered = await self.registered() or ()
        others = (each for each in registered if each.worker_id != self._worker_id)
        return any(each.listens_to(domain) for each in others)

    async def callers(self) -> frozenset[str]:
        """Return the addresses of callers that other workers have a listener for."""
        registered = await self.registered() or ()
        others = (each for each in registered if each.worker_id != self._worker_id)
        callers = frozenset(address for each in others for address in each.callers)
        self._remembered.update(dict.fromkeys(callers))
        while len(self._remembered) > REMEMBERED_MAX:
            del self._remembered[next(iter(self._remembered))]
        return callers

    def remembers(self, address: str) -> bool:
        """Return whether `callers` returned an address before: its process may be restarting."""
        return address in self._remembered

    async def route_elsewhere(self, event: Event[Any], to: Route) -> Route:
        """Return the destination of an event for an address that only other workers serve.

        *to*: the destination by the handlers of this system; it is returned where no live worker
        serves the address. A reply to a workflow that this system lacks is not for a caller.
        """
        is_workflow = event.to is not None and is_orchestrator_type(event.to)
        is_unknown = isinstance(to, Unroutable) or (isinstance(to, ToCaller) and is_workflow)
        if event.to is None or not is_unknown:
            return to
        registered = await self.registered() or ()
        if not any(each.serves(event.to, None) or event.to in each.callers for each in registered):
            return to
        return to_other_process(event, event.to)

    async def _register_once(self) -> None:
        number = self.listeners.number
        if self._registered == number:
            return
        if self._registering is not None:
            await self._registering.services.register(self.own)
        self._registered = number

    @property
    def own(self) -> WorkerServices:
        """The services of this worker."""
        versions = {handler.source: versions_of(handler) for handler in self.system.handlers}
        callers, domains = self.listeners.addresses, self.listeners.domains
        return WorkerServices(self._worker_id, versions, callers, domains, this_process())
