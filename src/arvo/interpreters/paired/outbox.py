"""Outbox: writes the output of a turn into the workflow's document, sends it, and resends it."""

from collections import OrderedDict
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, final

from attrs import define, evolve, field

from arvo.core.commit import Commit, PendingTimer
from arvo.core.events.event import Event
from arvo.core.record import Record
from arvo.engine.step.route import ToHandler
from arvo.interpreters.delivery.clock import fresh_stamp, utc_now
from arvo.interpreters.delivery.log import get_logger
from arvo.interpreters.paired.cancellations import CancellationMarks, pending_in
from arvo.interpreters.paired.codec import decode_message, encode_message
from arvo.interpreters.paired.dead_letters import DeadLetterStore
from arvo.interpreters.paired.document import (
    REPLACED,
    Consumption,
    Output,
    TurnKey,
    WorkflowDocument,
    digest_of,
)
from arvo.interpreters.paired.documents import DocumentStore
from arvo.interpreters.ports.broker import Broker, EncodedMessage
from arvo.interpreters.ports.errors import TooLarge
from arvo.interpreters.ports.machine_memory import MachineMemory
from arvo.interpreters.ports.messages import (
    DeadLetter,
    Delivery,
    Message,
    queue_of,
    yields_to_cancellation,
)
from arvo.interpreters.ports.results import (
    CancellationPending,
    Committed,
    Conflict,
    Duplicate,
)

logger: Final = get_logger()

# Turns that this process knows to be sent. One that drops out of the cache is sent once more.
SENT_MAX: Final = 100_000


@final
@define(eq=False)
class Outbox:
    """The first two moves of a commit (see `paired`), and their repetition after a crash."""

    memory: MachineMemory
    broker: Broker
    dead_letters: DeadLetterStore
    documents: DocumentStore = field(init=False)
    cancellations: CancellationMarks = field(init=False)
    # Turns that this process has sent; the memory learns of it with the next write.
    _sent: "OrderedDict[TurnKey, None]" = field(factory=OrderedDict, init=False)

    def __attrs_post_init__(self) -> None:
        self.documents = DocumentStore(self.memory, self._send_operator_changes)
        self.cancellations = CancellationMarks(self.documents)

    async def send_answer(self, commit: Commit, output: Output) -> Committed | Conflict | Duplicate:
        """Send the output of a handler without memory, unless this process has sent it before."""
        key = digest_of(commit.handler, commit.event), 0
        if key in self._sent:
            return Duplicate()
        await self._send(key, output)
        return Committed()

    async def commit_turn(
        self, delivery: Delivery, commit: Commit, output: Output
    ) -> Committed | Conflict | Duplicate | CancellationPending:
        """Write the turn of a workflow and send its output, or find that it was written before."""
        subject = commit.event.subject if commit.record is None else commit.record.subject
        digest = digest_of(commit.handler, commit.event)
        # Without a write, no compare-and-set would detect that the cached document is stale.
        document = self.documents.cached(subject) if commit.record is not None else None
        is_fresh = document is None
        while True:
            document = document or await self.read(subject)
            if (entry := document.find(digest)) is not None:
                await self._send_unsent(entry)
                return Duplicate()
            cancellation = None
            if yields_to_cancellation(commit):
                cancellation = pending_in(document, delivery)
            if cancellation is not None and is_fresh:
                return CancellationPending(cancellation)
            if document.turn == commit.expected and cancellation is None:
                if commit.record is None:
                    await self._send((digest, 0), output)
                    return Committed()
                entry = Consumption(digest, commit.record.revision, output)
                if await self._write(document, commit.record, entry, commit.now or utc_now()):
                    await self._send_unsent(entry)
                    return Committed()
            elif is_fresh:
                return Conflict(document.turn)
            document, is_fresh = None, True

    async def read(self, subject: str) -> WorkflowDocument:
        """Read a document, and send the output of operators' changes.

        No delivery leads back to those, so a crash of the operator's process would leave it unsent.
        """
        return await self.documents.read(subject)

    async def _send_operator_changes(self, document: WorkflowDocument) -> None:
        for entry in document.operator_changes:
            await self._send_unsent(entry)

    async def unsent_events(self, subject: str) -> tuple[Event[Any], ...]:
        """Return the events of the outputs that a document still holds, in order."""
        document = await self.read(subject)
        outputs = [entry.output for entry in document.journal if entry.output is not None]
        return tuple(
            decode_message(message).event for output in outputs for message in output.messages
        )

    async def replace_record(
        self,
        record: Record,
        expected: int,
        timers: Sequence[PendingTimer],
        redeliver: Sequence[Event[Any]],
    ) -> Committed | Conflict:
        """Replace a record that is still at revision *expected*, and send *timers* and *redeliver*.

        The document forgets that these events were consumed.
        """
        to = ToHandler(record.handler, record.subject)
        messages = [encode_message(Message(event, to)) for event in redeliver]
        messages += (encode_message(Message(timer.event, to), timer.due) for timer in timers)
        events = (*redeliver, *(timer.event for timer in timers))
        forgotten = {digest_of(record.handler, event) for event in events}
        output = Output(tuple(messages))
        entry = Consumption(f"{REPLACED}{record.revision}", record.revision, output)
        while True:
            document = await self.read(record.subject)
            if document.turn != expected:
                return Conflict(document.turn)
            if await self._write(document.without(forgotten), record, entry, utc_now()):
                await self._send_unsent(entry)
                return Committed()

    async def read_progress(self, subject: str, digest: str) -> bytes:
        """Return the checkpoint of an event, empty where there is none."""
        data: bytes = (await self.read(subject)).progress.get(digest, b"")
        return data

    async def write_progress(self, subject: str, digest: str, data: bytes) -> bool:
        """Store the checkpoint of an event; False if the event was consumed meanwhile."""

        def change(document: WorkflowDocument) -> WorkflowDocument | None:
            return None if document.find(digest) else document.with_progress(digest, data)

        return await self.documents.change(subject, change)

    async def find_refusal(
        self, message: Message, expected: int | None
    ) -> Conflict | Duplicate | None:
        """Return why a turn would be refused, None if it would not; nothing is sent again."""
        digest = digest_of(queue_of(message.to), message.event)
        if expected is None:
            return Duplicate() if (digest, 0) in self._sent else None
        document = await self.read(message.event.subject)
        if document.find(digest) is not None:
            return Duplicate()
        return None if document.turn == expected else Conflict(document.turn)

    async def was_consumed(self, message: Message) -> bool:
        """Return True if an event was consumed before; output that may be missing is sent again."""
        match message.to:
            case ToHandler(address=address, key=None):
                return (digest_of(address, message.event), 0) in self._sent
            case ToHandler(address=address):
                document = await self.read(message.event.subject)
                entry = document.find(digest_of(address, message.event))
                if entry is not None:
                    await self._send_unsent(entry)
                return entry is not None
            case _:
                return False

    def clear_cache(self) -> None:
        """Forget the cached documents, but not which turns were sent."""
        self.documents.clear()

    async def _write(
        self, document: WorkflowDocument, record: Record, entry: Consumption, now: datetime
    ) -> bool:
        """Write a turn on top of a document; False if the store has another one by now."""
        for unsent in document.excess_unsent(self._sent):
            await self._send_unsent(unsent)
        after = document.after_turn(record, entry, self._sent, now)
        return await self.documents.write(record.subject, after)

    async def _send_unsent(self, entry: Consumption) -> None:
        """Send the output of a turn, unless this process knows that it was sent."""
        if entry.output is not None and entry.key not in self._sent:
            await self._send(entry.key, entry.output)

    async def _send(self, key: TurnKey, output: Output) -> None:
        if output.messages:
            messages = _identified(key, output.messages)
            try:
                await self.broker.publish(messages)
            except TooLarge:
                await self._send_one_by_one(messages)
            await self.cancellations.mark_published(messages)
        for dead_letter in output.dead_letters:
            await self.dead_letters.add(dead_letter)
        self._sent[key] = None
        if len(self._sent) > SENT_MAX:
            self._sent.popitem(last=False)

    async def _send_one_by_one(self, messages: Sequence[EncodedMessage]) -> None:
        """Publish the messages that the broker accepts, and store the others as dead letters.

        The turn is written already, so raising would fail each redelivery in the same way.
        """
        for encoded in messages:
            try:
                await self.broker.publish([encoded])
            except TooLarge as error:
                message, reason = decode_message(encoded), str(error)
                event = message.event
                logger.warning("event %s (%s) is dead-lettered: %s", event.id, event.type, reason)
                dead_letter = DeadLetter(
                    id=fresh_stamp().id,
                    event=event,
                    reason=reason,
                    attempts=1,
                    at=utc_now().isoformat(timespec="milliseconds"),
                    to=message.to,
                )
                await self.dead_letters.add(dead_letter)


def _identified(key: TurnKey, messages: Sequence[EncodedMessage]) -> Sequence[EncodedMessage]:
    """Give the messages of a written turn ids, by which the broker knows a second publish.

    A process that receives a copy of the event cannot know whether they were sent. Not the
    messages of a handler without memory: its caller may repeat a request to get the answer again.
    """
    digest, turn = key
    if not turn or digest.startswith(REPLACED):
        return messages
    return [
        evolve(message, id=f"{digest}-{turn}-{number}") for number, message in enumerate(messages)
    ]
