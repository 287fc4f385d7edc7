"""Wrong: the memory backend, memory and broker, each with one promise broken."""

# ruff: noqa: ARG002 - ignoring an argument is the fault of some of these backends

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Any

from attrs import evolve

from arvo import Commit, Event, MemoryBackend, Record
from arvo.core.commit import PendingTimer
from arvo.interpreters.memory.broker import MemoryBroker
from arvo.interpreters.memory.inbox import MemoryInbox
from arvo.interpreters.memory.services import MemoryServices
from arvo.interpreters.memory.store import InMemoryMachineMemory
from arvo.interpreters.ports.audit import AuditEntry
from arvo.interpreters.ports.broker import EncodedDelivery, EncodedMessage
from arvo.interpreters.ports.chains import CommitChain
from arvo.interpreters.ports.machine_memory import Stored
from arvo.interpreters.ports.messages import DeadLetter, Delivery, Message
from arvo.interpreters.ports.results import (
    CheckpointResult,
    CommitResult,
    Committed,
    Conflict,
    DeadLetterGroup,
    Depth,
    DueTimer,
    Duplicate,
    IdReused,
    VersionUse,
)
from arvo.testing.conformance.kit.proxy import show_attributes


class Correct:
    """The memory backend; subclasses override one operation."""

    def __init__(self, queue_max: int) -> None:
        self.inner = MemoryBackend(queue_max=queue_max)
        show_attributes(self, self.inner)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


class LosesUpdates(Correct):
    async def commit(
        self, delivery: Delivery, commit: Commit, messages: Any, dead_letters: Any
    ) -> CommitResult:
        current = None if commit.record is None else await self.inner.load(commit.record.subject)
        forced = evolve(commit, expected=0 if current is None else current.revision)
        return await self.inner.commit(delivery, forced, messages, dead_letters)


class ForgetsOtherRuns(Correct):
    async def commit(
        self, delivery: Delivery, commit: Commit, messages: Any, dead_letters: Any
    ) -> CommitResult:
        self.inner._workflows._subjects.clear()
        return await self.inner.commit(delivery, commit, messages, dead_letters)

    async def commit_chains(self, chains: Sequence[CommitChain]) -> list[bool]:
        applied = []
        for chain in chains:
            self.inner._workflows._subjects.clear()
            applied += await self.inner.commit_chains([chain])
        return applied


class PublishesFirst(Correct):
    async def commit(
        self, delivery: Delivery, commit: Commit, messages: Any, dead_letters: Any
    ) -> CommitResult:
        for message in messages:
            await self.inner.send(message)
        return await self.inner.commit(delivery, commit, [], dead_letters)


class ComparesBeforeItSets(Correct):
    async def commit(
        self, delivery: Delivery, commit: Commit, messages: Any, dead_letters: Any
    ) -> CommitResult:
        if commit.record is not None:
            current = await self.inner.load(commit.record.subject)
            revision = 0 if current is None else current.revision
            if revision != commit.expected:
                return Conflict(revision)
            # A commit that is applied here is overwritten.
            await asyncio.sleep(0)
            current = await self.inner.load(commit.record.subject)
            commit = evolve(commit, expected=0 if current is None else current.revision)
        return await self.inner.commit(delivery, commit, messages, dead_letters)


class CountsReleases(Correct):
    async def release(self, delivery: Delivery, delay: float) -> None:
        await self.inner.nack(delivery, delay)


class ForgetsServices(Correct):
    @property
    def services(self) -> MemoryServices:
        return MemoryServices()


class ForgetsConsumedEvents(Correct):
    async def commit(
        self, delivery: Delivery, commit: Commit, messages: Any, dead_letters: Any
    ) -> CommitResult:
        self.inner._inbox = MemoryInbox()
        return await self.inner.commit(delivery, commit, messages, dead_letters)


class ComparesEventsByIdOnly(Correct):
    ids: set[str]

    async def commit(
        self, delivery: Delivery, commit: Commit, messages: Any, dead_letters: Any
    ) -> CommitResult:
        ids = self.__dict__.setdefault("ids", set())
        if commit.event.id in ids:
            await self.inner.ack(delivery)
            return Duplicate()
        ids.add(commit.event.id)
        return await self.inner.commit(delivery, commit, messages, dead_letters)


class DropsOtherEventsByKnownIds(Correct):
    async def commit(
        self, delivery: Delivery, commit: Commit, messages: Any, dead_letters: Any
    ) -> CommitResult:
        result = await self.inner.commit(delivery, commit, messages, dead_letters)
        if isinstance(result, IdReused):
            await self.inner.ack(delivery)
            return Duplicate()
        return result


class ComparesTraces(Correct):
    async def commit(
        self, delivery: Delivery, commit: Commit, messages: Any, dead_letters: Any
    ) -> CommitResult:
        result = await self.inner.commit(delivery, commit, messages, dead_letters)
        is_other = isinstance(result, Duplicate) and commit.event.traceparent is not None
        return IdReused() if is_other else result


class DropsCheckpoints(Correct):
    async def checkpoint(self, delivery: Delivery, progress: bytes) -> CheckpointResult:
        return Committed()


class CommitsPastCancellations(Correct):
    async def commit(
        self, delivery: Delivery, commit: Commit, messages: Any, dead_letters: Any
    ) -> CommitResult:
        if (pending := await self.inner.pending_cancellation(delivery)) is not None:
            delivery.progress.passed_over.add(pending.id)
        return await self.inner.commit(delivery, commit, messages, dead_letters)


class FindsNoCancellations(Correct):
    async def pending_cancellation(self, delivery: Delivery) -> None:
        return None


class ForgetsDeferredCancellations(Correct):
    async def defer(self, delivery: Delivery, delay: float) -> None:
        self.inner._cancellations.remove(delivery.message)
        await self.inner.defer(delivery, delay)


class CancelsByConsumedEvents(Correct):
    async def commit(
        self, delivery: Delivery, commit: Commit, messages: Any, dead_letters: Any
    ) -> CommitResult:
        self.inner._cancellations.inbox = MemoryInbox()
        return await self.inner.commit(delivery, commit, messages, dead_letters)


class DropsDeadLettersOfCommits(Correct):
    async def commit(
        self, delivery: Delivery, commit: Commit, messages: Any, dead_letters: Any
    ) -> CommitResult:
        return await self.inner.commit(delivery, commit, messages, [])


class ReportsConflictsAsCommitted(Correct):
    async def commit(
        self, delivery: Delivery, commit: Commit, messages: Any, dead_letters: Any
    ) -> CommitResult:
        result = await self.inner.commit(delivery, commit, messages, dead_letters)
        if isinstance(result, Conflict):
            await self.inner.ack(delivery)
            return Committed()
        return result


class NeverAcknowledges(Correct):
    async def ack(self, delivery: Delivery) -> None:
        pass


class ReplacesWithoutComparing(Correct):
    async def replace_record(self, record: Record, expected: int, **options: Any) -> CommitResult:
        current = await self.inner.load(record.subject)
        return await self.inner.replace_record(
            record, 0 if current is None else current.revision, **options
        )


class ReplacesWithoutRedelivering(Correct):
    async def replace_record(
        self,
        record: Record,
        expected: int,
        *,
        timers: Sequence[PendingTimer] = (),
        redeliver: Sequence[Event[Any]] = (),
    ) -> CommitResult:
        return await self.inner.replace_record(record, expected, timers=timers)


class AcceptsAnySize(Correct):
    async def send(self, message: Message) -> None:
        self.inner._add(message)


class IgnoresKeys(Correct):
    async def receive(self, queue: str) -> Delivery:
        self.inner._queues._blocked.clear()
        return await self.inner.receive(queue)


class LastInFirstOut(Correct):
    async def send(self, message: Message) -> None:
        self.inner._under_way += 1
        self.inner._queues.put(Delivery(message, 1), first=True)


class RedeliversAtOnce(Correct):
    async def nack(self, delivery: Delivery, delay: float) -> None:
        await self.inner.nack(delivery, 0.0)


class DoesNotCountAttempts(Correct):
    async def nack(self, delivery: Delivery, delay: float) -> None:
        # In place, because the backend identifies a delivery by its identity.
        object.__setattr__(delivery, "attempt", delivery.attempt - 1)
        await self.inner.nack(delivery, delay)


class ReleasesKeysOnNack(Correct):
    async def nack(self, delivery: Delivery, delay: float) -> None:
        await self.inner.defer(delivery, delay)


class HoldsKeysOfDeferredEvents(Correct):
    async def defer(self, delivery: Delivery, delay: float) -> None:
        await self.inner.nack(delivery, delay)


class HoldsKeysOfDeadLetters(Correct):
    async def dead_letter(self, delivery: Delivery | None, dead_letter: DeadLetter) -> Committed:
        await self.inner.dead_letter(None, dead_letter)
        if delivery is not None:
            await self.inner.nack(delivery, 600.0)
        return Committed()


class RedeliversLast(Correct):
    async def nack(self, delivery: Delivery, delay: float) -> None:
        await self.inner.ack(delivery)
        self.inner._under_way += 1
        self.inner._queues.put_delayed(delivery.retried, delay)


class LosesCancelledDeliveries(Correct):
    async def receive(self, queue: str) -> Delivery:
        # The task continues after its caller was cancelled.
        return await asyncio.shield(asyncio.ensure_future(self.inner.receive(queue)))


class AcceptsWithoutLimit(Correct):
    def __init__(self, queue_max: int) -> None:
        super().__init__(queue_max * 1_000)


class IdlesTooEarly(Correct):
    async def wait_until_idle(self) -> None:
        pass


class ReportsNoDepth(Correct):
    async def depth(self) -> Depth:
        return Depth()


class FiresEarly(Correct):
    async def commit(
        self, delivery: Delivery, commit: Commit, messages: Any, dead_letters: Any
    ) -> CommitResult:
        early = tuple(evolve(timer, due=self.inner.now()) for timer in commit.timers)
        return await self.inner.commit(
            delivery, evolve(commit, timers=early), messages, dead_letters
        )


class FiresTwice(Correct):
    async def commit(
        self, delivery: Delivery, commit: Commit, messages: Any, dead_letters: Any
    ) -> CommitResult:
        twins = (
            evolve(timer, event=evolve(timer.event, source="twin", id=timer.event.id + "'"))
            for timer in commit.timers
        )
        both = evolve(commit, timers=(*commit.timers, *twins))
        return await self.inner.commit(delivery, both, messages, dead_letters)


class LosesDeadLetters(Correct):
    async def dead_letter(self, delivery: Delivery | None, dead_letter: DeadLetter) -> Committed:
        if delivery is not None:
            await self.inner.ack(delivery)
        return Committed()


class DeadLettersWithoutSettling(Correct):
    async def dead_letter(self, delivery: Delivery | None, dead_letter: DeadLetter) -> Committed:
        return await self.inner.dead_letter(None, dead_letter)


class RedrivesRepeatedly(Correct):
    async def redrive(self, id: str, messages: Sequence[Message]) -> bool:  # noqa: A002
        stored = {failed.id: failed for failed in await self.inner.dead_letters()}
        redriven = await self.inner.redrive(id, messages)
        if id in stored:
            await self.inner.dead_letter(None, stored[id])
        return redriven


class ListsAllDeadLetters(Correct):
    async def dead_letters(self, **options: Any) -> tuple[DeadLetter, ...]:
        return await self.inner.dead_letters(**{**options, "subject": None})


class GroupsByReason(Correct):
    async def dead_letter_groups(self, **options: Any) -> tuple[DeadLetterGroup, ...]:
        groups = await self.inner.dead_letter_groups(**options)
        return tuple(evolve(group, cause=f"{group.cause} {group.first}") for group in groups)


class ListsDeadLettersOfAllCauses(Correct):
    async def dead_letters(self, **options: Any) -> tuple[DeadLetter, ...]:
        return await self.inner.dead_letters(**{**options, "cause": None})


class ListsActsOldestFirst(Correct):
    async def audit_log(self, **options: Any) -> tuple[AuditEntry, ...]:
        return (await self.inner.audit_log(**options))[::-1]


class CountsVersionsOfEndedWorkflows(Correct):
    async def versions(self) -> tuple[VersionUse, ...]:
        counts = Counter(
            (stored.record.handler, stored.record.version)
            for stored in await self.inner.workflows()
        )
        return tuple(VersionUse(*key, number, 0) for key, number in sorted(counts.items()))


class ListsLastTimersFirst(Correct):
    async def timers(self, **options: Any) -> tuple[DueTimer, ...]:
        return (await self.inner.timers(**options))[::-1]


class ListsAllActs(Correct):
    async def audit_log(self, **options: Any) -> tuple[AuditEntry, ...]:
        return await self.inner.audit_log(**{**options, "subject": None})


class RestartsAtDeletedDeadLetters(Correct):
    async def dead_letters(
        self, *, after: DeadLetter | None = None, **options: Any
    ) -> tuple[DeadLetter, ...]:
        if after is not None and await self.inner.find_dead_letter(after.id) is None:
            after = None
        return await self.inner.dead_letters(after=after, **options)


class ReplacesUnicode(Correct):
    async def dead_letter(self, delivery: Delivery | None, dead_letter: DeadLetter) -> Committed:
        ascii_only = dead_letter.reason.encode("ascii", "replace").decode()
        return await self.inner.dead_letter(delivery, evolve(dead_letter, reason=ascii_only))


class WritesWithoutComparing(InMemoryMachineMemory):  # type: ignore[misc]
    async def write(self, subject: str, record: bytes, expected: int) -> Stored | Conflict:
        current = await self.read(subject)
        return await super().write(subject, record, 0 if current is None else current.revision)


class ComparesBeforeItWrites(InMemoryMachineMemory):  # type: ignore[misc]
    async def write(self, subject: str, record: bytes, expected: int) -> Stored | Conflict:
        current = await self.read(subject)
        revision = 0 if current is None else current.revision
        if revision != expected:
            return Conflict(revision)
        await asyncio.sleep(0)
        current = await self.read(subject)
        return await super().write(subject, record, 0 if current is None else current.revision)


class TruncatesSubjects(InMemoryMachineMemory):  # type: ignore[misc]
    async def read(self, subject: str) -> Stored | None:
        return await super().read(subject[:1])

    async def write(self, subject: str, record: bytes, expected: int) -> Stored | Conflict:
        return await super().write(subject[:1], record, expected)


class AcknowledgesStaleDeliveries(MemoryBroker):  # type: ignore[misc]
    async def ack(self, delivery: EncodedDelivery) -> None:
        for token, (current, _) in list(self._in_flight.items()):
            if current.message == delivery.message:
                del self._in_flight[token]


class NeverRedelivers(MemoryBroker):  # type: ignore[misc]
    def _return_all(self, consumer: object) -> None:
        pass


class ReversesMessages(MemoryBroker):  # type: ignore[misc]
    async def publish(self, messages: Sequence[EncodedMessage]) -> None:
        await super().publish(list(reversed(messages)))


class DeliversTwice(MemoryBroker):  # type: ignore[misc]
    def _next(self, queues: Sequence[str], consumer: object) -> EncodedDelivery | None:
        delivery = super()._next(queues, consumer)
        if delivery is not None and delivery.attempt == 1:
            self._put(evolve(delivery, attempt=2))
        return delivery
