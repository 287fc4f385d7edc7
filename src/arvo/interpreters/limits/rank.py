"""Rank: in which order deliveries of several priorities and fairness keys get places of a slot."""

from typing import Final

from arvo.engine.limits import Slot
from arvo.handlers.limit import PRIORITY_MAX

# Of the lowest priority; that of each higher one is half of it, 1 for the highest.
STEP_MAX: Final = 2**PRIORITY_MAX


def rank_of(slot: Slot, first: int | None, last: int | None) -> int:
    """Return the rank of a delivery that begins to wait for *slot*; the lowest one is woken first.

    *first*: the lowest rank that waits for the slot. *last*: the highest one of its group. None
    where none waits. It is the finish tag of self-clocked fair queueing (Golestani 1994), with the
    priorities as weights: so each group advances by its share, and one that begins to wait has no
    claim to the places of the past. Without a group 0: the first accepted is the first woken.

    >>> low, high = Slot("a", 1, None, "low", 0), Slot("a", 1, None, "high", 9)
    >>> rank_of(low, None, None), rank_of(low, 512, 512), rank_of(high, 512, None)
    (512, 1024, 513)
    """
    if slot.group is None:
        return 0
    return max(first or 0, last or 0) + (STEP_MAX >> slot.priority)
