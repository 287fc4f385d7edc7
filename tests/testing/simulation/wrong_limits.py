"""Stores and workers that each hold limits wrongly in one way."""

# mypy: disable-error-code="misc"
# Worker is final; only these tests subclass it.

from collections.abc import Sequence

from attrs import evolve

from arvo.interpreters.limits.port import SlotRequest
from arvo.interpreters.limits.table import Wakes
from arvo.interpreters.ports.messages import Delivery
from arvo.interpreters.worker.outbound import Process
from arvo.interpreters.worker.worker import Worker
from arvo.testing import Store


class NeverWakes(Store):
    """Forgets what it has parked."""

    def wake(self, wakes: Wakes) -> None:
        pass


class ParksNone(Store):
    """Lets every delivery have its slots."""

    def acquire(self, worker: str, requests: Sequence[SlotRequest]) -> list[bool]:
        return [self.holds(worker, request.delivery) for request in requests]


class IgnoresKeys(Store):
    """Counts the slots of one limit only."""

    def acquire(self, worker: str, requests: Sequence[SlotRequest]) -> list[bool]:
        cut = [evolve(request, slots=request.slots[:1]) for request in requests]
        return super().acquire(worker, cut)


class FreesAtOnce(Store):
    """Frees the slots of a delivery before it is settled."""

    def acquire(self, worker: str, requests: Sequence[SlotRequest]) -> list[bool]:
        results = super().acquire(worker, requests)
        for request, is_held in zip(requests, results, strict=True):
            if is_held:
                self.free(self.entry(request.delivery).number)
        return results


class KeepsSlots(Store):
    """Does not free the slots of what is settled or returned, or whose worker died."""

    def free(self, number: int) -> None:
        pass


class IgnoresShares(Store):
    """Wakes the deliveries in the order in which they came."""

    def acquire(self, worker: str, requests: Sequence[SlotRequest]) -> list[bool]:
        return super().acquire(
            worker,
            [
                evolve(it, slots=tuple(evolve(slot, group=None) for slot in it.slots))
                for it in requests
            ],
        )


class ProcessesUnlimited(Worker):
    """Takes no slots for what it processes by itself."""

    async def _process_within_limits(self, delivery: Delivery, process: Process) -> None:
        await self._process(delivery, process)
