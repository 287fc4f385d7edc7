"""Services: the registry of the workers of a pair, as one value in its memory."""

import asyncio
import random
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any, Final, TypeAlias, final

import orjson
from attrs import define, field

from arvo.interpreters.delivery.clock import utc_now
from arvo.interpreters.delivery.tasks import supervise
from arvo.interpreters.paired.documents.document import FORMAT, decode_value
from arvo.interpreters.ports.errors import Unavailable
from arvo.interpreters.ports.machine_memory import MachineMemory, Stored
from arvo.interpreters.ports.services import WorkerServices
from arvo.interpreters.services.registrations import Registrations
from arvo.interpreters.services.shared_call import SharedCall

# How long a registration stays without being renewed. Much longer than clocks differ: each process
# judges the leases of the others by its own clock.
LEASE_SECONDS: Final = 60.0
RENEW_SECONDS: Final = LEASE_SECONDS / 4
# Workers in one registry; above that, those whose lease ends first are dropped.
WORKERS_MAX: Final = 2_000
# Attempts to write the registry while other workers write it too, with a pause between them.
WRITES_MAX: Final = 200
PAUSE_SECONDS: Final = 0.01
# The subject of a workflow is base64, which has no parentheses.
SUBJECT: Final = "(services)"

# The services of each worker, with the end of its lease.
_Leases: TypeAlias = dict[str, tuple[WorkerServices, datetime]]


@final
@define(eq=False)
class ServiceStore:
    """Registers the workers of this process in a memory, and renews that while it is open.

    *now*: the clock of the leases.
    """

    memory: MachineMemory
    now: Callable[[], datetime] = utc_now
    _own: Registrations = field(factory=Registrations, init=False)
    _renewing: "asyncio.Task[None] | None" = field(default=None, init=False)
    # Each answer that no request of its process waits for asks for the registry.
    _reading: SharedCall[tuple[_Leases, int]] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._reading = SharedCall(self._read)

    async def register(self, services: WorkerServices) -> None:
        """Register the services of a worker of this process."""
        self._own.add(services)
        await self.renew()
        if self._renewing is None or self._renewing.done():
            # After a fault the registration expires, and the log states why.
            self._renewing = supervise(
                self._renew_loop(), name="arvo services", on_failure=lambda _: None
            )

    async def deregister(self, worker_id: str) -> None:
        """Remove the services of a worker of this process, if it is registered."""
        if any(each.worker_id == worker_id for each in self._own.all):
            self._own.remove(worker_id)
            await self._write(removed=worker_id)

    async def list(self) -> tuple[WorkerServices, ...]:
        """Return the services of the live workers of all processes."""
        leases, _ = await self._reading.result()
        return tuple(services for services, _ in leases.values())

    async def renew(self) -> None:
        """Renew the leases of the workers of this process."""
        await self._write()

    async def close(self) -> None:
        """Renew no more; what is still registered expires."""
        if self._renewing is not None:
            self._renewing.cancel()
            await asyncio.gather(self._renewing, return_exceptions=True)
            self._renewing = None

    async def _renew_loop(self) -> None:
        while True:
            await asyncio.sleep(RENEW_SECONDS)
            try:
                await self.renew()
            except Unavailable:
                # Tried again while the lease lasts, and after it.
                continue

    async def _write(self, removed: str | None = None) -> None:
        for _ in range(WRITES_MAX):
            leases, revision = await self._read()
            until = self.now() + timedelta(seconds=LEASE_SECONDS)
            leases |= {own.worker_id: (own, until) for own in self._own.all}
            if removed is not None:
                leases.pop(removed, None)
            newest = sorted(leases.values(), key=lambda lease: lease[1])[-WORKERS_MAX:]
            written = await self.memory.write(SUBJECT, _encode(newest), revision)
            if isinstance(written, Stored):
                return
            spread = random.random()  # noqa: S311 - writers should not meet again, not a secret
            await asyncio.sleep(PAUSE_SECONDS * spread)
        raise Unavailable(f"the registry of workers changed during {WRITES_MAX} attempts to write")

    async def _read(self) -> tuple[_Leases, int]:
        """Return the leases that have not expired, and the revision of the registry."""
        stored = await self.memory.read(SUBJECT)
        if stored is None:
            return {}, 0
        now = self.now()
        leases = {
            services.worker_id: (services, until)
            for services, until in _decode(decode_value(stored, "services")["services"])
            if until >= now
        }
        return leases, stored.revision


def _encode(leases: Iterable[tuple[WorkerServices, datetime]]) -> bytes:
    """Encode leases. Workers of one deployment serve the same, which is written once."""
    groups: list[dict[str, Any]] = []
    for services, until in leases:
        content = services.to_dict()
        content.pop("worker")
        process = content.pop("process", None)
        group = next((group for group in groups if content.items() <= group.items()), None)
        if group is None:
            group = {**content, "workers": {}, "processes": {}}
            groups.append(group)
        group["workers"][services.worker_id] = until
        group["processes"][services.worker_id] = process
    return orjson.dumps({"arvo": FORMAT, "services": groups})


def _decode(groups: Iterable[dict[str, Any]]) -> Iterable[tuple[WorkerServices, datetime]]:
    for group in groups:
        for worker, until in group["workers"].items():
            content = {**group, "worker": worker, "process": group.get("processes", {}).get(worker)}
            yield WorkerServices.from_dict(content), datetime.fromisoformat(until)
