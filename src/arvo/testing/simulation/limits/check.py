"""Check: the slots that the workers of a simulation hold, counted apart from the store."""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import final

from attrs import define, field

from arvo.engine.limits import Slot, slots_of
from arvo.engine.system.system import System
from arvo.interpreters.limits.port import SlotRequest
from arvo.interpreters.ports.messages import Delivery, Message
from arvo.testing.simulation.limits.shares import ShareCheck


@final
@define(eq=False)
class LimitCheck:
    """Finds slots that too many deliveries hold, and turns without their slots."""

    # By the token of a delivery: its worker, and the slots that it holds there.
    _held: dict[object, tuple[str, tuple[Slot, ...]]] = field(factory=dict, init=False)
    _shares: ShareCheck = field(factory=ShareCheck, init=False)
    # By slot of a rate: the times at which its starts count no more.
    _starts: dict[str, list[datetime]] = field(factory=dict, init=False)

    def acquire(
        self, worker: str, requests: Sequence[SlotRequest], results: Sequence[bool], now: datetime
    ) -> str | None:
        """Record the answer of a store; return the problem, None if there is none."""
        for request, is_held in zip(requests, results, strict=True):
            if is_held and request.delivery.token not in self._held:
                self._held[request.delivery.token] = worker, request.slots
                for slot in request.slots:
                    if slot.seconds is not None:
                        until = now + timedelta(seconds=slot.seconds)
                        self._starts.setdefault(slot.id, []).append(until)
        passed = self._shares.acquire(requests, results)
        return next(self._exceeded(requests, now), passed)

    def end(self, delivery: Delivery) -> None:
        """Record that a delivery is settled, or returned."""
        self._held.pop(delivery.token, None)
        self._shares.end(delivery)

    def end_all(self, worker: str) -> None:
        """Record that a worker has lost its deliveries."""
        for token in [token for token, (holder, _) in self._held.items() if holder == worker]:
            del self._held[token]

    def find_unlimited(self, system: System, message: Message, token: object) -> str | None:
        """Return the problem of a turn that was committed without its slots, or None.

        *system*: that of its worker, which may be of a version with other limits. *token*: that of
        its delivery, None if its event was never delivered.
        """
        if token in self._held:
            return None
        slots = slots_of(system, message.event)
        if not isinstance(slots, tuple) or not slots:
            return None
        return f"the turn of {message.event.type} was committed without its slots"

    def _exceeded(self, requests: Sequence[SlotRequest], now: datetime) -> Iterator[str]:
        held = Counter(slot for _, slots in self._held.values() for slot in slots)
        for slot in dict.fromkeys(slot for request in requests for slot in request.slots):
            if slot.seconds is None:
                number = held[slot]
                text = "deliveries hold slots"
            else:
                starts = [until for until in self._starts.get(slot.id, []) if until > now]
                self._starts[slot.id] = starts
                number = len(starts)
                text = f"deliveries begin within {slot.seconds} s"
            if number > slot.number:
                yield f"{number} {text}, of {slot.number}"
