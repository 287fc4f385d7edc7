"""Registrations: what the workers of one process have registered, and its form in a store."""

from collections.abc import Iterable
from typing import final

import orjson
from attrs import define, field

from arvo.interpreters.ports.services import WorkerServices


@final
@define(eq=False)
class Registrations:
    """What the workers of this process serve; a backend writes it into its store."""

    _by_worker: dict[str, WorkerServices] = field(factory=dict, init=False)

    def add(self, services: WorkerServices) -> None:
        """Add what a worker serves, or replace it."""
        self._by_worker[services.worker_id] = services

    def remove(self, worker_id: str) -> None:
        """Remove what a worker serves, if anything."""
        self._by_worker.pop(worker_id, None)

    @property
    def all(self) -> tuple[WorkerServices, ...]:
        """What each worker of this process serves."""
        return tuple(self._by_worker.values())

    def encode(self) -> str:
        """Return all of it as JSON."""
        return encode_services(self.all)


def encode_services(services: Iterable[WorkerServices]) -> str:
    """Return what some workers serve as JSON."""
    return orjson.dumps([each.to_dict() for each in services]).decode()


def decode_services(text: str) -> tuple[WorkerServices, ...]:
    """Decode the JSON that `encode_services` made.

    >>> services = WorkerServices("w1", {"com.shop.charge": ("1.0.0",)})
    >>> decode_services(encode_services([services])) == (services,)
    True
    """
    return tuple(WorkerServices.from_dict(each) for each in orjson.loads(text))
