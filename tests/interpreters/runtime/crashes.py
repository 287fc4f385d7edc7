"""Crashes: memory and broker that stop a process before or after any one of their calls."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal, TypeAlias

from attrs import define, evolve, field

from arvo import (
    Backend,
    Conflict,
    Depth,
    EncodedDelivery,
    EncodedMessage,
    Event,
    InMemoryMachineMemory,
    MemoryBroker,
    Retry,
    Runtime,
    Stored,
    System,
    Unavailable,
)
from arvo.engine.step.route import ToHandler, route
from arvo.interpreters.paired.backend import Pair
from arvo.interpreters.ports.backend import OUTBOUND_QUEUE, REPLY_QUEUE, Message
from tests.shop import NOW

# What happens at a call: the process ends before or after it, or the call fails before or after it
# was carried out (an answer that is lost), and the process lives on.
Kind: TypeAlias = Literal["crash before", "crash after", "fail before", "fail after"]


@define
class Fate:
    """What happens at the *at*-th call, counted from 0; after a crash no call returns.

    *length*: how many calls fail, one after the other.
    """

    at: int = -1
    kind: Kind = "crash before"
    length: int = 1
    calls: list[str] = field(factory=list)
    crashed: asyncio.Event = field(factory=asyncio.Event)

    async def before(self, name: str) -> int:
        """Count a call, and let happen what happens before it."""
        if self.crashed.is_set():
            await asyncio.Event().wait()
        number = len(self.calls)
        self.calls.append(name)
        if self.at <= number < self.at + self.length:
            await self._strike("before")
        return number

    async def after(self, number: int) -> None:
        """Let happen what happens after a call."""
        if self.at <= number < self.at + self.length:
            await self._strike("after")

    async def _strike(self, when: str) -> None:
        if self.kind == f"crash {when}":
            self.crashed.set()
            await asyncio.Event().wait()
        if self.kind == f"fail {when}":
            raise Unavailable(f"{when} call {self.at}")


@define(eq=False)
class FatedMemory:
    """A memory whose calls meet a fate."""

    inner: InMemoryMachineMemory
    fate: Fate

    async def read(self, subject: str) -> Stored | None:
        number = await self.fate.before("read")
        found = await self.inner.read(subject)
        await self.fate.after(number)
        return found

    async def write(self, subject: str, record: bytes, expected: int) -> Stored | Conflict:
        number = await self.fate.before("write")
        written = await self.inner.write(subject, record, expected)
        await self.fate.after(number)
        return written


@define(eq=False)
class FatedBroker:
    """A broker whose calls meet a fate; handing out is a call as well."""

    inner: MemoryBroker
    fate: Fate
    seen: set[tuple[str, str, str]]
    # For each message in turn: how many minutes late it comes, and a copy of it; None for no copy.
    chances: deque[tuple[int, int | None]] = field(factory=deque)

    async def publish(self, messages: Sequence[EncodedMessage]) -> None:
        # One by one, for a broker need not take them all or nothing.
        for message in messages:
            number = await self.fate.before("publish")
            await self.inner.publish(list(self._chanced(message)))
            await self.fate.after(number)

    def _chanced(self, message: EncodedMessage) -> Iterator[EncodedMessage]:
        late, copied = self.chances.popleft() if self.chances else (0, None)
        yield self._late(message, late)
        if copied is not None:
            yield self._late(message, copied)

    def _late(self, message: EncodedMessage, minutes: int) -> EncodedMessage:
        if not minutes:
            return message
        return evolve(message, due=(message.due or self.inner.now()) + timedelta(minutes=minutes))

    async def deliveries(self, addresses: Sequence[str]) -> AsyncGenerator[EncodedDelivery, None]:
        incoming = self.inner.deliveries(addresses)
        try:
            async for delivery in incoming:
                await self.fate.after(await self.fate.before("deliver"))
                message = delivery.message
                if message.address in (OUTBOUND_QUEUE, REPLY_QUEUE):
                    self.seen.add((message.address, message.event.id, message.event.type))
                yield delivery
        finally:
            await incoming.aclose()

    async def ack(self, delivery: EncodedDelivery) -> None:
        number = await self.fate.before("done")
        await self.inner.ack(delivery)
        await self.fate.after(number)

    async def nack(self, delivery: EncodedDelivery, delay: float) -> None:
        number = await self.fate.before("again")
        await self.inner.nack(delivery, delay)
        await self.fate.after(number)

    async def dead_letter(self, delivery: EncodedDelivery, reason: str) -> None:
        number = await self.fate.before("dead")
        await self.inner.dead_letter(delivery, reason)
        await self.fate.after(number)

    async def depth(self) -> Depth:
        # Only asked by those who look on: no part of what may break.
        return await self.inner.depth()


@define
class Clock:
    """A clock that is set by hand."""

    now: datetime = NOW

    def __call__(self) -> datetime:
        return self.now


@define
class World:
    """What survives a process, and what was seen outside: each event by id and type."""

    clock: Clock = field(factory=Clock)
    memory: InMemoryMachineMemory = field(factory=InMemoryMachineMemory)
    broker: MemoryBroker = field(init=False)
    seen: set[tuple[str, str, str]] = field(factory=set)
    chances: deque[tuple[int, int | None]] = field(factory=deque)

    def __attrs_post_init__(self) -> None:
        self.broker = MemoryBroker(self.clock)

    def backend(self, fate: Fate) -> Backend:
        """Open memory and broker anew, as another process would."""
        broker = FatedBroker(self.broker, fate, self.seen, self.chances)
        pair = Pair(FatedMemory(self.memory, fate), broker)
        # Nobody has the time here to leave a broker alone.
        pair._intake.pause = 0.0
        return pair

    async def live(self, system: System, fate: Fate) -> None:
        """Run a process until nothing is under way and no timer waits, or until it crashes."""
        runtime = Runtime(system, self.backend(fate), now=self.clock, retry=PATIENT)
        runtime.on_domain()(lambda event: None)
        await runtime.__aenter__()
        crashing = asyncio.create_task(fate.crashed.wait())
        working = asyncio.create_task(self._rest())
        await asyncio.wait({crashing, working}, return_when=asyncio.FIRST_COMPLETED)
        for task in (crashing, working, *runtime._tasks):
            task.cancel()
        await asyncio.gather(crashing, working, *runtime._tasks, return_exceptions=True)
        # All that closing does here is to drop the connection.
        await runtime._backend.close()

    async def _rest(self) -> None:
        while True:
            depth = await self.broker.depth()
            if not depth.total and not depth.timers:
                return
            if not depth.total:
                self.clock.now += timedelta(minutes=1)
            await asyncio.sleep(0)


# Nothing is buried because it failed once or twice, and no time passes meanwhile.
PATIENT = Retry(attempts=5, delay=0.0)


async def outcome(
    system: System, events: Sequence[Event[Any]], fate: Fate, before: Sequence[Event[Any]] = ()
) -> dict[str, Any]:
    """Run a system until nothing is left to do, through whatever *fate* brings, and tell what is
    remembered, what was seen outside, and what became a dead letter.

    What comes *before* the events is carried through in peace.
    """
    world = World()
    outside = world.backend(Fate())
    async with asyncio.timeout(20):
        if before:
            await sent(outside, system, before)
            await world.live(system, Fate())
        await sent(outside, system, events)
        await world.live(system, fate)
        await world.live(system, Fate())
    dead_letters = await outside.dead_letters()
    return {
        "records": {event.subject: await outside.load(event.subject) for event in events},
        "seen": world.seen,
        "letters": sorted(
            (dead_letter.event.id, dead_letter.reason) for dead_letter in dead_letters
        ),
        "depth": await outside.depth(),
    }


async def sent(backend: Backend, system: System, events: Sequence[Event[Any]]) -> None:
    """Send events from outside."""
    for event in events:
        to = route(system, event, None)
        assert isinstance(to, ToHandler)
        await backend.send(Message(event, to))
