"""Backends that commit chains, each of them wrong in one way."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from attrs import evolve

from arvo.core.record import Record
from arvo.interpreters.ports.chains import CommitChain
from arvo.interpreters.ports.messages import Delivery
from arvo.testing.conformance.kit.samples import WORKFLOW, subject
from tests.testing.conformance.wrong import Correct


class AppliesHalfChains(Correct):
    async def commit_chains(self, chains: Sequence[CommitChain]) -> list[bool]:
        applied = []
        for chain in chains:
            halves = [evolve(chain, commits=chain.commits[:1]), chain]
            applied.append(any(await self.inner.commit_chains(halves)))
        return applied


class AppliesAllOrNone(Correct):
    async def commit_chains(self, chains: Sequence[CommitChain]) -> list[bool]:
        results = await self.inner.commit_chains(chains)
        return results if all(results) else [False for _ in chains]


class ForgetsTheEventsOfChains(Correct):
    async def commit_chains(self, chains: Sequence[CommitChain]) -> list[bool]:
        results = await self.inner.commit_chains(chains)
        self.inner._inbox._consumed.clear()
        return results


class DropsTheMessagesOfChains(Correct):
    async def commit_chains(self, chains: Sequence[CommitChain]) -> list[bool]:
        return await self.inner.commit_chains([evolve(chain, messages=()) for chain in chains])


class StoresWhatWasConsumed(Correct):
    async def commit_chains(self, chains: Sequence[CommitChain]) -> list[bool]:
        results = await self.inner.commit_chains(chains)
        for chain in chains:
            self.inner._add(chain.message)
        return results


class ChainsPassWaitingMessages(Correct):
    async def commit_chains(self, chains: Sequence[CommitChain]) -> list[bool]:
        keys, self.inner._queues._ready_keys = (
            self.inner._queues._ready_keys,
            type(self.inner._queues._ready_keys)(),
        )
        try:
            return await self.inner.commit_chains(chains)
        finally:
            self.inner._queues._ready_keys = keys


class ChainsPassCancellations(Correct):
    async def commit_chains(self, chains: Sequence[CommitChain]) -> list[bool]:
        self.inner._cancellations._waiting.clear()
        return await self.inner.commit_chains(chains)


class DeferredMessagesStopChains(Correct):
    async def commit_chains(self, chains: Sequence[CommitChain]) -> list[bool]:
        delayed = bool(self.inner._queues.delayed)
        return [False for _ in chains] if delayed else await self.inner.commit_chains(chains)


class WakesNoSubscriber(Correct):
    def subscribe(self, *_: Any) -> None:
        pass


class PollsBeyondTheLimit(Correct):
    async def poll(self, queues: Mapping[str, int], *_: Any) -> list[Delivery]:
        return await self.inner.poll(dict.fromkeys(queues, 100), 100)


class PollsTwoOfOneKey(Correct):
    async def poll(self, queues: Mapping[str, int], limit: int) -> list[Delivery]:
        self.inner._queues._blocked.clear()
        return await self.inner.poll(queues, limit)


class FollowersInReverse(Correct):
    def followers(self, delivery: Delivery) -> Iterator[Delivery]:
        return reversed(list(self.inner.followers(delivery)))


class HasNoFollowers(Correct):
    def followers(self, delivery: Delivery) -> Iterator[Delivery]:
        return islice(self.inner.followers(delivery), 0)


class FollowersOfAnyKey(Correct):
    def followers(self, _: Delivery) -> Iterator[Delivery]:
        blocked = self.inner._queues._blocked.values()
        return (each for deliveries in blocked for each in deliveries)


class TakesFollowers(Correct):
    def followers(self, _: Delivery) -> Iterator[Delivery]:
        blocked: Any = self.inner._queues._blocked.get(subject(), ())
        while blocked:
            yield blocked.popleft()


class DeliversFollowersAgain(Correct):
    async def commit_chains(self, chains: Sequence[CommitChain]) -> list[bool]:
        firsts = [evolve(chain, deliveries=chain.deliveries[:1]) for chain in chains]
        return await self.inner.commit_chains(firsts)


class ForgetsTheTurnsOfFollowers(Correct):
    async def commit_chains(self, chains: Sequence[CommitChain]) -> list[bool]:
        results = await self.inner.commit_chains(chains)
        for chain in chains:
            for follower in chain.deliveries[1:]:
                self.inner._inbox.remove(WORKFLOW, follower.message.event)
        return results


class LosesRefusedFollowers(Correct):
    async def commit_chains(self, chains: Sequence[CommitChain]) -> list[bool]:
        results = await self.inner.commit_chains(chains)
        for chain in chains:
            blocked: Any = self.inner._queues._blocked.get(subject(), ())
            for follower in chain.deliveries[1:]:
                if follower in blocked:
                    blocked.remove(follower)
        return results


class ChainsPassFollowers(Correct):
    async def commit_chains(self, chains: Sequence[CommitChain]) -> list[bool]:
        all_of_them = [
            evolve(chain, deliveries=(*chain.deliveries[:1], *self.inner.followers(delivery)))
            for chain in chains
            for delivery in chain.deliveries[:1]
        ]
        return await self.inner.commit_chains(all_of_them or chains)


class ChainsWithFollowersPassCancellations(Correct):
    async def commit_chains(self, chains: Sequence[CommitChain]) -> list[bool]:
        if any(len(chain.deliveries) > 1 for chain in chains):
            self.inner._cancellations._waiting.clear()
        return await self.inner.commit_chains(chains)


class BeginsOneIdTwice(Correct):
    async def commit_chains(self, chains: Sequence[CommitChain]) -> list[bool]:
        apart = [
            evolve(chain, commits=(commit,), deliveries=chain.deliveries if commit is first else ())
            for chain in chains
            for first in chain.commits[:1]
            for commit in chain.commits
        ]
        return [any(await self.inner.commit_chains(apart))]


class LoadsEmptyRecords(Correct):
    async def load_all(self, subjects: Sequence[str]) -> dict[str, Record | None]:
        found: Any = await self.inner.load_all(subjects)
        return {subject: found.get(subject) for subject in subjects}
