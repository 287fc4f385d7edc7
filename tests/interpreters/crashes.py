"""Crashes: a memory, an index and a broker that stop a process, or fail, at any of their calls."""

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
    HistoryBlock,
    IndexQuery,
    IndexRow,
    InMemoryIndex,
    InMemoryMachineMemory,
    MemoryBroker,
    Retention,
    Retry,
    Runtime,
    Stored,
    System,
    Unavailable,
)
from arvo.engine.step.route import ToHandler, route
from arvo.interpreters.paired.backend import Pair
from arvo.interpreters.paired.documents.codec import decode_message
from arvo.interpreters.paired.documents.document import WorkflowDocument
from arvo.interpreters.ports.chains import CommitChain
from arvo.interpreters.ports.messages import OUTBOUND_QUEUE, REPLY_QUEUE, Message
from arvo.interpreters.ports.results import StoredWorkflow
from arvo.testing import RecordingObserver
from tests.shop import NOW

# The process ends before or after a call. Or the call raises before or after it was carried out (a
# lost answer), and the process continues.
FaultKind: TypeAlias = Literal["crash before", "crash after", "fail before", "fail after"]


# The clock of these tests is not the one by which ended workflows are deleted.
FOREVER = Retention(finished=None)

# Which turns a pair writes at once: all that follow in a workflow, those of handlers that follow
# one of its turns, or each by itself.
Chaining: TypeAlias = Literal["a workflow's", "a turn's", "none"]


@define
class CallFault:
    """A fault at the *at*-th call, counted from 0. After a crash no call returns.

    *length*: the number of consecutive calls that fail.
    """

    at: int = -1
    kind: FaultKind = "crash before"
    length: int = 1
    calls: list[str] = field(factory=list)
    crashed: asyncio.Event = field(factory=asyncio.Event)

    async def before(self, name: str) -> int:
        """Count a call, and inject the fault before it."""
        if self.crashed.is_set():
            await asyncio.Event().wait()
        number = len(self.calls)
        self.calls.append(name)
        if self.at <= number < self.at + self.length:
            await self._inject("before")
        return number

    async def after(self, number: int) -> None:
        """Inject the fault after a call."""
        if self.at <= number < self.at + self.length:
            await self._inject("after")

    async def _inject(self, when: str) -> None:
        if self.kind == f"crash {when}":
            self.crashed.set()
            await asyncio.Event().wait()
        if self.kind == f"fail {when}":
            raise Unavailable(f"{when} call {self.at}")


@define(eq=False)
class FaultyMemory:
    """A memory whose calls fail as *fault* says."""

    inner: InMemoryMachineMemory
    fault: CallFault

    async def read(self, subject: str) -> Stored | None:
        number = await self.fault.before("read")
        stored = await self.inner.read(subject)
        await self.fault.after(number)
        return stored

    async def write(self, subject: str, record: bytes, expected: int) -> Stored | Conflict:
        number = await self.fault.before("write")
        written = await self.inner.write(subject, record, expected)
        await self.fault.after(number)
        return written


@define(eq=False)
class FaultyIndex:
    """An index whose writes fail as *fault* says."""

    inner: InMemoryIndex
    fault: CallFault

    async def write(self, row: IndexRow, blocks: Sequence[HistoryBlock]) -> None:
        number = await self.fault.before("index")
        await self.inner.write(row, blocks)
        await self.fault.after(number)

    async def search(self, query: IndexQuery) -> Sequence[IndexRow]:
        return await self.inner.search(query)

    async def blocks(self, subject: str, start: int, end: int) -> Sequence[HistoryBlock]:
        return await self.inner.blocks(subject, start, end)

    async def delete_ended(self, before: datetime, limit: int) -> int:
        return await self.inner.delete_ended(before, limit)


@define(eq=False)
class BlindBroker:
    """A broker whose calls fail as *fault* says, and that does not see keys.

    Each delivery counts as a call.
    """

    inner: MemoryBroker
    fault: CallFault
    outbound: set[tuple[str, str, str]]
    # For each message in turn: the minutes by which it is delayed, and the minutes by which a
    # duplicate of it is delayed, None for no duplicate.
    delivery_faults: deque[tuple[int, int | None]] = field(factory=deque)

    async def publish(self, messages: Sequence[EncodedMessage]) -> None:
        # One by one: a broker need not publish all or nothing.
        for message in messages:
            number = await self.fault.before("publish")
            await self.inner.publish(list(self._disturb(message)))
            await self.fault.after(number)

    def _disturb(self, message: EncodedMessage) -> Iterator[EncodedMessage]:
        delay, duplicate = self.delivery_faults.popleft() if self.delivery_faults else (0, None)
        yield self._delay(message, delay)
        if duplicate is not None:
            yield self._delay(message, duplicate)

    def _delay(self, message: EncodedMessage, minutes: int) -> EncodedMessage:
        if not minutes:
            return message
        return evolve(message, due=(message.due or self.inner.now()) + timedelta(minutes=minutes))

    async def deliveries(self, addresses: Sequence[str]) -> AsyncGenerator[EncodedDelivery, None]:
        incoming = self.inner.deliveries(addresses)
        try:
            async for delivery in incoming:
                await self.fault.after(await self.fault.before("deliver"))
                message = delivery.message
                if message.queue in (OUTBOUND_QUEUE, REPLY_QUEUE):
                    event = decode_message(message).event
                    self.outbound.add((message.queue, event.id, event.type))
                yield delivery
        finally:
            await incoming.aclose()

    async def ack(self, delivery: EncodedDelivery) -> None:
        number = await self.fault.before("ack")
        await self.inner.ack(delivery)
        await self.fault.after(number)

    async def nack(self, delivery: EncodedDelivery, delay: float) -> None:
        number = await self.fault.before("nack")
        await self.inner.nack(delivery, delay)
        await self.fault.after(number)

    async def defer(self, delivery: EncodedDelivery, delay: float) -> None:
        number = await self.fault.before("defer")
        await self.inner.defer(delivery, delay)
        await self.fault.after(number)

    async def dead_letter(self, delivery: EncodedDelivery, reason: str) -> None:
        number = await self.fault.before("dead_letter")
        await self.inner.dead_letter(delivery, reason)
        await self.fault.after(number)

    async def depth(self) -> Depth:
        # Only the test calls it, so it never fails.
        return await self.inner.depth()


@define(eq=False)
class FaultyBroker(BlindBroker):
    """A broker whose calls fail as *fault* says, and that sees keys."""

    async def has_others(self, delivery: EncodedDelivery) -> bool:
        number = await self.fault.before("has_others")
        has_others = await self.inner.has_others(delivery)
        await self.fault.after(number)
        return has_others


@define
class NoChains:
    """Refuses each chain, so that every turn is processed by itself."""

    passes_keys: bool = False

    async def write(self, _: CommitChain) -> bool:
        return False


@define
class Clock:
    """A clock that the test sets."""

    now: datetime = NOW

    def __call__(self) -> datetime:
        return self.now


@define
class Surroundings:
    """The state that survives a process.

    *outbound*: the queue, id and type of each event that has left the system. *chaining*: which
    turns the pairs write at once.
    """

    clock: Clock = field(factory=Clock)
    memory: InMemoryMachineMemory = field(factory=InMemoryMachineMemory)
    index: InMemoryIndex = field(factory=InMemoryIndex)
    broker: MemoryBroker = field(init=False)
    outbound: set[tuple[str, str, str]] = field(factory=set)
    delivery_faults: deque[tuple[int, int | None]] = field(factory=deque)
    chaining: Chaining = "a workflow's"

    def __attrs_post_init__(self) -> None:
        self.broker = MemoryBroker(self.clock)

    def open_backend(self, fault: CallFault) -> Backend:
        """Make a backend on the same memory and broker, as another process would."""
        make = FaultyBroker if self.chaining == "a workflow's" else BlindBroker
        broker = make(self.broker, fault, self.outbound, self.delivery_faults)
        index = FaultyIndex(self.index, fault)
        memory = FaultyMemory(self.memory, fault)
        pair: Any = Pair(memory, broker, retention=FOREVER, index=index)
        if self.chaining == "none":
            pair._chains = NoChains()
        # Time does not pass in these tests.
        pair._consumer.pause_seconds = 0.0
        backend: Backend = pair
        return backend

    async def run_process(self, system: System, fault: CallFault) -> None:
        """Run an observed process until it crashes, or no message is under way, no timer is
        pending and no span is open.
        """
        runtime = Runtime(system, self.open_backend(fault), now=self.clock, retry=WITHOUT_DELAY)
        observer = RecordingObserver()
        runtime.observe(observer)

        @runtime.on_domain()
        async def ignore(_: Event[Any]) -> None:
            pass

        await runtime.__aenter__()
        crashing = asyncio.create_task(fault.crashed.wait())
        working = asyncio.create_task(self._wait_until_idle(observer))
        await asyncio.wait({crashing, working}, return_when=asyncio.FIRST_COMPLETED)
        for task in (crashing, working, *runtime._tasks.all):
            task.cancel()
        await asyncio.gather(crashing, working, *runtime._tasks.all, return_exceptions=True)
        backend = runtime._backend
        assert isinstance(backend, Pair)
        # A process that has crashed closes nothing; the broker notices that its connection is gone.
        await (backend._consumer.close() if fault.crashed.is_set() else backend.close())
        assert [span.name for span in observer.spans if len(span.ends) > 1] == []

    async def check_index(self) -> None:
        """Compare the index, once no message is under way, with all that the memory holds."""
        backend = self.open_backend(CallFault())
        documents = [
            WorkflowDocument.from_stored(stored)
            for subject, stored in self.memory._values.items()
            if not subject.startswith("(")
        ]
        records = {each.record.subject: each for each in documents if each.record is not None}
        listed, page = list[StoredWorkflow](), (await backend.workflows(limit=2))
        while page:
            listed += page
            page = await backend.workflows(after=page[-1], limit=2)
        places = [(stored.changed, stored.record.subject) for stored in listed]
        assert places == sorted(
            ((each.changed, subject) for subject, each in records.items()), reverse=True
        )
        for stored in listed:
            subject, record = stored.record.subject, stored.record
            assert record == records[subject].record
            assert await backend.workflow(subject) == stored
            history = await backend.history(subject)
            assert [entry.position for entry in history] == list(range(len(history)))
            turns = [entry.revision for entry in history if entry.kind == "consumed"]
            assert turns == list(range(1, record.revision + 1))
            assert history[-1].revision == record.revision
            # All of it is in the index, and not only in the document.
            blocks = await self.index.blocks(subject, 0, len(history))
            assert sum(block.length for block in blocks) == len(history)

    async def _wait_until_idle(self, observer: RecordingObserver) -> None:
        while True:
            depth = await self.broker.depth()
            # The process may not know yet that it has settled its last message: the answer is lost.
            if not depth.total and not depth.timers and not observer.open:
                return
            if not depth.total and depth.timers:
                self.clock.now += timedelta(minutes=1)
            await asyncio.sleep(0)


# A few failures and crashes make no dead letter, and no time passes between them.
WITHOUT_DELAY = Retry(attempts=20, delay=0.0)


async def run_with_fault(
    system: System,
    events: Sequence[Event[Any]],
    fault: CallFault,
    before: Sequence[Event[Any]] = (),
    chaining: Chaining = "a workflow's",
) -> dict[str, Any]:
    """Run a system until it is idle, with a fault on the way, and return all that remains.

    The events *before* are processed first, without a fault.
    """
    surroundings = Surroundings(chaining=chaining)
    observer = surroundings.open_backend(CallFault())
    async with asyncio.timeout(60):
        if before:
            await send_all(observer, system, before)
            await surroundings.run_process(system, CallFault())
        await send_all(observer, system, events)
        await surroundings.run_process(system, fault)
        await surroundings.run_process(system, CallFault())
    await surroundings.check_index()
    dead_letters = await observer.dead_letters()
    return {
        "records": {event.subject: await observer.load(event.subject) for event in events},
        "outbound": surroundings.outbound,
        "dead_letters": sorted(
            (dead_letter.event.id, dead_letter.reason) for dead_letter in dead_letters
        ),
        "depth": await observer.depth(),
    }


async def send_all(backend: Backend, system: System, events: Sequence[Event[Any]]) -> None:
    """Send events to the handlers of a system."""
    for event in events:
        to = route(system, event, None)
        assert isinstance(to, ToHandler)
        await backend.send(Message(event, to))
