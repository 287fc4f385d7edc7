"""Shares: how many of each group start while a delivery waits for its place in a simulation."""

from collections import Counter
from collections.abc import Sequence
from typing import TypeAlias, final

from attrs import define, field

from arvo.engine.limits import Slot
from arvo.interpreters.limits.port import SlotRequest
from arvo.interpreters.ports.messages import Delivery, key_of

EventKey: TypeAlias = tuple[str, str]


@final
@define(eq=False)
class _Turn:
    """A delivery that waits as the one at *position* of its group, and what started meanwhile."""

    slot: Slot
    position: int
    started: Counter[str] = field(factory=Counter)


@final
@define(eq=False)
class ShareCheck:
    """Finds a delivery that waits for more of another group than its share allows.

    Of limits with one place, where none starts while a place is reserved for the one that was
    woken; and of events without a key, which wait for nothing else.
    """

    _waiting: dict[EventKey, _Turn] = field(factory=dict, init=False)

    def acquire(self, requests: Sequence[SlotRequest], results: Sequence[bool]) -> str | None:
        """Record the answer of a store; return the problem, None if there is none."""
        problem: str | None = None
        for request, is_held in zip(requests, results, strict=True):
            slot = _checked(request)
            if slot is None:
                continue
            key = _event_key(request.delivery)
            if is_held:
                self._waiting.pop(key, None)
                problem = self._start(slot) or problem
            elif key not in self._waiting:
                before = [it for it in self._waiting.values() if it.slot == slot]
                position = 1 + sum(it.slot.group == slot.group for it in before)
                self._waiting[key] = _Turn(slot, position)
        return problem

    def end(self, delivery: Delivery) -> None:
        """Record that a delivery is settled, or returned."""
        self._waiting.pop(_event_key(delivery), None)

    def _start(self, slot: Slot) -> str | None:
        """Count a start against all that wait for the same slot."""
        group = slot.group or ""
        for turn in self._waiting.values():
            if turn.slot != slot:
                continue
            turn.started[group] += 1
            # One that was woken before it came has its place.
            share = turn.position * 2.0 ** (slot.priority - turn.slot.priority) + 2
            if group != turn.slot.group and turn.started[group] > share:
                text = f"{turn.started[group]} of group {group!r} start"
                return f"{text} before one of {turn.slot.group!r}, whose share allows {share:.0f}"
        return None


def _checked(request: SlotRequest) -> Slot | None:
    """Return the slot of a request whose share can be checked."""
    if len(request.slots) != 1 or key_of(request.delivery.message.to) is not None:
        return None
    [slot] = request.slots
    is_checked = slot.group is not None and slot.number == 1 and slot.seconds is None
    return slot if is_checked else None


def _event_key(delivery: Delivery) -> EventKey:
    event = delivery.message.event
    return event.source, event.id
