"""Outbox: writes the output of a turn into the workflow's document, sends it, and resends it."""

from collections import OrderedDict
from collections.abc import Container, Sequence
from datetime import datetime
from typing import Any, Final, final

from attrs import define, evolve, field

from arvo.core.begin import begun_id, may_begin_next
from arvo.core.commit import Commit, PendingTimer
from arvo.core.events.digest import inbox_digest
from arvo.core.events.event import Event
from arvo.core.record import Record
from arvo.engine.step.route import ToHandler
from arvo.interpreters.delivery.brokers.headers import DUP
from arvo.interpreters.delivery.clock import fresh_stamp, utc_now
from arvo.interpreters.delivery.log import log_dead_letter
from arvo.interpreters.paired.consumer import token_of
from arvo.interpreters.paired.dead_letters import DeadLetterStore
from arvo.interpreters.paired.documents.codec import decode_message, encode_message
from arvo.interpreters.paired.documents.document import (
    REPLACED,
    Consumption,
    Output,
    TurnKey,
    WorkflowDocument,
    digest_of,
)
from arvo.interpreters.paired.documents.store import (
    AnswerStore,
    CancellationMarks,
    DocumentStore,
    WorkflowIds,
    pending_in,
)
from arvo.interpreters.paired.documents.wire import Wire
from arvo.interpreters.paired.index import Addition, IndexWriter
from arvo.interpreters.ports.broker import EncodedMessage
from arvo.interpreters.ports.errors import TooLarge
from arvo.interpreters.ports.machine_memory import MachineMemory
from arvo.interpreters.ports.messages import (
    DeadLetter,
    Delivery,
    Message,
    key_of,
    queue_of,
    yields_to_cancellation,
)
from arvo.interpreters.ports.results import (
    CancellationPending,
    CheckpointResult,
    Committed,
    Conflict,
    Duplicate,
    Fenced,
    IdReused,
    WorkflowIdTaken,
    compare_digests,
)

# Turns that this process knows to be sent. One that drops out of the cache is sent once more.
SENT_MAX: Final = 100_000


@final
@define(eq=False)
class Outbox:
    """The first two moves of a commit (see `paired`), and their repetition after a crash."""

    memory: MachineMemory
    wire: Wire
    dead_letters: DeadLetterStore
    index: IndexWriter = field(factory=IndexWriter)
    documents: DocumentStore = field(init=False)
    cancellations: CancellationMarks = field(init=False)
    workflow_ids: WorkflowIds = field(init=False)
    answers: AnswerStore = field(init=False)
    # Turns that this process has sent, and the `inbox_digest` of their events; the memory learns of
    # it with the next write.
    _sent: "OrderedDict[TurnKey, str]" = field(factory=OrderedDict, init=False)

    def __attrs_post_init__(self) -> None:
        self.documents = DocumentStore(self.memory, self._send_operator_changes)
        self.cancellations = CancellationMarks(self.documents)
        self.workflow_ids = WorkflowIds(self.memory, self.documents)
        self.answers = AnswerStore(self.memory)

    async def send_answer(
        self, delivery: Delivery, commit: Commit, output: Output
    ) -> Committed | Duplicate | IdReused:
        """Send the output of a handler without memory, unless this process has sent it before."""
        key, content = (digest_of(commit.handler, commit.event), 0), inbox_digest(commit.event)
        if key in self._sent:
            return compare_digests(self._sent[key], content)
        await self._send(key, output, content, is_dup=_is_repeated(delivery))
        return Committed()

    async def commit_turn(
        self, delivery: Delivery, commit: Commit, output: Output
    ) -> Committed | Conflict | Duplicate | IdReused | CancellationPending | WorkflowIdTaken:
        """Write the turn of a workflow and send its output, or find that it was written before."""
        subject = commit.event.subject if commit.record is None else commit.record.subject
        digest, content = digest_of(commit.handler, commit.event), inbox_digest(commit.event)
        # Without a write, no compare-and-set would detect that the cached document is stale.
        document = self.documents.cached(subject) if commit.record is not None else None
        is_fresh = document is None
        while True:
            document = document or await self.read(subject)
            if (entry := document.find(digest)) is not None:
                await self._send_again(delivery, entry)
                await self.index.write(document)
                return compare_digests(entry.content, content)
            cancellation = None
            if yields_to_cancellation(commit):
                cancellation = pending_in(document, delivery)
            if cancellation is not None and is_fresh:
                return CancellationPending(cancellation)
            if document.turn == commit.expected and cancellation is None:
                if commit.record is None:
                    await self._send((digest, 0), output, content, is_dup=_is_repeated(delivery))
                    await self._mark_begin(commit, Consumption(digest, content=content))
                    return Committed()
                if holder := await self.workflow_ids.reserve(commit):
                    return WorkflowIdTaken(holder)
                entry = Consumption(digest, commit.record.revision, output, content)
                now = commit.now or utc_now()
                if after := await self.write(document, commit.record, [entry], [commit], now):
                    await self.send_new(entry)
                    await self.index.write(after)
                    return Committed()
                if begun_id(commit) is not None:
                    # Two that begin one id may refuse each other's write: the worker tries again,
                    # and later if need be.
                    return Conflict(document.turn)
            elif is_fresh:
                return Conflict(document.turn)
            document, is_fresh = None, True

    async def _mark_begin(self, commit: Commit, entry: Consumption) -> None:
        """Store that a begin which may begin the next run has changed nothing.

        The caller may be in another process, and no record shows it. If the worker dies before, the
        begin is delivered again.
        """
        if commit.outcome == "duplicate" and may_begin_next(commit.event):
            await self.documents.change(
                commit.event.subject, lambda document: document.with_consumption(entry)
            )

    async def read(self, subject: str) -> WorkflowDocument:
        """Read a document, and send the output of operators' changes.

        No delivery leads back to those, so a crash of the operator's process would leave it unsent.
        """
        return await self.documents.read(subject)

    async def _send_operator_changes(self, document: WorkflowDocument) -> None:
        for entry in document.operator_changes:
            await self.send_unsent(entry)
            await self.index.write(document)

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
            changed = document.without(forgotten)
            if after := await self.write(changed, record, [entry], [record], utc_now()):
                await self.send_new(entry)
                await self.index.write(after)
                return Committed()

    async def answers_to(self, subject: str, signal: str) -> tuple[Event[Any], ...]:
        """Return the answers to the signal with that id, oldest first.

        The newest one may be in the document alone: it is stored apart once that is written.
        """
        document = await self.read(subject)
        stored = await self.answers.find(subject, signal)
        known = {event.id for event in stored}
        outputs = [entry.output for entry in document.journal if entry.output is not None]
        newest = [
            event
            for output in outputs
            if output.answers
            for event in (decode_message(each).event for each in output.messages)
            if event.id in output.answers and event.parentid == signal and event.id not in known
        ]
        return (*stored, *newest)

    async def read_progress(self, subject: str, digest: str) -> bytes:
        """Return the checkpoint of an event, empty where there is none."""
        data: bytes = (await self.read(subject)).progress.get(digest, b"")
        return data

    async def write_progress(
        self, subject: str, digest: str, data: bytes, known: Container[bytes]
    ) -> CheckpointResult | Duplicate:
        """Store the checkpoint of an event in place of a *known* one; see `ProgressStore.write`."""
        result: CheckpointResult | Duplicate = Committed()

        def change(document: WorkflowDocument) -> WorkflowDocument | None:
            nonlocal result
            if document.find(digest):
                result = Duplicate()
            elif not is_replaceable(document.progress.get(digest, b""), known):
                result = Fenced()
            else:
                result = Committed()
                return document.with_progress(digest, data)
            return None

        await self.documents.change(subject, change)
        return result

    async def find_refusal(
        self, message: Message, expected: int | None
    ) -> Conflict | Duplicate | IdReused | None:
        """Return why a turn would be refused, None if it would not; nothing is sent again."""
        refusal, document = await self._compare(message, has_record=expected is not None)
        if refusal is not None or document is None or document.turn == expected:
            return refusal
        return Conflict(document.turn)

    async def find_consumption(self, message: Message) -> Duplicate | IdReused | None:
        """Return the refusal of an event that was consumed before; of a handler without a record,
        in this process.
        """
        return (await self._compare(message, has_record=key_of(message.to) is not None))[0]

    async def _compare(
        self, message: Message, *, has_record: bool
    ) -> tuple[Duplicate | IdReused | None, WorkflowDocument | None]:
        """Compare an event with the one that was consumed by its id, and return the document."""
        digest = digest_of(queue_of(message.to), message.event)
        if not has_record:
            document, stored = None, self._sent.get((digest, 0))
        else:
            document = await self.read(message.event.subject)
            entry = document.find(digest)
            stored = None if entry is None else entry.content
        if stored is None:
            return None, document
        return compare_digests(stored, inbox_digest(message.event)), document

    async def was_consumed(self, message: Message) -> bool:
        """Return True if an event was consumed before, and not another one with its id; output that
        may be missing is sent again.
        """
        if not isinstance(message.to, ToHandler):
            return False
        digest, stored = digest_of(message.to.address, message.event), None
        if message.to.key is None:
            stored = self._sent.get((digest, 0))
        else:
            document = await self.read(message.event.subject)
            if (entry := document.find(digest)) is not None:
                await self.send_unsent(entry)
                await self.index.write(document)
                stored = entry.content
        if stored is None:
            return False
        return isinstance(compare_digests(stored, inbox_digest(message.event)), Duplicate)

    def clear_cache(self) -> None:
        """Forget the cached documents, but not which turns were sent."""
        self.documents.clear()

    async def write(
        self,
        document: WorkflowDocument,
        record: Record,
        entries: Sequence[Consumption],
        history: Sequence[Addition],
        now: datetime,
    ) -> WorkflowDocument | None:
        """Write turns on top of a document; None if the store has another one by now.

        *history*: what they add to the history of the workflow.
        """
        for unsent in document.excess_unsent(self._sent):
            await self.send_unsent(unsent)
        await self.index.write_excess(document)
        after = document.after_turns(record, entries, self._sent, now)
        after = self.index.add(after, history, now)
        return after if await self.documents.write(record.subject, after) else None

    async def send_new(self, entry: Consumption, number: int | None = None) -> None:
        """Send the output of a turn that this process has just written.

        *number*: how many of its messages; requests of this process take the others.
        """
        if entry.output is not None and entry.key not in self._sent:
            await self._send(entry.key, entry.output, entry.content, number)

    async def send_unsent(self, entry: Consumption) -> None:
        """Send the output of a turn, unless this process knows that it was sent."""
        if entry.output is not None and entry.key not in self._sent:
            await self._send(entry.key, entry.output, entry.content, is_dup=True)

    async def _send_again(self, delivery: Delivery, entry: Consumption) -> None:
        """Send the output of a turn that was written by an earlier attempt."""
        output, observation = entry.output, delivery.progress.observation
        is_unsent = output is not None and output.messages and entry.key not in self._sent
        await self.send_unsent(entry)
        if is_unsent and observation is not None and output is not None:
            observation.forwarded([decode_message(each).event for each in output.messages])

    async def _send(
        self,
        key: TurnKey,
        output: Output,
        content: str,
        number: int | None = None,
        *,
        is_dup: bool = False,
    ) -> None:
        if output.answers:
            # Before they are sent: a caller in another process has no other way to them.
            await self.answers.add(
                event
                for event in (decode_message(each).event for each in output.messages)
                if event.id in output.answers
            )
        if output.messages[:number]:
            messages = _identified(key, output.messages[:number])
            if is_dup:
                messages = [_with_dup(message) for message in messages]
            try:
                await self.wire.publish(messages)
            except TooLarge:
                await self._send_one_by_one(messages)
            await self.cancellations.mark_published(messages)
        for dead_letter in output.dead_letters:
            await self.dead_letters.add(dead_letter)
        self._sent[key] = content
        if len(self._sent) > SENT_MAX:
            self._sent.popitem(last=False)

    async def _send_one_by_one(self, messages: Sequence[EncodedMessage]) -> None:
        """Publish the messages that the broker accepts, and store the others as dead letters.

        The turn is written already, so raising would fail each redelivery in the same way.
        """
        for encoded in messages:
            try:
                await self.wire.publish([encoded])
            except TooLarge as error:
                message, reason = decode_message(encoded), str(error)
                dead_letter = DeadLetter(
                    # That of the message, where it has one: when it is sent again after a crash,
                    # the dead letter is found.
                    id=encoded.id or fresh_stamp().id,
                    event=message.event,
                    reason=reason,
                    attempts=1,
                    at=utc_now().isoformat(timespec="milliseconds"),
                    to=message.to,
                )
                if await self.dead_letters.add(dead_letter):
                    log_dead_letter(dead_letter)


def is_replaceable(stored: bytes, known: Container[bytes]) -> bool:
    """Return whether a checkpoint may be replaced: there is none, or it is a *known* one.

    Any other one is that of a worker that processes the same event, here or in another process.
    """
    return not stored or stored in known


def _is_repeated(delivery: Delivery) -> bool:
    """Return whether a worker may have sent the output of a delivery before."""
    encoded = token_of(delivery)
    return encoded.attempt > 1 or DUP in encoded.message.headers


def _with_dup(message: EncodedMessage) -> EncodedMessage:
    return evolve(message, headers={**message.headers, DUP: "yes"})


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
