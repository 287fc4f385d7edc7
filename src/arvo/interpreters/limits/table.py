"""Table: which deliveries hold the slots of limits, and which are parked, in memory."""

from bisect import insort
from collections import Counter, deque
from collections.abc import Sequence
from typing import TypeVar, final

from attrs import define, field, frozen

from arvo.engine.limits import Slot
from arvo.interpreters.limits.rank import rank_of

K = TypeVar("K")
V = TypeVar("V")


@final
@define(eq=False)
class Wakes:
    """The parked deliveries to deliver: *numbers* now, and those in *due* at a time in seconds."""

    numbers: list[int] = field(factory=list)
    due: dict[int, float] = field(factory=dict)


@final
@frozen(order=True)
class Place:
    """Where a parked delivery waits: the lowest *rank* is woken first, and then lowest *number*."""

    rank: int
    number: int
    slot: Slot = field(order=False)


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
    # By slot, the deliveries that wait for it in order, and the place of each of them.
    _parked: dict[str, list[Place]] = field(factory=dict, init=False)
    _parked_at: dict[int, Place] = field(factory=dict, init=False)
    # The deliveries that were woken for a slot and have not acquired yet, and how many of each.
    _woken: dict[int, Place] = field(factory=dict, init=False)
    _woken_counts: Counter[str] = field(factory=Counter, init=False)
    # By slot and group, the ranks of those that are parked; the last one is the highest.
    _ranks: dict[tuple[str, str], list[int]] = field(factory=dict, init=False)

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
        place = self._unpark(number) or self._take_woken(number)
        slots = self._held.pop(number, ())
        for slot in slots:
            self._counts[slot.id] -= 1
            if not self._counts[slot.id]:
                del self._counts[slot.id]
        for slot in (*slots, *(() if place is None else (place.slot,))):
            self._wake(slot, 1, now, wakes)
        return wakes

    def has(self, number: int) -> bool:
        """Return whether a delivery holds slots, is parked or was woken."""
        return number in self._held or number in self._parked_at or number in self._woken

    def unpark(self, number: int) -> bool:
        """Let a parked delivery be delivered; False if it is not parked."""
        place = self._unpark(number)
        if place is not None:
            self._set_woken(place)
        return place is not None

    def clear(self) -> list[int]:
        """Free all slots but those of rates, and return the parked deliveries."""
        parked = sorted(self._parked_at)
        for number in parked:
            self._unpark(number)
        self._held.clear()
        self._counts.clear()
        self._woken.clear()
        self._woken_counts.clear()
        return parked

    @property
    def parked(self) -> int:
        """The number of parked deliveries."""
        return len(self._parked_at)

    def _acquire(self, number: int, slots: tuple[Slot, ...], now: float) -> bool:
        if number in self._held:
            return True
        # A parked one that comes was due.
        woken = self._take_woken(number) or self._unpark(number)
        for slot in slots:
            if not self._has_room(slot, woken, now):
                self._park(number, slot, woken)
                return False
        self._held[number] = tuple(slot for slot in slots if slot.seconds is None)
        for slot in slots:
            if slot.seconds is None:
                self._counts[slot.id] += 1
            else:
                self._starts.setdefault(slot.id, deque()).append(now + slot.seconds)
        return True

    def _has_room(self, slot: Slot, woken: Place | None, now: float) -> bool:
        """Return whether a delivery finds room; none that comes passes those that wait in groups,
        but one that was *woken* for the slot.
        """
        free = self._free(slot, now)
        if slot.group is None or (woken is not None and woken.slot == slot):
            return free > 0
        return free > self._woken_counts[slot.id] and slot.id not in self._parked

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
        """Wake as many deliveries as have room, *times* at most, the first ones first."""
        free = self._free(slot, now)
        if slot.group is not None:
            free -= self._woken_counts[slot.id]
        for place in self._parked.get(slot.id, [])[: max(0, min(times, free))]:
            self.unpark(place.number)
            wakes.numbers.append(place.number)
        waiting = self._parked.get(slot.id)
        if waiting and free <= 0 and slot.seconds is not None:
            # It passes this on when it acquires the slot.
            starts = self._starts.get(slot.id, deque())
            if len(starts) >= slot.number:
                wakes.due[waiting[0].number] = starts[-slot.number]

    def _park(self, number: int, slot: Slot, woken: Place | None) -> None:
        waiting = self._parked.setdefault(slot.id, [])
        if woken is not None and woken.slot == slot:
            rank = woken.rank
        else:
            first = waiting[0].rank if waiting else None
            ranks = self._ranks.get((slot.id, slot.group or ""))
            rank = rank_of(slot, first, ranks[-1] if ranks else None)
        place = self._parked_at[number] = Place(rank, number, slot)
        insort(waiting, place)
        if slot.group is not None:
            insort(self._ranks.setdefault((slot.id, slot.group), []), rank)

    def _unpark(self, number: int) -> Place | None:
        place = self._parked_at.pop(number, None)
        if place is not None:
            _remove(self._parked, place.slot.id, place)
            if place.slot.group is not None:
                _remove(self._ranks, (place.slot.id, place.slot.group), place.rank)
        return place

    def _set_woken(self, place: Place) -> None:
        self._woken[place.number] = place
        self._woken_counts[place.slot.id] += 1

    def _take_woken(self, number: int) -> Place | None:
        place = self._woken.pop(number, None)
        if place is not None:
            self._woken_counts[place.slot.id] -= 1
            if not self._woken_counts[place.slot.id]:
                del self._woken_counts[place.slot.id]
        return place


def _remove(waiting: dict[K, list[V]], key: K, value: V) -> None:
    waiting[key].remove(value)
    if not waiting[key]:
        del waiting[key]
