"""Table: which deliveries hold the slots of limits, and which are parked, in memory."""

from bisect import insort
from collections import Counter, deque
from collections.abc import Sequence
from typing import final

from attrs import define, field

from arvo.engine.limits import Slot


@final
@define(eq=False)
class Wakes:
    """The parked deliveries to deliver: *numbers* now, and those in *due* at a time in seconds."""

    numbers: list[int] = field(factory=list)
    due: dict[int, float] = field(factory=dict)


@final
@define(eq=False)
class SlotTable:
    """The slots of one store. A delivery is identified by a number: lower ones were accepted first.

    Times are in seconds. Every operation is atomic; a store in SQL does the same in a transaction.
    """

    # By delivery, the places that it gives back.
    _held: dict[int, tuple[Slot, ...]] = field(factory=dict, init=False)
    _counts: Counter[str] = field(factory=Counter, init=False)
    # By slot of a rate, the times at which its starts count no more.
    _starts: dict[str, deque[float]] = field(factory=dict, init=False)
    # By slot, the deliveries that wait for it, and the slot of each of them.
    _parked: dict[str, list[int]] = field(factory=dict, init=False)
    _parked_at: dict[int, Slot] = field(factory=dict, init=False)

    def acquire(
        self, requests: Sequence[tuple[int, tuple[Slot, ...]]], now: float
    ) -> tuple[list[bool], Wakes]:
        """Let deliveries take their slots, or park them at the first one that is full."""
        results = [self._acquire(number, slots, now) for number, slots in requests]
        wakes = Wakes()
        for slot, times in Counter(slot for _, slots in requests for slot in slots).items():
            # Not only after a release: one that was woken may have found another slot full, and a
            # limit may have been raised.
            self._wake(slot, times, now, wakes)
        return results, wakes

    def release(self, number: int, now: float) -> Wakes:
        """Free the slots of a delivery that is settled or returned, if it holds any."""
        wakes = Wakes()
        parked_at = self._unpark(number)
        slots = self._held.pop(number, ())
        for slot in slots:
            self._counts[slot.id] -= 1
            if not self._counts[slot.id]:
                del self._counts[slot.id]
        for slot in (*slots, *(() if parked_at is None else (parked_at,))):
            self._wake(slot, 1, now, wakes)
        return wakes

    def has(self, number: int) -> bool:
        """Return whether a delivery holds slots or is parked."""
        return number in self._held or number in self._parked_at

    def unpark(self, number: int) -> bool:
        """Let a parked delivery be delivered; False if it is not parked."""
        return self._unpark(number) is not None

    def clear(self) -> list[int]:
        """Free all slots but those of rates, and return the parked deliveries."""
        parked = sorted(self._parked_at)
        for number in parked:
            self._unpark(number)
        self._held.clear()
        self._counts.clear()
        return parked

    @property
    def parked(self) -> int:
        """The number of parked deliveries."""
        return len(self._parked_at)

    def _acquire(self, number: int, slots: tuple[Slot, ...], now: float) -> bool:
        if number in self._held:
            return True
        self._unpark(number)
        for slot in slots:
            if self._free(slot, now) <= 0:
                self._parked_at[number] = slot
                insort(self._parked.setdefault(slot.id, []), number)
                return False
        self._held[number] = tuple(slot for slot in slots if slot.seconds is None)
        for slot in slots:
            if slot.seconds is None:
                self._counts[slot.id] += 1
            else:
                self._starts.setdefault(slot.id, deque()).append(now + slot.seconds)
        return True

    def _free(self, slot: Slot, now: float) -> int:
        if slot.seconds is None:
            return slot.number - self._counts[slot.id]
        starts = self._starts.get(slot.id, deque())
        while starts and starts[0] <= now:
            starts.popleft()
        if not starts:
            self._starts.pop(slot.id, None)
        return slot.number - len(starts)

    def _wake(self, slot: Slot, times: int, now: float, wakes: Wakes) -> None:
        """Wake as many deliveries as have room, *times* at most, the first accepted ones first."""
        free = self._free(slot, now)
        for number in self._parked.get(slot.id, [])[: max(0, min(times, free))]:
            self._unpark(number)
            wakes.numbers.append(number)
        waiting = self._parked.get(slot.id)
        if waiting and free <= 0 and slot.seconds is not None:
            # It passes this on when it acquires the slot.
            wakes.due[waiting[0]] = self._starts[slot.id][-slot.number]

    def _unpark(self, number: int) -> Slot | None:
        slot = self._parked_at.pop(number, None)
        if slot is not None:
            waiting = self._parked[slot.id]
            waiting.remove(number)
            if not waiting:
                del self._parked[slot.id]
        return slot
