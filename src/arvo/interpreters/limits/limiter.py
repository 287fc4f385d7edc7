"""Limiter: takes the slots of deliveries before a worker processes them."""

from collections.abc import Sequence
from typing import cast, final

from attrs import define, field

from arvo.core.violations.issue import Issue
from arvo.core.violations.violation import ConfigViolation, ExecutionViolation, Violated
from arvo.engine.limits import Slot, limited_addresses, slots_of
from arvo.engine.system.system import System
from arvo.interpreters.limits.port import HoldsLimits, SlotRequest
from arvo.interpreters.ports.backend import Backend
from arvo.interpreters.ports.messages import Delivery, queue_of


@final
@define(eq=False)
class Limiter:
    """Acquires slots for the deliveries of the handlers at *addresses*, those with limits.

    Raises `Violated` for a backend that holds no limits, if there is one.
    """

    system: System
    backend: Backend
    addresses: frozenset[str] = field(init=False)
    _holding: HoldsLimits = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.addresses = limited_addresses(self.system)
        if not self.addresses:
            return
        if not isinstance(self.backend, HoldsLimits):
            raise _refuse(self.addresses, self.backend)
        self._holding = cast("HoldsLimits", self.backend)
        self._holding.limit(self.addresses)

    def has_limits(self, delivery: Delivery) -> bool:
        """Return whether the handler of a delivery has limits."""
        return queue_of(delivery.message.to) in self.addresses

    async def acquire(self, deliveries: Sequence[Delivery]) -> list[bool | ExecutionViolation]:
        """Take the slots of *deliveries*. Returns for each whether it may be processed; False: it
        was parked, or belongs to another worker. A violation: its slots are unknown.
        """
        slots = [self._slots(delivery) for delivery in deliveries]
        requests = [
            SlotRequest(delivery, taken)
            for delivery, taken in zip(deliveries, slots, strict=True)
            if isinstance(taken, tuple) and taken
        ]
        held = iter(await self._holding.acquire(requests) if requests else ())
        return [
            taken if isinstance(taken, ExecutionViolation) else not taken or next(held)
            for taken in slots
        ]

    def _slots(self, delivery: Delivery) -> tuple[Slot, ...] | ExecutionViolation:
        return slots_of(self.system, delivery.message.event) if self.has_limits(delivery) else ()


def _refuse(addresses: frozenset[str], backend: Backend) -> Violated:
    expected = "memory, SQLite or Postgres, or handlers without limits"
    issue = Issue("backend", expected, type(backend).__name__)
    names = ", ".join(sorted(addresses))
    return Violated(ConfigViolation(f"this backend cannot hold the limits of {names}", issue))
