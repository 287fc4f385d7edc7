"""Wrong: stores and workers that each break one promise; the simulation must find all of them."""

# mypy: disable-error-code="misc"
# Worker is final; only these tests subclass it.

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from attrs import evolve

from arvo import Commit, Event, Record, System, Violation
from arvo.core.begin import has_chosen_id
from arvo.core.events.identity import ID_REUSE_POLICY
from arvo.core.payloads.frozen_json import FrozenDict
from arvo.engine.step.route import Unroutable, route
from arvo.engine.step.step import StepResult
from arvo.interpreters.ports.messages import DeadLetter, Delivery, Message, queue_of
from arvo.interpreters.ports.results import (
    CancellationPending,
    CheckpointResult,
    CommitResult,
    Committed,
    Conflict,
    Duplicate,
    Fenced,
)
from arvo.interpreters.worker.worker import Worker
from arvo.testing import Store


class LosesUpdates(Store):
    """Writes without comparing the revision."""

    def revision(self, commit: Commit) -> int:
        return commit.expected


class PublishesFirst(Store):
    """Enqueues the events of a commit before it knows whether the commit is refused."""

    def commit(
        self,
        worker: str,
        delivery: Delivery,
        commit: Commit,
        messages: Sequence[Message],
        dead_letters: Sequence[DeadLetter],
    ) -> CommitResult:
        for message in messages:
            self.enqueue(message)
        return super().commit(worker, delivery, commit, (), dead_letters)


class CommitsPastCancellations(Store):
    """Does not look for a cancellation that waits behind a delivery."""

    def pending_cancellation(self, _: Delivery) -> None:
        return None


class ForgetsOtherRuns(Store):
    """Does not look for another run with the workflow id of a begin."""

    def find_holder(self, key: tuple[str, str], event: Event[Any]) -> None:
        del key, event


class ForgetsConsumedEvents(Store):
    """Has no inbox: an event that is delivered twice is applied twice."""

    def mark_consumed(self, commit: Commit) -> None:
        pass


class IgnoresHolders(Store):
    """Does not check which worker holds a delivery, so it accepts a stale worker."""

    def holds(self, worker: str, delivery: Delivery) -> bool:
        assert isinstance(delivery.token, tuple)
        del worker
        return delivery.token[0] in self.queue


class FiresEarly(Store):
    """Fires timers as soon as they are set."""

    def schedule_timer(self, message: Message, due: datetime) -> None:
        del due
        super().schedule_timer(message, self.now())


class ForgetsTimers(Store):
    """Applies a commit without its timers."""

    def set_timers(self, commit: Commit) -> None:
        pass


class DropsEvents(Store):
    """Applies a commit with only the first of its events."""

    def commit(
        self,
        worker: str,
        delivery: Delivery,
        commit: Commit,
        messages: Sequence[Message],
        dead_letters: Sequence[DeadLetter],
    ) -> CommitResult:
        return super().commit(worker, delivery, commit, messages[:1], dead_letters)


class SkipsRecords(Store):
    """Applies a commit, but does not write every record."""

    def write_record(self, commit: Commit) -> None:
        if commit.expected != 1:
            super().write_record(commit)


class LosesDeadLetters(Store):
    """Settles a dead letter without storing it."""

    def add_dead_letter(self, dead_letter: DeadLetter) -> None:
        pass


class ReportsConflictsAsCommitted(Store):
    """Reports a conflict as a success."""

    def commit(
        self,
        worker: str,
        delivery: Delivery,
        commit: Commit,
        messages: Sequence[Message],
        dead_letters: Sequence[DeadLetter],
    ) -> CommitResult:
        result = super().commit(worker, delivery, commit, messages, dead_letters)
        if isinstance(result, Conflict):
            self.remove(worker, delivery)
            return Committed()
        return result


class NeverReleases(Store):
    """Never redelivers: the deliveries of a crashed worker are lost."""

    def release(self, worker: str, delivery: Delivery | None = None) -> None:
        pass


class ReleasesKeysOnNack(Store):
    """Lets the events behind a returned one overtake it."""

    def nack(self, worker: str, delivery: Delivery, delay: float) -> None:
        self.defer(worker, delivery, delay)


class IgnoresKeys(Store):
    """Delivers the events of one workflow to several workers at once."""

    def claim(self, queue: str, worker: str) -> Delivery | None:
        for entry in self.queue.values():
            is_free = entry.holder is None and entry.available_at <= self.time()
            if is_free and queue_of(entry.message.to) == queue:
                entry.holder = worker
                entry.delivery_count += 1
                return Delivery(entry.message, entry.attempt, (entry.number, entry.delivery_count))
        return None


class ReadsStaleRecords(Store):
    """Reads from a replica that lags one commit behind."""

    previous: dict[str, Record]

    def write_record(self, commit: Commit) -> None:
        if commit.record is not None:
            subject = commit.record.subject
            self.__dict__.setdefault("previous", {})[subject] = self.records.get(subject)
        super().write_record(commit)

    def load(self, subject: str) -> Record | None:
        lagging: dict[str, Record | None] = self.__dict__.get("previous", {})
        return lagging.get(subject, self.records.get(subject))


class ReportsFencedAsDuplicate(Store):
    """Reports a delivery that another worker holds as consumed."""

    def commit(
        self,
        worker: str,
        delivery: Delivery,
        commit: Commit,
        messages: Sequence[Message],
        dead_letters: Sequence[DeadLetter],
    ) -> CommitResult:
        result = super().commit(worker, delivery, commit, messages, dead_letters)
        return Duplicate() if isinstance(result, Fenced) else result


class LosesReleased(Store):
    """Loses a delivery that a worker leaves to others."""

    def put_back(self, worker: str, delivery: Delivery, delay: float) -> None:
        del delay
        self.remove(worker, delivery)


class DeadLettersUnknownVersions(Worker):
    """Asks no other worker before it makes a dead letter of an event of another version."""

    async def _refuse(self, delivery: Delivery, violation: Violation) -> None:
        await self._dead_letters.write(delivery, str(violation), violation)


class AnswersUnknownWorkflowsAtHome(Worker):
    """Takes a workflow that it lacks for a caller, and so its replies reach nothing."""

    async def _route(self, commit: Commit) -> tuple[list[Message], list[DeadLetter]]:
        to = [route(self.system, event, commit.event) for event in commit.events]
        messages = zip(commit.events, to, strict=True)
        return [Message(e, to) for e, to in messages if not isinstance(to, Unroutable)], []


class DropsCheckpoints(Store):
    """Accepts the results of effects, and delivers the event without them."""

    def checkpoint(self, worker: str, delivery: Delivery, progress: bytes) -> CheckpointResult:
        del progress
        return super().checkpoint(worker, delivery, b"")


class AcknowledgesFirst(Worker):
    """Acknowledges a delivery before the step."""

    async def _step(self, delivery: Delivery) -> None:
        await self.backend.ack(delivery)
        await super()._step(delivery)


class IgnoresConflicts(Worker):
    """Does not take the step again after a conflict."""

    async def _step(self, delivery: Delivery) -> None:
        decision = await self._decide(delivery)
        if isinstance(decision, Commit):
            messages, dead_letters = await self._route(decision)
            await self.backend.commit(delivery, decision, messages, dead_letters)
            if decision.record is not None:
                self.records.put(decision.record)
        elif not isinstance(decision, Fenced | CancellationPending):
            await self._refuse(delivery, decision)


class BeginsAgain(Worker):
    """Lets any begin follow a run that has ended, whatever its policy says."""

    def __attrs_post_init__(self) -> None:
        step = self.step

        def begin_again(
            system: System, event: Event[Any], record: Record | None, **options: Any
        ) -> StepResult:
            policy = FrozenDict({ID_REUSE_POLICY: "allow"})
            allowed = evolve(event, extensions=policy) if has_chosen_id(event) else event
            result = step(system, allowed, record, **options)
            return evolve(result, event=event) if isinstance(result, Commit) else result

        self.step = begin_again
        super().__attrs_post_init__()


class PassesOverCancellations(Worker):
    """Commits its turn in spite of a cancellation."""

    async def _step(self, delivery: Delivery) -> None:
        pending = await self.backend.pending_cancellation(delivery)
        if pending is not None:
            delivery.progress.passed_over.add(pending.id)
        await super()._step(delivery)


class DropsViolations(Worker):
    """Acknowledges an event that violates, without a dead letter."""

    async def _refuse(self, delivery: Delivery, violation: Violation) -> None:
        del violation
        await self.backend.ack(delivery)


class ForcesCommits(Worker):
    """Repeats a conflicting commit with the revision of the conflict."""

    async def _step(self, delivery: Delivery) -> None:
        decision = await self._decide(delivery)
        if isinstance(decision, Fenced | CancellationPending):
            return
        if not isinstance(decision, Commit):
            await self._refuse(delivery, decision)
            return
        messages, dead_letters = await self._route(decision)
        if decision.record is not None:
            self.records.put(decision.record)
        result = await self.backend.commit(delivery, decision, messages, dead_letters)
        if isinstance(result, Conflict):
            forced = evolve(decision, expected=result.revision)
            result = await self.backend.commit(delivery, forced, messages, dead_letters)
