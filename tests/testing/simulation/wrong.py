"""Wrong: stores and workers that break a promise each; a kit that misses one proves nothing."""

# mypy: disable-error-code="misc"
# Workers are final: nobody should make another one, except to see it found out.

from collections.abc import Sequence
from datetime import datetime

from attrs import evolve

from arvo import Commit, Record, Violation
from arvo.interpreters.ports.backend import (
    CommitResult,
    Committed,
    Conflict,
    DeadLetter,
    Delivery,
    Duplicate,
    Fenced,
    Message,
)
from arvo.interpreters.runtime.worker import Worker
from arvo.testing import Store


class LosesUpdates(Store):
    """Compares nothing before it sets."""

    def revision(self, commit: Commit) -> int:
        return commit.expected


class PublishesFirst(Store):
    """Sends what follows before it knows whether the commit is refused."""

    def commit(
        self,
        worker: str,
        delivery: Delivery,
        commit: Commit,
        messages: Sequence[Message],
        dead_letters: Sequence[DeadLetter],
    ) -> CommitResult:
        for message in messages:
            self.put(message)
        return super().commit(worker, delivery, commit, (), dead_letters)


class RemembersNothingConsumed(Store):
    """Has no inbox: what is delivered again is applied again."""

    def consume(self, commit: Commit) -> None:
        pass


class LetsAnybodySettle(Store):
    """Unlocks without asking whose the lock is: a stale worker is accepted."""

    def holds(self, worker: str, delivery: Delivery) -> bool:
        assert isinstance(delivery.token, tuple)
        del worker
        return delivery.token[0] in self.queue


class FiresEarly(Store):
    """Sends timers as soon as they are set."""

    def wait(self, message: Message, due: datetime) -> None:
        del due
        super().wait(message, self.now())


class ForgetsTimers(Store):
    """Writes everything of a commit but its timers."""

    def set_timers(self, commit: Commit) -> None:
        pass


class AppliesHalf(Store):
    """Writes record and inbox, and only the first of the events that follow."""

    def commit(
        self,
        worker: str,
        delivery: Delivery,
        commit: Commit,
        messages: Sequence[Message],
        dead_letters: Sequence[DeadLetter],
    ) -> CommitResult:
        return super().commit(worker, delivery, commit, messages[:1], dead_letters)


class ForgetsRecord(Store):
    """Settles and sends, and does not write every record."""

    def remember(self, commit: Commit) -> None:
        if commit.expected != 1:
            super().remember(commit)


class LosesLetters(Store):
    """Says that it has buried, and has thrown away."""

    def keep(self, dead_letter: DeadLetter) -> None:
        pass


class CallsConflictsCommitted(Store):
    """Answers what the worker would like to hear."""

    def commit(
        self,
        worker: str,
        delivery: Delivery,
        commit: Commit,
        messages: Sequence[Message],
        dead_letters: Sequence[DeadLetter],
    ) -> CommitResult:
        applied = super().commit(worker, delivery, commit, messages, dead_letters)
        if isinstance(applied, Conflict):
            self.settle(worker, delivery)
            return Committed()
        return applied


class LosesWithItsWorker(Store):
    """Takes off the queue what it hands out; whoever dies takes it along."""

    def give_back(self, worker: str, delivery: Delivery | None = None) -> None:
        pass


class ReadsOldRecords(Store):
    """Reads from a replica that lags behind by a commit."""

    old: dict[str, Record]

    def remember(self, commit: Commit) -> None:
        if commit.record is not None:
            subject = commit.record.subject
            self.__dict__.setdefault("old", {})[subject] = self.records.get(subject)
        super().remember(commit)

    def load(self, subject: str) -> Record | None:
        lagging: dict[str, Record | None] = self.__dict__.get("old", {})
        return lagging.get(subject, self.records.get(subject))


class CallsFencedSeen(Store):
    """Tells a worker that what it could not settle was consumed: it is not, yet."""

    def commit(
        self,
        worker: str,
        delivery: Delivery,
        commit: Commit,
        messages: Sequence[Message],
        dead_letters: Sequence[DeadLetter],
    ) -> CommitResult:
        applied = super().commit(worker, delivery, commit, messages, dead_letters)
        return Duplicate() if isinstance(applied, Fenced) else applied


class AcknowledgesFirst(Worker):
    """Settles a delivery before it is carried through."""

    async def _step(self, delivery: Delivery) -> None:
        await self.backend.ack(delivery)
        await super()._step(delivery)


class TakesConflictsForDone(Worker):
    """Does not step again where a race was lost."""

    async def _step(self, delivery: Delivery) -> None:
        decided = await self._decided(delivery)
        if isinstance(decided, Commit):
            messages, dead_letters = self._routed(decided)
            await self.backend.commit(delivery, decided, messages, dead_letters)
            if decided.record is not None:
                self.recent.keep(decided.record)
        else:
            await self._refuse(delivery, decided)


class DropsWhatIsRefused(Worker):
    """Takes a violation for the end of it, and tells nobody."""

    async def _refuse(self, delivery: Delivery, violation: Violation) -> None:
        del violation
        await self.backend.ack(delivery)


class TrustsItsMemory(Worker):
    """Commits on whatever revision the store says that it has."""

    async def _step(self, delivery: Delivery) -> None:
        decided = await self._decided(delivery)
        if not isinstance(decided, Commit):
            await self._refuse(delivery, decided)
            return
        messages, dead_letters = self._routed(decided)
        if decided.record is not None:
            self.recent.keep(decided.record)
        answer = await self.backend.commit(delivery, decided, messages, dead_letters)
        if isinstance(answer, Conflict):
            forced = evolve(decided, expected=answer.revision)
            answer = await self.backend.commit(delivery, forced, messages, dead_letters)
