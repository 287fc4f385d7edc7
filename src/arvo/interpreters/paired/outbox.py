"""Outbox: writes what follows from an event beside the record, sends it, and knows it again."""

import logging
from collections import OrderedDict
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, final

from attrs import define, evolve, field

from arvo.core.commit import Commit
from arvo.core.events.event import Event
from arvo.core.record import Record
from arvo.engine.step.route import ToHandler
from arvo.interpreters.delivery.clock import fresh_stamp, utc_now
from arvo.interpreters.paired.consumer import reachable
from arvo.interpreters.paired.dead_letters import Letters
from arvo.interpreters.paired.document import AMENDED, Held, Line, Mark, Output, digest
from arvo.interpreters.ports.backend import (
    Committed,
    Conflict,
    DeadLetter,
    Duplicate,
    Message,
    TooLarge,
)
from arvo.interpreters.ports.broker import Broker, EncodedMessage
from arvo.interpreters.ports.machine_memory import MachineMemory

logger: Final = logging.getLogger("arvo")

# Turns that this process knows to be sent, and workflows as it left them: what it forgets is sent
# or read once more.
SENT_MAX: Final = 100_000
RECENT_MAX: Final = 10_000


@final
@define(eq=False)
class Outbox:
    """The first two moves of a pair (see `paired`), and what is needed to find them again."""

    memory: MachineMemory
    broker: Broker
    letters: Letters
    _recent: "OrderedDict[str, Held]" = field(factory=OrderedDict, init=False)
    # What this process has sent; the memory need not hear of it before the next write.
    _sent: "OrderedDict[Mark, None]" = field(factory=OrderedDict, init=False)

    async def answer(self, commit: Commit, output: Output) -> Committed | Conflict | Duplicate:
        """Send what a handler without memory answers, unless it was sent from here before."""
        mark = digest(commit.handler, commit.event), 0
        if mark in self._sent:
            return Duplicate()
        await self._send(mark, output)
        return Committed()

    async def turn(self, commit: Commit, output: Output) -> Committed | Conflict | Duplicate:
        """Write a workflow's turn and send what follows, or find that it was written before."""
        subject = commit.event.subject if commit.record is None else commit.record.subject
        consumed = digest(commit.handler, commit.event)
        # Where nothing is written, nothing would notice that what is known here is old.
        held = self._recent.get(subject) if commit.record is not None else None
        fresh = held is None
        while True:
            held = held or await self.read(subject)
            if (line := held.line(consumed)) is not None:
                await self._forward(line)
                return Duplicate()
            if held.turn == commit.expected:
                if commit.record is None:
                    await self._send((consumed, 0), output)
                    return Committed()
                line = Line(consumed, commit.record.revision, output)
                if await self._write(held, commit.record, line, commit.now or utc_now()):
                    await self._forward(line)
                    return Committed()
            elif fresh:
                return Conflict(held.turn)
            held, fresh = None, True

    async def read(self, subject: str) -> Held:
        """Read what is held of a workflow, and send what no delivery will remind anybody of."""
        held = Held.of(await self.memory.read(subject))
        self._keep(subject, held)
        for line in held.amendments:
            await self._forward(line)
        return held

    async def replace_record(
        self, record: Record, expected: int, output: Output, redeliver: Sequence[Event[Any]]
    ) -> Committed | Conflict:
        """Write a record that nobody has changed since it was read, forget that events were
        consumed, and send what follows.
        """
        forgotten = {digest(record.handler, event) for event in redeliver}
        line = Line(f"{AMENDED}{record.revision}", record.revision, output)
        while True:
            held = await self.read(record.subject)
            if held.turn != expected:
                return Conflict(held.turn)
            if await self._write(held.without(forgotten), record, line, utc_now()):
                await self._forward(line)
                return Committed()

    async def was_consumed(self, message: Message) -> bool:
        """Tell whether an event was consumed before, and send again what may be missing."""
        match message.to:
            case ToHandler(address=address, key=None):
                return (digest(address, message.event), 0) in self._sent
            case ToHandler(address=address):
                held = await self.read(message.event.subject)
                line = held.line(digest(address, message.event))
                if line is not None:
                    await self._forward(line)
                return line is not None
            case _:
                return False

    def forget(self) -> None:
        """Let go of what was read; what was sent stays sent."""
        self._recent.clear()

    async def _write(self, held: Held, record: Record, line: Line, now: datetime) -> bool:
        """Write a turn on what is held; False where that has changed."""
        for overdue in held.overdue(self._sent):
            await self._forward(overdue)
        after = held.after(record, line, self._sent, now)
        written = await self.memory.write(record.subject, after.to_bytes(), held.revision)
        if isinstance(written, Conflict):
            return False
        self._keep(record.subject, evolve(after, revision=written.revision))
        return True

    async def _forward(self, line: Line) -> None:
        """Send what a turn led to, if that is not sure."""
        if line.output is not None and line.mark not in self._sent:
            await self._send(line.mark, line.output)

    async def _send(self, mark: Mark, output: Output) -> None:
        if output.messages:
            try:
                await self.broker.publish(output.messages)
            except TooLarge:
                await self._send_each(output.messages)
        for dead_letter in output.letters:
            await self.letters.keep(dead_letter)
        self._sent[mark] = None
        if len(self._sent) > SENT_MAX:
            self._sent.popitem(last=False)

    async def _send_each(self, messages: Sequence[EncodedMessage]) -> None:
        """Send what the broker takes, and keep what is too large for it as dead letters: the turn
        is written, and would fail over it for ever.
        """
        for message in messages:
            try:
                await self.broker.publish([message])
            except TooLarge as error:
                event, reason = message.event, str(error)
                logger.warning("event %s (%s) is a dead letter: %s", event.id, event.type, reason)
                dead_letter = DeadLetter(
                    id=fresh_stamp().id,
                    event=event,
                    reason=reason,
                    attempts=1,
                    at=utc_now().isoformat(timespec="milliseconds"),
                    to=reachable(message),
                )
                await self.letters.keep(dead_letter)

    def _keep(self, subject: str, held: Held) -> None:
        """Remember a workflow as it is now; one that has ended is not met again."""
        self._recent.pop(subject, None)
        if held.record is None or held.record.status == "active":
            self._recent[subject] = held
            if len(self._recent) > RECENT_MAX:
                self._recent.popitem(last=False)
