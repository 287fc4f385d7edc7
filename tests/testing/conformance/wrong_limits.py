"""Backends that hold the limits of handlers, each of them wrong in one way."""

# mypy: disable-error-code="misc"
# MemoryLimits and SlotTable are final; only these tests subclass them.

from bisect import insort
from collections.abc import Callable, Sequence
from typing import Any

from attrs import evolve

from arvo.engine.limits import Slot
from arvo.interpreters.limits.port import SlotRequest
from arvo.interpreters.limits.rank import STEP_MAX
from arvo.interpreters.limits.table import Place, SlotTable, Wakes
from arvo.interpreters.memory.limits import MemoryLimits
from arvo.interpreters.ports.messages import Delivery, key_of
from tests.testing.conformance.wrong import Correct


class ParksNone(Correct):
    async def acquire(self, requests: Sequence[SlotRequest]) -> list[bool]:
        return [True for _ in requests]


class HoldsTwice(Correct):
    async def acquire(self, requests: Sequence[SlotRequest]) -> list[bool]:
        results = await self.inner.acquire(requests)
        for request, is_held in zip(requests, results, strict=True):
            if is_held:
                self.inner._limits._table._counts.update(slot.id for slot in request.slots)
        return results


class _SilentLimits(MemoryLimits):
    def _apply(self, wakes: Wakes) -> None:
        pass


class NeverWakes(Correct):
    def __init__(self, queue_max: int) -> None:
        super().__init__(queue_max)
        self.inner._limits = _SilentLimits(self.inner._queues)


class KeepsSlotsOf(Correct):
    """Frees no slots where one operation settles or returns a delivery."""

    operation: str

    def __getattr__(self, name: str) -> Any:
        attribute: Callable[..., Any] = getattr(self.inner, name)
        if name != self.operation:
            return attribute

        async def keep(*arguments: Any) -> Any:
            limits = self.inner._limits
            table, limits._table = limits._table, type(limits._table)()
            try:
                return await attribute(*arguments)
            finally:
                limits._table = table

        return keep


class KeepsSlotsOfCommits(KeepsSlotsOf):
    operation = "commit"


class KeepsSlotsOfChains(KeepsSlotsOf):
    operation = "commit_chains"


class KeepsSlotsOfDeadLetters(KeepsSlotsOf):
    operation = "dead_letter"


class KeepsSlotsOfNacks(KeepsSlotsOf):
    operation = "nack"


class WakesTheLastFirst(Correct):
    async def acquire(self, requests: Sequence[SlotRequest]) -> list[bool]:
        results = await self.inner.acquire(requests)
        for waiting in self.inner._limits._table._parked.values():
            waiting.reverse()
        return results


class _ReleasingLimits(MemoryLimits):
    is_acquiring = False

    def acquire(self, requests: Sequence[SlotRequest]) -> list[bool]:
        self.is_acquiring = True
        try:
            return super().acquire(requests)
        finally:
            self.is_acquiring = False

    def _apply(self, wakes: Wakes) -> None:
        super()._apply(Wakes(due=wakes.due) if self.is_acquiring else wakes)


class WakesOnlyOnRelease(Correct):
    def __init__(self, queue_max: int) -> None:
        super().__init__(queue_max)
        self.inner._limits = _ReleasingLimits(self.inner._queues)


class ParkedFreesItsKey(Correct):
    async def acquire(self, requests: Sequence[SlotRequest]) -> list[bool]:
        results = await self.inner.acquire(requests)
        for request, is_held in zip(requests, results, strict=True):
            key = key_of(request.delivery.message.to)
            if not is_held and key is not None:
                self._free(request.delivery, key)
        return results

    def _free(self, delivery: Delivery, key: str) -> None:
        for waiting in self.inner._queues._blocked.pop(key):
            if waiting is not delivery:
                self.inner._queues.put(waiting)


class ForgetsStarts(Correct):
    async def ack(self, delivery: Delivery) -> None:
        await self.inner.ack(delivery)
        self.inner._limits._table._starts.clear()


class NeverStartsAgain(Correct):
    async def acquire(self, requests: Sequence[SlotRequest]) -> list[bool]:
        slots = [
            tuple(evolve(slot, seconds=slot.seconds and 3_600.0) for slot in request.slots)
            for request in requests
        ]
        return await self.inner.acquire(
            [SlotRequest(it.delivery, each) for it, each in zip(requests, slots, strict=True)]
        )


class _Regroups(Correct):
    """Lets deliveries wait in other groups than it was asked for."""

    def regroup(self, slot: Slot) -> Slot:
        raise NotImplementedError

    async def acquire(self, requests: Sequence[SlotRequest]) -> list[bool]:
        return await self.inner.acquire(
            [
                SlotRequest(request.delivery, tuple(map(self.regroup, request.slots)))
                for request in requests
            ]
        )


class IgnoresGroups(_Regroups):
    def regroup(self, slot: Slot) -> Slot:
        return evolve(slot, group=None)


class IgnoresPriorities(_Regroups):
    def regroup(self, slot: Slot) -> Slot:
        return evolve(slot, priority=0)


class IgnoresFairnessKeys(_Regroups):
    def regroup(self, slot: Slot) -> Slot:
        return evolve(slot, group=slot.group and str(slot.priority))


class _RankingTable(SlotTable):
    def rank(self, slot: Slot, last: int | None) -> int:
        raise NotImplementedError

    def _park(self, number: int, slot: Slot, woken: Place | None) -> None:
        super()._park(number, slot, woken)
        place = self._unpark(number)
        assert place is not None
        ranks = self._ranks.get((slot.id, slot.group or ""))
        place = Place(self.rank(slot, ranks[-1] if ranks else None), number, slot)
        self._parked_at[number] = place
        insort(self._parked.setdefault(slot.id, []), place)
        if slot.group is not None:
            insort(self._ranks.setdefault((slot.id, slot.group), []), place.rank)


class _StarvingTable(_RankingTable):
    def rank(self, slot: Slot, last: int | None) -> int:  # noqa: ARG002
        return -slot.priority


class _ClaimingTable(_RankingTable):
    def rank(self, slot: Slot, last: int | None) -> int:
        return (last or 0) + (STEP_MAX >> slot.priority) if slot.group else 0


class StarvesLowPriorities(Correct):
    def __init__(self, queue_max: int) -> None:
        super().__init__(queue_max)
        self.inner._limits._table = _StarvingTable()


class HonoursThePast(Correct):
    def __init__(self, queue_max: int) -> None:
        super().__init__(queue_max)
        self.inner._limits._table = _ClaimingTable()


class _OpenTable(SlotTable):
    def _has_room(self, slot: Slot, woken: Place | None, now: float) -> bool:  # noqa: ARG002
        return self._free(slot, now) > 0


class LetsNewcomersPass(Correct):
    def __init__(self, queue_max: int) -> None:
        super().__init__(queue_max)
        self.inner._limits._table = _OpenTable()
