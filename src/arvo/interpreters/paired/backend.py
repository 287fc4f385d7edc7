"""Pair: a backend made of any machine memory and any broker."""

import asyncio
from collections.abc import Sequence
from typing import Any, Final, Protocol, final, runtime_checkable

from attrs import define, evolve, field

from arvo.core.commit import Commit, PendingTimer
from arvo.core.events.event import Event
from arvo.core.history import HistoryEntry
from arvo.core.record import Record
from arvo.core.violations.issue import Issue
from arvo.core.violations.violation import ConfigViolation, Violated
from arvo.engine.step.route import ToHandler
from arvo.interpreters.delivery.rest import until_rest
from arvo.interpreters.paired.consumer import Intake, message_of
from arvo.interpreters.paired.dead_letters import Letters
from arvo.interpreters.paired.document import Output
from arvo.interpreters.paired.outbox import Outbox
from arvo.interpreters.ports.backend import (
    Backend,
    CommitResult,
    Committed,
    Conflict,
    DeadLetter,
    Delivery,
    Depth,
    Message,
    StoredWorkflow,
    Unavailable,
    timer_message,
)
from arvo.interpreters.ports.broker import Broker, EncodedDelivery, EncodedMessage, ReportsDepth
from arvo.interpreters.ports.machine_memory import MachineMemory

# Events under way before `send` waits, where the broker can count.
QUEUE_MAX: Final = 10_000
# How often a broker is asked whether it has room.
ASK_SECONDS: Final = 0.001


@runtime_checkable
class Closing(Protocol):
    """A memory or a broker that holds something open; used again, it opens it again."""

    async def close(self) -> None:
        """Let go of it."""
        ...


def paired(memory: MachineMemory, broker: Broker, *, queue_max: int = QUEUE_MAX) -> Backend:
    """Make a backend of a memory and a broker that know nothing of each other.

    *queue_max*: events under way before `send` waits, where the broker can count. Memory and broker
    stay yours: closing the backend ends its iterations and leaves them open.

    A turn of a workflow is committed in four moves, each of which may be the last:

    1. write: record and journal in one value, by compare and set. The journal says which events
       were consumed, and what followed from the last of them: events, timers, dead letters.
    2. send: publish the events (timers as events that are due later), keep the dead letters.
    3. settle the delivery.
    4. forget what followed, with the next write.

    After a crash before the first move nothing has happened. After any later one the delivery comes
    again, is found in the journal, and exactly the same is sent again; consumers drop by their own
    journals what they had before. Of two who work on one event the slower one's write is refused.

    A handler without memory has no journal: delivered again, it sends again, with the same ids.
    What leaves the system or goes home comes at least once, with the same id each time.
    """
    return Pair(memory, broker, queue_max)


@final
@define(eq=False)
class Pair:
    """See `paired`. Operations do what `Backend` says.

    *owned*: whether memory and broker are closed with it.
    """

    memory: MachineMemory
    broker: Broker
    queue_max: int = QUEUE_MAX
    owned: bool = False
    _intake: Intake = field(init=False)
    _letters: Letters = field(init=False)
    _outbox: Outbox = field(init=False)
    _room: int = field(default=0, init=False)
    _closings: int = field(default=0, init=False)
    _sending: asyncio.Lock = field(factory=asyncio.Lock, init=False)

    def __attrs_post_init__(self) -> None:
        self._intake = Intake(self.broker)
        self._letters = Letters(self.memory)
        self._outbox = Outbox(self.memory, self.broker, self._letters)

    async def send(self, message: Message) -> None:
        """Publish an event from outside."""
        if isinstance(self.broker, ReportsDepth):
            # First come, first served; and asked once for as many as there is room for.
            async with self._sending:
                await self._make_room(self.broker)
        # A copy: a request must not take its own event, sent again after a crash, for an old one.
        event = message.event.carrying(message.event.data, message.event.raw)
        await self.broker.publish([message_of(evolve(message, event=event))])

    async def receive(self, queue: str) -> Delivery:
        """Hand out the next delivery of a lane whose key nobody here works on."""
        return await self._intake.receive(queue)

    async def load(self, subject: str) -> Record | None:
        """Read what is remembered of a workflow."""
        return (await self._outbox.read(subject)).record

    async def commit(
        self,
        delivery: Delivery,
        commit: Commit,
        messages: Sequence[Message],
        dead_letters: Sequence[DeadLetter],
    ) -> CommitResult:
        """Write, send, settle: see `paired`."""
        output = Output(_messages(commit, messages), tuple(dead_letters))
        if commit.record is None and not commit.expected:
            applied = await self._outbox.answer(commit, output)
        else:
            applied = await self._outbox.turn(commit, output)
        if not isinstance(applied, Conflict):
            await self.ack(delivery)
        return applied

    async def workflows(self, **_: object) -> tuple[StoredWorkflow, ...]:
        """Refuse: a store that can only compare and set knows its values by name."""
        issue = Issue("workflows", "a backend that can list, such as sqlite:///file.db", "a pair")
        raise Violated(ConfigViolation("ask for one workflow, by its subject", issue))

    async def workflow(self, subject: str) -> StoredWorkflow | None:
        """Give a workflow, with its times."""
        held = await self._outbox.read(subject)
        if held.record is None or held.began is None or held.changed is None:
            return None
        return StoredWorkflow(record=held.record, began=held.began, changed=held.changed)

    async def history(self, subject: str, **_: object) -> tuple[HistoryEntry, ...]:  # noqa: ARG002
        """Give nothing: a pair forgets the past, but for what it must not do twice."""
        return ()

    async def produced(self, subject: str) -> tuple[Event[Any], ...]:
        """Give what might have to be sent again: of a workflow that has ended, its last turn's."""
        held = await self._outbox.read(subject)
        outputs = [line.output for line in held.journal if line.output is not None]
        return tuple(message.event for output in outputs for message in output.messages)

    async def replace_record(
        self,
        record: Record,
        expected: int,
        *,
        timers: Sequence[PendingTimer] = (),
        redeliver: Sequence[Event[Any]] = (),
    ) -> Committed | Conflict:
        """Write a record that nobody has changed since it was read, and send what follows."""
        to = ToHandler(record.handler, record.subject)
        messages = [message_of(Message(event, to)) for event in redeliver]
        messages += (
            evolve(message_of(Message(timer.event, to)), due=timer.due) for timer in timers
        )
        events = (*redeliver, *(timer.event for timer in timers))
        return await self._outbox.replace_record(record, expected, Output(tuple(messages)), events)

    async def ack(self, delivery: Delivery) -> None:
        """Settle a delivery."""
        await self.broker.ack(_token(delivery))
        self._intake.settle(delivery)

    async def nack(self, delivery: Delivery, delay: float) -> None:
        """Hand a delivery out again; while the broker is gone, without its help."""
        try:
            await self.broker.nack(_token(delivery), delay)
        except Unavailable:
            self._intake.keep(delivery, delay)
            raise
        self._intake.settle(delivery, delay=delay)

    async def dead_letter(self, delivery: Delivery | None, dead_letter: DeadLetter) -> None:
        """Keep a dead letter, then settle; what was consumed after all is carried through."""
        if delivery is not None and await self._outbox.was_consumed(delivery.message):
            await self.ack(delivery)
            return
        await self._letters.keep(dead_letter)
        if delivery is not None:
            await self.broker.dead_letter(_token(delivery), dead_letter.reason)
            self._intake.settle(delivery)

    async def dead_letters(self) -> tuple[DeadLetter, ...]:
        """List the dead letters, oldest first."""
        return await self._letters.all()

    async def redrive(self, id: str, messages: Sequence[Message]) -> bool:  # noqa: A002 - the port's word
        """Send *posts*, then take a dead letter out; two who do so at once may both send."""
        dead_letter = await self._letters.find(id)
        if dead_letter is None:
            return False
        if messages:
            await self.broker.publish([message_of(message) for message in messages])
        await self._letters.remove(dead_letter)
        return True

    async def depth(self) -> Depth:
        """Say how much is under way; of a broker that cannot count, only what is here."""
        here = self._intake.waiting
        if isinstance(self.broker, ReportsDepth):
            depth = await self.broker.depth()
            return evolve(depth, ready=depth.ready + here, taken=max(0, depth.taken - here))
        return Depth(ready=here, taken=len(self._intake.lanes.taken))

    async def wait_until_idle(self) -> None:
        """Wait until nothing is under way; of a broker that cannot count, until little comes."""
        # What was sent just now may be on its way to us.
        self._intake.stirred()
        await until_rest(self._is_busy)

    async def close(self) -> None:
        """End the iterations; the broker hands out again what is not settled."""
        self._closings += 1
        await self._intake.close()
        self._outbox.forget()
        for each in (self.memory, self.broker) if self.owned else ():
            if isinstance(each, Closing):
                await each.close()

    async def _make_room(self, broker: ReportsDepth) -> None:
        """Take a place in the queue, when there is one."""
        closings = self._closings
        while self._room <= 0:
            self._room = self.queue_max - (await broker.depth()).total
            if self._room <= 0:
                await asyncio.sleep(ASK_SECONDS)
            if closings != self._closings:
                raise Unavailable("the backend was closed before it took the event")
        self._room -= 1

    async def _is_busy(self) -> bool:
        if isinstance(self.broker, ReportsDepth):
            return bool((await self.broker.depth()).total)
        return not self._intake.is_quiet


def _messages(commit: Commit, messages: Sequence[Message]) -> tuple[EncodedMessage, ...]:
    """Say what a commit sends; a timer is a message that is due later, and one that was cleared is
    turned away when it comes.
    """
    timers = (
        evolve(message_of(timer_message(commit, timer)), due=timer.due) for timer in commit.timers
    )
    return *map(message_of, messages), *timers


def _token(delivery: Delivery) -> EncodedDelivery:
    assert isinstance(delivery.token, EncodedDelivery)
    return delivery.token
