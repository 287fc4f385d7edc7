"""Port: the protocol of a backend that holds the limits of handlers across processes."""

from collections.abc import Collection, Sequence
from typing import Protocol, final, runtime_checkable

from attrs import frozen

from arvo.engine.limits import Slot
from arvo.interpreters.ports.messages import Delivery


@final
@frozen
class SlotRequest:
    """A delivery that a worker is about to process, and the slots that it takes."""

    delivery: Delivery
    slots: tuple[Slot, ...]

    @property
    def places(self) -> tuple[str, ...]:
        """The ids of the slots that the delivery gives back when it is settled."""
        return tuple(slot.id for slot in self.slots if slot.seconds is None)


@runtime_checkable
class HoldsLimits(Protocol):
    """A backend that counts which deliveries hold a slot, for all processes together.

    A delivery holds its slots from `acquire` until it is settled by any operation, is returned by
    `nack`, `defer` or `release`, or its worker has died: the same transaction frees them. A start
    within the seconds of a rate counts until these have passed, whatever became of the delivery.

    **Parked.** A delivery that finds a slot full is parked: no process owns it, and it keeps its
    attempt and its place in the order of its key. It is delivered again when a place of that slot
    is free; of several the first that was accepted. No parked delivery waits while all of its slots
    have room, except for the moment in which it is delivered.

    **Groups.** Where a slot names a group, the deliveries of each group come in the order in which
    they were parked, and before the n-th of them at most n * 2 ** d + 1 of each other group, where
    d is by how much the priority of that group is higher. One that comes passes none that waits:
    the place belongs to the one that is delivered for it. `rank_of` has an order that does this.

    Without this protocol a runtime refuses to start with a handler that has limits.
    """

    def limit(self, queues: Collection[str]) -> None:
        """Own no more messages of *queues* than this process has room for.

        A message that waits in one process cannot take the slot that is free in another.
        """
        ...

    async def acquire(self, requests: Sequence[SlotRequest]) -> Sequence[bool]:
        """Let deliveries take their slots, in this order; each takes all of its slots, or none.

        Returns for each whether it holds all of its slots. False: it was parked, or belongs to
        another worker by now; the caller forgets it. To acquire for a delivery that holds its slots
        changes nothing. Raises `Unavailable` and `Corrupt` as `commit` does; after `Unavailable`
        the deliveries stay with the worker.
        """
        ...
