"""Wrong backends: each is the memory backend, but for one promise that it breaks."""

# ruff: noqa: ARG002 - that they ignore what they are told is what is wrong with them

import asyncio
from collections.abc import Sequence
from typing import Any

from attrs import evolve

from arvo import Commit, Event, MemoryBackend, Record
from arvo.core.commit import PendingTimer
from arvo.interpreters.memory.broker import MemoryBroker
from arvo.interpreters.ports.backend import (
    CommitResult,
    Committed,
    Conflict,
    DeadLetter,
    Delivery,
    Depth,
    Duplicate,
    Message,
)
from arvo.interpreters.ports.broker import EncodedDelivery, EncodedMessage
from arvo.interpreters.ports.machine_memory import InMemoryMachineMemory, Stored


class Honest:
    """The memory backend, to be spoilt."""

    def __init__(self, queue_max: int) -> None:
        self.inner = MemoryBackend(queue_max=queue_max)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


class LosesUpdates(Honest):
    async def commit(
        self, delivery: Delivery, commit: Commit, messages: Any, dead_letters: Any
    ) -> CommitResult:
        held = None if commit.record is None else await self.inner.load(commit.record.subject)
        forced = evolve(commit, expected=0 if held is None else held.revision)
        return await self.inner.commit(delivery, forced, messages, dead_letters)


class PublishesFirst(Honest):
    async def commit(
        self, delivery: Delivery, commit: Commit, messages: Any, dead_letters: Any
    ) -> CommitResult:
        for message in messages:
            await self.inner.send(message)
        return await self.inner.commit(delivery, commit, [], dead_letters)


class ChecksAndSetsApart(Honest):
    async def commit(
        self, delivery: Delivery, commit: Commit, messages: Any, dead_letters: Any
    ) -> CommitResult:
        if commit.record is not None:
            held = await self.inner.load(commit.record.subject)
            revision = 0 if held is None else held.revision
            if revision != commit.expected:
                return Conflict(revision)
            # Whoever comes in between is overwritten.
            await asyncio.sleep(0)
            held = await self.inner.load(commit.record.subject)
            commit = evolve(commit, expected=0 if held is None else held.revision)
        return await self.inner.commit(delivery, commit, messages, dead_letters)


class ForgetsWhatWasConsumed(Honest):
    async def commit(
        self, delivery: Delivery, commit: Commit, messages: Any, dead_letters: Any
    ) -> CommitResult:
        self.inner._seen.clear()
        return await self.inner.commit(delivery, commit, messages, dead_letters)


class KnowsEventsByIdAlone(Honest):
    ids: set[str]

    async def commit(
        self, delivery: Delivery, commit: Commit, messages: Any, dead_letters: Any
    ) -> CommitResult:
        ids = self.__dict__.setdefault("ids", set())
        if commit.event.id in ids:
            self.inner._settle(delivery)
            return Duplicate()
        ids.add(commit.event.id)
        return await self.inner.commit(delivery, commit, messages, dead_letters)


class AppliesHalf(Honest):
    async def commit(
        self, delivery: Delivery, commit: Commit, messages: Any, dead_letters: Any
    ) -> CommitResult:
        return await self.inner.commit(delivery, commit, messages, [])


class CallsConflictsCommitted(Honest):
    async def commit(
        self, delivery: Delivery, commit: Commit, messages: Any, dead_letters: Any
    ) -> CommitResult:
        applied = await self.inner.commit(delivery, commit, messages, dead_letters)
        if isinstance(applied, Conflict):
            self.inner._settle(delivery)
            return Committed()
        return applied


class NeverSettles(Honest):
    async def ack(self, delivery: Delivery) -> None:
        pass


class AmendsBlindly(Honest):
    async def replace_record(self, record: Record, expected: int, **options: Any) -> CommitResult:
        held = await self.inner.load(record.subject)
        return await self.inner.replace_record(
            record, 0 if held is None else held.revision, **options
        )


class AmendsByHalf(Honest):
    async def replace_record(
        self,
        record: Record,
        expected: int,
        *,
        timers: Sequence[PendingTimer] = (),
        again: Sequence[Event[Any]] = (),
    ) -> CommitResult:
        return await self.inner.replace_record(record, expected, timers=timers)


class IgnoresKeys(Honest):
    async def receive(self, queue: str) -> Delivery:
        self.inner._lanes._busy.clear()
        return await self.inner.receive(queue)


class LastInFirstOut(Honest):
    async def send(self, message: Message) -> None:
        self.inner._under_way += 1
        self.inner._lanes.put(Delivery(message, 1), first=True)


class ComesAgainAtOnce(Honest):
    async def nack(self, delivery: Delivery, delay: float) -> None:
        await self.inner.nack(delivery, 0.0)


class DoesNotCountAttempts(Honest):
    async def nack(self, delivery: Delivery, delay: float) -> None:
        await self.inner.nack(evolve_attempt(delivery), delay)


def evolve_attempt(delivery: Delivery) -> Delivery:
    object.__setattr__(delivery, "attempt", delivery.attempt - 1)
    return delivery


class SwallowsWhoWaited(Honest):
    async def receive(self, queue: str) -> Delivery:
        # The task goes on after whoever asked has gone.
        return await asyncio.shield(asyncio.ensure_future(self.inner.receive(queue)))


class TakesWithoutEnd(Honest):
    def __init__(self, queue_max: int) -> None:
        super().__init__(queue_max * 1_000)


class RestsTooSoon(Honest):
    async def wait_until_idle(self) -> None:
        pass


class CountsWrong(Honest):
    async def depth(self) -> Depth:
        return Depth()


class FiresEarly(Honest):
    async def commit(
        self, delivery: Delivery, commit: Commit, messages: Any, dead_letters: Any
    ) -> CommitResult:
        early = tuple(evolve(each, due=self.inner.now()) for each in commit.timers)
        return await self.inner.commit(
            delivery, evolve(commit, timers=early), messages, dead_letters
        )


class FiresTwice(Honest):
    async def commit(
        self, delivery: Delivery, commit: Commit, messages: Any, dead_letters: Any
    ) -> CommitResult:
        twins = [evolve(each, event=evolve(each.event, source="twin")) for each in commit.timers]
        both = (
            *commit.timers,
            *(evolve(t, event=evolve(t.event, id=t.event.id + "'")) for t in twins),
        )
        return await self.inner.commit(
            delivery, evolve(commit, timers=both), messages, dead_letters
        )


class LosesLetters(Honest):
    async def dead_letter(self, delivery: Delivery | None, dead_letter: DeadLetter) -> None:
        if delivery is not None:
            await self.inner.ack(delivery)


class BuriesWithoutSettling(Honest):
    async def dead_letter(self, delivery: Delivery | None, dead_letter: DeadLetter) -> None:
        await self.inner.dead_letter(None, dead_letter)


class UnburiesAgainAndAgain(Honest):
    async def redrive(self, id: str, messages: Sequence[Message]) -> bool:  # noqa: A002
        dead_letter = self.inner._letters.get(id)
        done = await self.inner.redrive(id, messages)
        if dead_letter is not None:
            self.inner._letters[id] = dead_letter
        return done


class MangledText(Honest):
    async def dead_letter(self, delivery: Delivery | None, dead_letter: DeadLetter) -> None:
        ascii_only = dead_letter.reason.encode("ascii", "replace").decode()
        await self.inner.dead_letter(delivery, evolve(dead_letter, reason=ascii_only))


class WritesBlindly(InMemoryMachineMemory):  # type: ignore[misc]
    async def write(self, subject: str, record: bytes, expected: int) -> Stored | Conflict:
        held = await self.read(subject)
        return await super().write(subject, record, 0 if held is None else held.revision)


class WritesLate(InMemoryMachineMemory):  # type: ignore[misc]
    async def write(self, subject: str, record: bytes, expected: int) -> Stored | Conflict:
        held = await self.read(subject)
        revision = 0 if held is None else held.revision
        if revision != expected:
            return Conflict(revision)
        await asyncio.sleep(0)
        held = await self.read(subject)
        return await super().write(subject, record, 0 if held is None else held.revision)


class CutsNames(InMemoryMachineMemory):  # type: ignore[misc]
    async def read(self, subject: str) -> Stored | None:
        return await super().read(subject[:1])

    async def write(self, subject: str, record: bytes, expected: int) -> Stored | Conflict:
        return await super().write(subject[:1], record, expected)


class SettlesForAnybody(MemoryBroker):  # type: ignore[misc]
    async def ack(self, delivery: EncodedDelivery) -> None:
        for token, (each, _) in list(self._taken.items()):
            if each.message == delivery.message:
                del self._taken[token]


class SettlesAtOnce(MemoryBroker):  # type: ignore[misc]
    def _give_back(self, taker: object) -> None:
        pass


class Unordered(MemoryBroker):  # type: ignore[misc]
    async def publish(self, messages: Sequence[EncodedMessage]) -> None:
        await super().publish(list(reversed(messages)))


class SharesWhatIsTaken(MemoryBroker):  # type: ignore[misc]
    def _next(self, addresses: Sequence[str], taker: object) -> EncodedDelivery | None:
        found = super()._next(addresses, taker)
        if found is not None and found.attempt == 1:
            self._put(evolve(found, attempt=2))
        return found
