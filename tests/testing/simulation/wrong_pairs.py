"""Wrong pairs: brokers, record stores and pairs that each break one promise."""

# mypy: disable-error-code="misc"
# Pair is final; only these tests subclass it.

from collections.abc import Sequence
from datetime import datetime

from attrs import evolve

from arvo import Commit, Record
from arvo.interpreters.delivery.brokers.ordering import ordering_key
from arvo.interpreters.paired.backend import Pair
from arvo.interpreters.paired.chains import ChainWriter
from arvo.interpreters.paired.consumer import token_of
from arvo.interpreters.paired.documents.codec import encode_message
from arvo.interpreters.paired.documents.document import Consumption, WorkflowDocument
from arvo.interpreters.paired.documents.store import DocumentStore
from arvo.interpreters.paired.index import Addition, IndexWriter
from arvo.interpreters.paired.outbox import Outbox
from arvo.interpreters.ports.broker import EncodedDelivery, EncodedMessage
from arvo.interpreters.ports.chains import CommitChain
from arvo.interpreters.ports.machine_memory import Stored
from arvo.interpreters.ports.messages import DeadLetter, Delivery, Message
from arvo.interpreters.ports.results import (
    CheckpointResult,
    CommitResult,
    Committed,
    Conflict,
    Duplicate,
    Fenced,
)
from arvo.testing import SimulatedBroker, SimulatedMemory


class ReleasesKeysOnNack(SimulatedBroker):
    """Lets the events behind a returned one overtake it, as NATS and Redis did."""

    def nack(self, holder: str, delivery: EncodedDelivery, delay: float) -> None:
        self.defer(holder, delivery, delay)


class IgnoresKeys(SimulatedBroker):
    """Delivers the events of one workflow to several processes at once, as NATS did."""

    def enqueue(self, message: EncodedMessage) -> None:
        if ordering_key(message) is None:
            super().enqueue(message)
        else:
            self.add(message, message.queue, None)


class SeesNoOthers(SimulatedBroker):
    """Says of each delivery that no other message of its key is stored."""

    def has_others(self, consumer: str, delivery: EncodedDelivery) -> bool:
        del consumer, delivery
        return False


class NeverRedelivers(SimulatedBroker):
    """Deletes a message when it is delivered: at most once."""

    def release(self, holder: str, delivery: EncodedDelivery | None = None) -> None:
        pass


class ForgetsDelayed(SimulatedBroker):
    """Loses the messages that are due later."""

    def enqueue(self, message: EncodedMessage) -> None:
        if message.due is None:
            super().enqueue(message)


class DeliversEarly(SimulatedBroker):
    """Delivers at once what is due later. A broker may: the worker returns it."""

    def enqueue(self, message: EncodedMessage) -> None:
        super().enqueue(evolve(message, due=None))


class LosesUpdates(SimulatedMemory):
    """Writes without comparing the revision."""

    def write(self, subject: str, record: bytes, expected: int) -> Stored | Conflict:
        del expected
        return super().write(subject, record, self.revision(subject))


class ReadsStaleValues(SimulatedMemory):
    """Reads from a replica that lags one write behind."""

    def read(self, subject: str) -> Stored | None:
        lagging: dict[str, Stored | None] = self.__dict__.get("previous", {})
        return lagging.get(subject, super().read(subject))

    def write(self, subject: str, record: bytes, expected: int) -> Stored | Conflict:
        previous = self.values.get(subject)
        written = super().write(subject, record, expected)
        if isinstance(written, Stored):
            self.__dict__.setdefault("previous", {})[subject] = previous
        return written


class LosesWrites(SimulatedMemory):
    """Reports a write as stored before it is durable."""

    def write(self, subject: str, record: bytes, expected: int) -> Stored | Conflict:
        written = super().write(subject, record, expected)
        if isinstance(written, Stored) and written.revision == 3:
            del self.values[subject]
        return written


class AcknowledgesFirst(Pair):
    """Acknowledges a delivery before the turn is written."""

    async def commit(
        self,
        delivery: Delivery,
        commit: Commit,
        messages: Sequence[Message],
        dead_letters: Sequence[DeadLetter],
    ) -> CommitResult:
        await self.broker.ack(token_of(delivery))
        return await super().commit(delivery, commit, messages, dead_letters)


class AcknowledgesChainsFirst(Pair):
    """Acknowledges a delivery before its chain is written."""

    async def commit_chains(self, chains: Sequence[CommitChain]) -> list[bool]:
        for chain in chains:
            await self.broker.ack(token_of(chain.deliveries[0]))
        return await super().commit_chains(chains)


class WritesChainsWithoutOutput(Pair):
    """Writes a chain without its output, which is lost by a crash before it is sent."""

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        outbox = _OutboxWithoutOutput(
            self.memory, self._wire, self._dead_letters, self._outbox.index
        )
        self._chains = ChainWriter(self.broker, outbox)


class CommitsPastCancellations(Pair):
    """Commits a turn in spite of a cancellation that is marked."""

    async def commit(
        self,
        delivery: Delivery,
        commit: Commit,
        messages: Sequence[Message],
        dead_letters: Sequence[DeadLetter],
    ) -> CommitResult:
        pending = await self.pending_cancellation(delivery)
        if pending is not None:
            delivery.progress.passed_over.add(pending.id)
        return await super().commit(delivery, commit, messages, dead_letters)


class ForgetsOtherRuns(Pair):
    """Finds no document of another run with the workflow id of a begin."""

    async def commit(
        self,
        delivery: Delivery,
        commit: Commit,
        messages: Sequence[Message],
        dead_letters: Sequence[DeadLetter],
    ) -> CommitResult:
        ids = self._outbox.workflow_ids
        ids.documents = _Empty(self._outbox.memory, ids.documents.on_read)
        return await super().commit(delivery, commit, messages, dead_letters)

    async def _commit_chain(self, chain: CommitChain) -> bool:
        ids = self._outbox.workflow_ids
        ids.documents = _Empty(self._outbox.memory, ids.documents.on_read)
        return await super()._commit_chain(chain)


class _Empty(DocumentStore):
    """Has no document."""

    async def read(self, subject: str) -> WorkflowDocument:
        del subject
        return WorkflowDocument()

    async def write(self, subject: str, document: WorkflowDocument) -> bool:
        del subject, document
        return True


class PublishesFirst(Pair):
    """Publishes the events of a turn before its record is written."""

    async def commit(
        self,
        delivery: Delivery,
        commit: Commit,
        messages: Sequence[Message],
        dead_letters: Sequence[DeadLetter],
    ) -> CommitResult:
        await self.broker.publish([encode_message(message) for message in messages])
        return await super().commit(delivery, commit, messages, dead_letters)


class _OutboxWithoutOutput(Outbox):
    async def write(
        self,
        document: WorkflowDocument,
        record: Record,
        entries: Sequence[Consumption],
        history: Sequence[Addition],
        now: datetime,
    ) -> WorkflowDocument | None:
        without = [evolve(entry, output=None) for entry in entries]
        return await super().write(document, record, without, history, now)


class ForgetsOutput(Pair):
    """Writes a turn without its output, which is lost by a crash before it is sent."""

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        self._outbox = _OutboxWithoutOutput(
            self.memory, self._wire, self._dead_letters, self._outbox.index
        )


class _WriterOfOwnTurns(IndexWriter):
    _written: WorkflowDocument | None = None

    def add(
        self, document: WorkflowDocument, additions: Sequence[Addition], at: datetime
    ) -> WorkflowDocument:
        self._written = super().add(document, additions, at)
        return self._written

    async def write(self, document: WorkflowDocument) -> None:
        if document is self._written:
            await super().write(document)


class IndexesOnce(Pair):
    """Writes a turn to the index when it is committed, and not when its event is redelivered."""

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        self._outbox.index = _WriterOfOwnTurns(self.index)


class LosesDeferred(Pair):
    """Acknowledges a timer that came too early."""

    async def defer(self, delivery: Delivery, delay: float) -> None:
        del delay
        await self.ack(delivery)


class NacksToTheBroker(Pair):
    """Returns a delivery to a broker that does not keep its place."""

    async def nack(self, delivery: Delivery, delay: float) -> None:
        await self._consumer.hand_back(delivery, delay)


class DropsCheckpoints(Pair):
    """Accepts the results of effects, and stores nothing."""

    async def checkpoint(self, delivery: Delivery, progress: bytes) -> CheckpointResult:
        del progress
        await super().checkpoint(delivery, b"")
        return Committed()


class LosesDeadLetters(Pair):
    """Settles a dead letter that it does not store."""

    async def dead_letter(
        self, delivery: Delivery | None, dead_letter: DeadLetter
    ) -> Committed | Duplicate | Fenced:
        result = await super().dead_letter(delivery, dead_letter)
        await self._dead_letters.remove(dead_letter)
        return result
