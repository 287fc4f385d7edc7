"""Decide: which deliveries get their slots, by what a store holds of each of them."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final, final

from attrs import define, field, frozen

from arvo.engine.limits import Slot


@final
@frozen
class Request:
    """The slots that a delivery asks for; *woken_at*: the id of the one that it was woken for."""

    slots: tuple[Slot, ...]
    woken_at: str | None = None


@final
@frozen
class Waiting:
    """What waits for a slot: how many were *woken* and can be claimed, and whether others are
    parked.
    """

    woken: int
    is_parked: bool


NONE_WAITS: Final = Waiting(0, is_parked=False)


@final
@frozen
class Decided:
    """The result of the requests of one transaction.

    *full*: for each request, the slot at which its delivery is parked; None where it holds all of
    its slots. *free*: how many places of each slot are free then, and belong to no delivery that
    was woken. *times*: how many requests named each slot; so many parked deliveries may be woken at
    most.
    """

    full: tuple[Slot | None, ...]
    free: dict[Slot, int]
    times: dict[Slot, int]


def decide(
    requests: Sequence[Request],
    count: Callable[[Slot], int],
    find_waiting: Callable[[Slot], Waiting],
) -> Decided:
    """Let requests take their slots, in this order.

    *count* returns how many hold a slot. Where deliveries wait in groups, none that comes passes
    them: *find_waiting* returns what waits for a slot with a group.

    >>> requests = [Request((Slot("a", 1),)), Request((Slot("a", 1),))]
    >>> decided = decide(requests, lambda _: 0, lambda _: NONE_WAITS)
    >>> [None if it is None else it.id for it in decided.full]
    [None, 'a']
    """
    times = Counter(slot for request in requests for slot in request.slots)
    rooms = _Rooms({slot: slot.number - count(slot) for slot in times})
    for slot, free in rooms.free.items():
        if slot.group is not None and free > 0:
            waiting = find_waiting(slot)
            rooms.reserved[slot.id] = waiting.woken
            if waiting.is_parked:
                rooms.parked.add(slot.id)
    full = tuple(rooms.take(request) for request in requests)
    left = {slot: free - rooms.reserved[slot.id] for slot, free in rooms.free.items()}
    return Decided(full, left, dict(times))


@define
class _Rooms:
    """The free places of slots, and what they are reserved for."""

    free: dict[Slot, int]
    reserved: Counter[str] = field(factory=Counter)
    # Where deliveries wait in groups, and one that comes has to wait, too.
    parked: set[str] = field(factory=set)

    def take(self, request: Request) -> Slot | None:
        """Take the slots of a request; return the first one that is full, if there is one."""
        woken_at = request.woken_at
        if woken_at is not None and self.reserved[woken_at]:
            self.reserved[woken_at] -= 1
        full = next((slot for slot in request.slots if not self._has_room(slot, woken_at)), None)
        if full is None:
            for slot in request.slots:
                self.free[slot] -= 1
        elif full.group is not None:
            self.parked.add(full.id)
        return full

    def _has_room(self, slot: Slot, woken_at: str | None) -> bool:
        if slot.id == woken_at:
            return self.free[slot] > 0
        return self.free[slot] > self.reserved[slot.id] and slot.id not in self.parked
