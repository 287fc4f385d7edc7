"""Wrong backends: each is the memory backend, but for one promise that it breaks."""

# ruff: noqa: ARG002 - that they ignore what they are told is what is wrong with them

import asyncio
from collections.abc import Sequence
from typing import Any

from attrs import evolve

from arvo import Commit, Event, MemoryBackend, Record
from arvo.core.commit import Alarm
from arvo.interpreters.memory.broker import MemoryBroker
from arvo.interpreters.ports.backend import (
    Applied,
    Committed,
    Conflict,
    DeadLetter,
    Delivery,
    Depth,
    Post,
    Seen,
)
from arvo.interpreters.ports.broker import Delivered, Message
from arvo.interpreters.ports.machine_memory import MemoryMachineMemory, Stored


class Honest:
    """The memory backend, to be spoilt."""

    def __init__(self, queue_max: int) -> None:
        self.inner = MemoryBackend(queue_max=queue_max)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


class LosesUpdates(Honest):
    async def commit(self, delivery: Delivery, commit: Commit, posts: Any, letters: Any) -> Applied:
        held = None if commit.record is None else await self.inner.load(commit.record.subject)
        forced = evolve(commit, expected=0 if held is None else held.revision)
        return await self.inner.commit(delivery, forced, posts, letters)


class PublishesFirst(Honest):
    async def commit(self, delivery: Delivery, commit: Commit, posts: Any, letters: Any) -> Applied:
        for post in posts:
            await self.inner.send(post)
        return await self.inner.commit(delivery, commit, [], letters)


class ChecksAndSetsApart(Honest):
    async def commit(self, delivery: Delivery, commit: Commit, posts: Any, letters: Any) -> Applied:
        if commit.record is not None:
            held = await self.inner.load(commit.record.subject)
            revision = 0 if held is None else held.revision
            if revision != commit.expected:
                return Conflict(revision)
            # Whoever comes in between is overwritten.
            await asyncio.sleep(0)
            held = await self.inner.load(commit.record.subject)
            commit = evolve(commit, expected=0 if held is None else held.revision)
        return await self.inner.commit(delivery, commit, posts, letters)


class ForgetsWhatWasConsumed(Honest):
    async def commit(self, delivery: Delivery, commit: Commit, posts: Any, letters: Any) -> Applied:
        self.inner._seen.clear()
        return await self.inner.commit(delivery, commit, posts, letters)


class KnowsEventsByIdAlone(Honest):
    ids: set[str]

    async def commit(self, delivery: Delivery, commit: Commit, posts: Any, letters: Any) -> Applied:
        ids = self.__dict__.setdefault("ids", set())
        if commit.event.id in ids:
            self.inner._settle(delivery)
            return Seen()
        ids.add(commit.event.id)
        return await self.inner.commit(delivery, commit, posts, letters)


class AppliesHalf(Honest):
    async def commit(self, delivery: Delivery, commit: Commit, posts: Any, letters: Any) -> Applied:
        return await self.inner.commit(delivery, commit, posts, [])


class CallsConflictsCommitted(Honest):
    async def commit(self, delivery: Delivery, commit: Commit, posts: Any, letters: Any) -> Applied:
        applied = await self.inner.commit(delivery, commit, posts, letters)
        if isinstance(applied, Conflict):
            self.inner._settle(delivery)
            return Committed()
        return applied


class NeverSettles(Honest):
    async def done(self, delivery: Delivery) -> None:
        pass


class AmendsBlindly(Honest):
    async def amend(self, record: Record, expected: int, **options: Any) -> Applied:
        held = await self.inner.load(record.subject)
        return await self.inner.amend(record, 0 if held is None else held.revision, **options)


class AmendsByHalf(Honest):
    async def amend(
        self,
        record: Record,
        expected: int,
        *,
        alarms: Sequence[Alarm] = (),
        again: Sequence[Event[Any]] = (),
    ) -> Applied:
        return await self.inner.amend(record, expected, alarms=alarms)


class IgnoresKeys(Honest):
    async def receive(self, lane: str) -> Delivery:
        self.inner._lanes._busy.clear()
        return await self.inner.receive(lane)


class LastInFirstOut(Honest):
    async def send(self, post: Post) -> None:
        self.inner._under_way += 1
        self.inner._lanes.put(Delivery(post, 1), first=True)


class ComesAgainAtOnce(Honest):
    async def again(self, delivery: Delivery, delay: float) -> None:
        await self.inner.again(delivery, 0.0)


class DoesNotCountAttempts(Honest):
    async def again(self, delivery: Delivery, delay: float) -> None:
        await self.inner.again(evolve_attempt(delivery), delay)


def evolve_attempt(delivery: Delivery) -> Delivery:
    object.__setattr__(delivery, "attempt", delivery.attempt - 1)
    return delivery


class SwallowsWhoWaited(Honest):
    async def receive(self, lane: str) -> Delivery:
        # The task goes on after whoever asked has gone.
        return await asyncio.shield(asyncio.ensure_future(self.inner.receive(lane)))


class TakesWithoutEnd(Honest):
    def __init__(self, queue_max: int) -> None:
        super().__init__(queue_max * 1_000)


class RestsTooSoon(Honest):
    async def rest(self) -> None:
        pass


class CountsWrong(Honest):
    async def depth(self) -> Depth:
        return Depth()


class FiresEarly(Honest):
    async def commit(self, delivery: Delivery, commit: Commit, posts: Any, letters: Any) -> Applied:
        early = tuple(evolve(each, due=self.inner.now()) for each in commit.alarms)
        return await self.inner.commit(delivery, evolve(commit, alarms=early), posts, letters)


class FiresTwice(Honest):
    async def commit(self, delivery: Delivery, commit: Commit, posts: Any, letters: Any) -> Applied:
        twins = [evolve(each, event=evolve(each.event, source="twin")) for each in commit.alarms]
        both = (
            *commit.alarms,
            *(evolve(t, event=evolve(t.event, id=t.event.id + "'")) for t in twins),
        )
        return await self.inner.commit(delivery, evolve(commit, alarms=both), posts, letters)


class LosesLetters(Honest):
    async def bury(self, delivery: Delivery | None, letter: DeadLetter) -> None:
        if delivery is not None:
            await self.inner.done(delivery)


class BuriesWithoutSettling(Honest):
    async def bury(self, delivery: Delivery | None, letter: DeadLetter) -> None:
        await self.inner.bury(None, letter)


class UnburiesAgainAndAgain(Honest):
    async def unbury(self, id: str, posts: Sequence[Post]) -> bool:  # noqa: A002
        letter = self.inner._letters.get(id)
        done = await self.inner.unbury(id, posts)
        if letter is not None:
            self.inner._letters[id] = letter
        return done


class MangledText(Honest):
    async def bury(self, delivery: Delivery | None, letter: DeadLetter) -> None:
        ascii_only = letter.reason.encode("ascii", "replace").decode()
        await self.inner.bury(delivery, evolve(letter, reason=ascii_only))


class WritesBlindly(MemoryMachineMemory):  # type: ignore[misc]
    async def write(self, subject: str, record: bytes, expected: int) -> Stored | Conflict:
        held = await self.read(subject)
        return await super().write(subject, record, 0 if held is None else held.revision)


class WritesLate(MemoryMachineMemory):  # type: ignore[misc]
    async def write(self, subject: str, record: bytes, expected: int) -> Stored | Conflict:
        held = await self.read(subject)
        revision = 0 if held is None else held.revision
        if revision != expected:
            return Conflict(revision)
        await asyncio.sleep(0)
        held = await self.read(subject)
        return await super().write(subject, record, 0 if held is None else held.revision)


class CutsNames(MemoryMachineMemory):  # type: ignore[misc]
    async def read(self, subject: str) -> Stored | None:
        return await super().read(subject[:1])

    async def write(self, subject: str, record: bytes, expected: int) -> Stored | Conflict:
        return await super().write(subject[:1], record, expected)


class SettlesForAnybody(MemoryBroker):  # type: ignore[misc]
    async def done(self, delivered: Delivered) -> None:
        for token, (each, _) in list(self._taken.items()):
            if each.message == delivered.message:
                del self._taken[token]


class SettlesAtOnce(MemoryBroker):  # type: ignore[misc]
    def _give_back(self, taker: object) -> None:
        pass


class Unordered(MemoryBroker):  # type: ignore[misc]
    async def publish(self, messages: Sequence[Message]) -> None:
        await super().publish(list(reversed(messages)))


class SharesWhatIsTaken(MemoryBroker):  # type: ignore[misc]
    def _next(self, addresses: Sequence[str], taker: object) -> Delivered | None:
        found = super()._next(addresses, taker)
        if found is not None and found.attempt == 1:
            self._put(evolve(found, attempt=2))
        return found
