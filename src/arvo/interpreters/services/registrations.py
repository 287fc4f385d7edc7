"""Registrations: the services of the workers of one process, and their form in a store."""

from collections.abc import Iterable
from typing import final

import orjson
from attrs import define, field

from arvo.interpreters.ports.services import WorkerServices


@final
@define(eq=False)
class Registrations:
    """The services of the workers of this process; a backend writes it into its store."""

    _by_worker: dict[str, WorkerServices] = field(factory=dict, init=False)

    def add(self, services: WorkerServices) -> None:
        """Add the services of a worker, or replace them."""
        self._by_worker[services.worker_id] = services

    def remove(self, worker_id: str) -> None:
        """Remove the services of a worker, if it has any."""
        self._by_worker.pop(worker_id, None)

    @property
    def all(self) -> tuple[WorkerServices, ...]:
        """The services of each worker of this process."""
        return tuple(self._by_worker.values())

    def encode(self) -> str:
        """Return all of it as JSON."""
        return encode_services(self.all)


def encode_services(services: Iterable[WorkerServices]) -> str:
    """Return the services of some workers as JSON."""
    return orjson.dumps([each.to_dict() for each in services]).decode()


def decode_services(text: str) -> tuple[WorkerServices, ...]:
    """Decode the JSON that `encode_services` made.

    >>> services = WorkerServices("w1", {"com.shop.charge": ("1.0.0",)})
    >>> decode_services(encode_services([services])) == (services,)
    True
    """
    return tuple(WorkerServices.from_dict(each) for each in orjson.loads(text))
