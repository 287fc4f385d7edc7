"""Decide: which deliveries get their slots, by how many hold each of them in a store."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import final

from attrs import frozen

from arvo.engine.limits import Slot


@final
@frozen
class Decided:
    """The result of the requests of one transaction.

    *full*: for each request, the slot at which its delivery is parked; None where it holds all of
    its slots. *free*: how many places of each slot are free then. *times*: how many requests named
    each slot; so many parked deliveries may be woken at most.
    """

    full: tuple[Slot | None, ...]
    free: dict[Slot, int]
    times: dict[Slot, int]


def decide(requests: Sequence[tuple[Slot, ...]], count: Callable[[Slot], int]) -> Decided:
    """Let requests take their slots, in this order; *count* returns how many hold a slot.

    >>> slot = Slot("a", 1)
    >>> [None if it is None else it.id for it in decide([(slot,), (slot,)], lambda _: 0).full]
    [None, 'a']
    """
    times = Counter(slot for slots in requests for slot in slots)
    free = {slot: slot.number - count(slot) for slot in times}
    full: list[Slot | None] = []
    for slots in requests:
        full.append(next((slot for slot in slots if free[slot] <= 0), None))
        if full[-1] is None:
            for slot in slots:
                free[slot] -= 1
    return Decided(tuple(full), free, dict(times))
