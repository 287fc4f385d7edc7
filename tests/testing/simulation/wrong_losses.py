"""Wrong losses: parts that lose an event, a death or a cancellation, or let in forged events."""

# mypy: disable-error-code="misc"
# Worker and Pair are final; only these tests subclass them.

from collections.abc import Sequence
from typing import Any

from attrs import evolve

from arvo import Commit, Event, Record, System
from arvo.interpreters.paired.backend import Pair
from arvo.interpreters.paired.outbox import Outbox
from arvo.interpreters.ports.broker import EncodedMessage
from arvo.interpreters.ports.messages import DeadLetter, Delivery, Message, key_of
from arvo.interpreters.ports.results import CommitResult, Duplicate, IdReused
from arvo.interpreters.worker.outbound import Process
from arvo.interpreters.worker.worker import Worker
from arvo.testing import SimulatedBroker, Store
from arvo.testing.simulation.cluster.entry import Entry


def let_in(system: System, event: Event[Any], record: Record | None) -> None:
    """Check no event from outside."""
    del system, event, record


class CountsNoDeaths(Store):
    """Redelivers the events of a dead worker as if they had never been delivered."""

    def count_return(self, entry: Entry) -> None:
        pass


class ForgetsReturns(SimulatedBroker):
    """Redelivers the events of a dead process as if they had never been delivered."""

    def count_return(self, entry: Entry) -> None:
        pass


class MarksNoStart(Pair):
    """Lets a worker start an event that ended others, and does not write that down."""

    async def mark_started(self, delivery: Delivery) -> bool:
        del delivery
        return True


class StartsSuspects(Worker):
    """Processes an event that ended workers like any other, and marks no start."""

    async def _process(self, delivery: Delivery, process: Process) -> None:
        await process(delivery)


class WaitsForListeners(Worker):
    """Has no timeout for listeners."""

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        by_domain = self.listeners._by_domain
        for domain, listener in by_domain.items():
            by_domain[domain] = evolve(listener, timeout=None)  # type: ignore[arg-type]


class DropsTooLarge(SimulatedBroker):
    """Accepts a message that no reader accepts, and drops it, as NATS and Redis did."""

    def refuse(self, entry: Entry) -> None:
        del self.queue[entry.number]


class _OutboxWithoutRefused(Outbox):
    async def _send_one_by_one(self, messages: Sequence[EncodedMessage]) -> None:
        del messages


class SkipsTooLarge(Pair):
    """Drops the messages of a turn of which one is too large for the broker."""

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        self._outbox = _OutboxWithoutRefused(
            self.memory, self._wire, self._dead_letters, self._outbox.index
        )


class ComparesIdsOnly(Store):
    """Takes another event with the id of one that was consumed for a duplicate."""

    def commit(
        self,
        worker: str,
        delivery: Delivery,
        commit: Commit,
        messages: Sequence[Message],
        dead_letters: Sequence[DeadLetter],
    ) -> CommitResult:
        result = super().commit(worker, delivery, commit, messages, dead_letters)
        if isinstance(result, IdReused):
            self.remove(worker, delivery)
            return Duplicate()
        return result


class _OutboxThatComparesIdsOnly(Outbox):
    async def was_consumed(self, message: Message) -> bool:
        refused = await self.find_refusal(message, 0)
        return isinstance(refused, Duplicate | IdReused)


class DropsReusedIds(Pair):
    """Stores no dead letter of another event with the id of one that was consumed."""

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        self._outbox = _OutboxThatComparesIdsOnly(
            self.memory, self._wire, self._dead_letters, self._outbox.index
        )


class LosesLateCancellations(Store):
    """Loses a cancellation that comes while an event of its workflow is in progress."""

    def enqueue(self, message: Message) -> None:
        key = key_of(message.to)
        is_busy = any(each.holder and each.key == key for each in self.queue.values())
        if not (is_busy and message.event.type.endswith(".cancel")):
            super().enqueue(message)


class CancellationsOvertake(Store):
    """Delivers a cancellation beside the event of its workflow that is in progress."""

    def enqueue(self, message: Message) -> None:
        if message.event.type.endswith(".cancel"):
            self.add(message, message.event.to or "", None)
        else:
            super().enqueue(message)
