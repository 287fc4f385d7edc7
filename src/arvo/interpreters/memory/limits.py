"""Limits: the slots of a memory backend, and the deliveries that wait for one."""

import asyncio
from collections.abc import Sequence
from typing import final

from attrs import define, field

from arvo.interpreters.delivery.queues import InProcessQueues
from arvo.interpreters.limits.port import SlotRequest
from arvo.interpreters.limits.table import SlotTable, Wakes
from arvo.interpreters.ports.messages import Delivery


@final
@define(eq=False)
class MemoryLimits:
    """Parks the deliveries of *queues* that find a slot full, by the time of the event loop."""

    queues: InProcessQueues
    _table: SlotTable = field(factory=SlotTable, init=False)
    _parked: dict[int, Delivery] = field(factory=dict, init=False)
    _due: dict[int, asyncio.TimerHandle] = field(factory=dict, init=False)

    @property
    def parked(self) -> int:
        """The number of parked deliveries."""
        return len(self._parked)

    def acquire(self, requests: Sequence[SlotRequest]) -> list[bool]:
        """Let deliveries take their slots, or park them."""
        numbered = [(_number(each.delivery), each.slots) for each in requests]
        results, wakes = self._table.acquire(numbered, _now())
        for request, is_held in zip(requests, results, strict=True):
            if not is_held:
                self.queues.park(request.delivery, request.delivery)
                self._parked[_number(request.delivery)] = request.delivery
        self._apply(wakes)
        return results

    def release(self, delivery: Delivery) -> None:
        """Free the slots of a delivery, if it holds any."""
        if isinstance(delivery.token, int) and self._table.has(delivery.token):
            self._apply(self._table.release(delivery.token, _now()))

    def stop(self) -> None:
        """Free all slots, and make the parked deliveries ready."""
        for handle in self._due.values():
            handle.cancel()
        self._due.clear()
        self._apply(Wakes(self._table.clear()))

    def _apply(self, wakes: Wakes) -> None:
        for number in wakes.numbers:
            self._wake(number)
        for number, due in wakes.due.items():
            if number not in self._due:
                loop = asyncio.get_running_loop()
                self._due[number] = loop.call_at(due, self._on_due, number)

    def _on_due(self, number: int) -> None:
        del self._due[number]
        if self._table.unpark(number):
            self._wake(number)

    def _wake(self, number: int) -> None:
        if (due := self._due.pop(number, None)) is not None:
            due.cancel()
        self.queues.put(self._parked.pop(number))


def _now() -> float:
    return asyncio.get_running_loop().time()


def _number(delivery: Delivery) -> int:
    assert isinstance(delivery.token, int)
    return delivery.token
