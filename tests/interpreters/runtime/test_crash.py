"""Crashes: whatever moment a process dies at, nothing is lost and nothing is doubled."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

from attrs import define, field, frozen

from arvo import (
    Commit,
    Domain,
    Event,
    Flow,
    Record,
    Runtime,
    System,
    WorkflowDomains,
    ask,
    flow,
    sleep,
)
from arvo.core.history import HistoryEntry
from arvo.interpreters.ports.backend import (
    CommitResult,
    Committed,
    Conflict,
    DeadLetter,
    Delivery,
    Depth,
    Message,
    StoredWorkflow,
)
from arvo.interpreters.sqlite import SqliteBackend
from tests.shop import (
    SERVICES,
    BookShipment,
    CardCharged,
    ChargeCard,
    OrderFulfilled,
    PlaceOrder,
    ShipmentBooked,
    order,
    payments,
    placing,
    shipping,
)

T = TypeVar("T")

# Short, so that whoever opens the file next finds its predecessor dead.
LEASE_SECONDS = 0.02
NEVER = 10**9


@flow(order, "1.0.0", services=SERVICES, domains=WorkflowDomains(complete=(Domain.LOCAL, "ops")))
def fulfil(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
    """A service, a timer, another service; it completes to whoever asked, and outside."""
    yield from ask(ChargeCard(event.data.order_id, 1.0), CardCharged, undo=BookShipment("undo"))
    yield from sleep(0.001)
    booked = yield from ask(BookShipment(event.data.order_id), ShipmentBooked)
    return OrderFulfilled(booked.tracking)


system = System([payments, shipping, fulfil])


@define
class Crashing:
    """A backend whose process dies *when* its *at*-th call is made, or has been carried out.

    From then on no call comes back, as in a process that is gone.
    """

    inner: SqliteBackend
    at: int
    when: Literal["before", "after"]
    calls: int = 0
    died: asyncio.Event = field(factory=asyncio.Event)

    async def _call(self, work: Callable[[], Awaitable[T]]) -> T:
        self.calls += 1
        last = self.calls == self.at
        if self.died.is_set() or (last and self.when == "before"):
            await self._die()
        value = await work()
        if self.died.is_set() or last:
            await self._die()
        return value

    async def _die(self) -> None:
        self.died.set()
        await asyncio.Event().wait()

    async def send(self, message: Message) -> None:
        await self._call(lambda: self.inner.send(message))

    async def receive(self, queue: str) -> Delivery:
        # Waiting changes nothing; what was handed out and never settled is covered by the others.
        return await self.inner.receive(queue)

    async def load(self, subject: str) -> Record | None:
        return await self.inner.load(subject)

    async def commit(
        self,
        delivery: Delivery,
        commit: Commit,
        messages: Sequence[Message],
        dead_letters: Sequence[DeadLetter],
    ) -> CommitResult:
        return await self._call(lambda: self.inner.commit(delivery, commit, messages, dead_letters))

    async def workflows(self, **wanted: Any) -> tuple[StoredWorkflow, ...]:
        return await self.inner.workflows(**wanted)

    async def workflow(self, subject: str) -> StoredWorkflow | None:
        return await self.inner.workflow(subject)

    async def history(self, subject: str, **wanted: Any) -> tuple[HistoryEntry, ...]:
        return await self.inner.history(subject, **wanted)

    async def replace_record(
        self, record: Record, expected: int, **wanted: Any
    ) -> Committed | Conflict:
        return await self.inner.replace_record(record, expected, **wanted)

    async def ack(self, delivery: Delivery) -> None:
        await self._call(lambda: self.inner.ack(delivery))

    async def nack(self, delivery: Delivery, delay: float) -> None:
        await self._call(lambda: self.inner.nack(delivery, delay))

    async def dead_letter(self, delivery: Delivery | None, dead_letter: DeadLetter) -> None:
        await self._call(lambda: self.inner.dead_letter(delivery, dead_letter))

    async def dead_letters(self) -> tuple[DeadLetter, ...]:
        return await self.inner.dead_letters()

    async def redrive(self, id: str, messages: Sequence[Message]) -> bool:  # noqa: A002 - the port's word
        return await self.inner.redrive(id, messages)

    async def depth(self) -> Depth:
        return await self.inner.depth()

    async def wait_until_idle(self) -> None:
        await self.inner.wait_until_idle()

    async def close(self) -> None:
        await self.inner.close()


@frozen
class Ended:
    """What is left when all is done: records, what went out, dead letters."""

    records: tuple[dict[str, Any], ...]
    outside: frozenset[tuple[str, str]]
    letters: int
    calls: int


async def lived(path: Path, at: int, when: Literal["before", "after"]) -> Ended:
    """Run the system, let the process die once, and let another one finish."""
    outside: set[tuple[str, str]] = set()
    sent = asyncio.Event()
    crashing = Crashing(SqliteBackend(str(path), lease=LEASE_SECONDS), at, when)
    runtime = Runtime(system, crashing)
    listening(runtime, outside)
    await runtime.__aenter__()
    working = asyncio.create_task(sending(runtime, sent))
    dying = asyncio.create_task(crashing.died.wait())
    await asyncio.wait({working, dying}, return_when=asyncio.FIRST_COMPLETED)
    if not crashing.died.is_set():
        dying.cancel()
        await working
        ended = await looked(crashing.inner, outside, crashing.calls)
        await runtime.stop()
        return ended
    # As when a process is killed: nothing is given back, nobody is told.
    for task in (*runtime._tasks, working):
        task.cancel()
    await asyncio.gather(*runtime._tasks, working, return_exceptions=True)
    if crashing.inner._opening is not None:
        await (await crashing.inner._opening).stop()
    await asyncio.sleep(2 * LEASE_SECONDS)
    backend = SqliteBackend(str(path))
    async with Runtime(system, backend) as after:
        listening(after, outside)
        if not sent.is_set():
            # Nobody told the sender that its event was taken, so it sends it again.
            await after.send(placing())
        await settled(after)
        return await looked(backend, outside, crashing.calls)


def listening(runtime: Runtime, outside: set[tuple[str, str]]) -> None:
    @runtime.on_domain()
    async def listen(event: Event[Any]) -> None:
        outside.add((event.id, event.type))


async def sending(runtime: Runtime, sent: asyncio.Event) -> None:
    await runtime.send(placing())
    sent.set()
    await settled(runtime)


async def settled(runtime: Runtime) -> None:
    """Wait until the workflow has ended and nothing is under way."""
    async with asyncio.timeout(20):
        while True:
            record = await runtime.record(placing().subject)
            if record is not None and record.status != "active":
                break
            await asyncio.sleep(0.002)
        await runtime.drain(timeout=10)


async def looked(backend: SqliteBackend, outside: set[tuple[str, str]], calls: int) -> Ended:
    record = await backend.load(placing().subject)
    assert record is not None
    dead_letters = await backend.dead_letters()
    return Ended((_told(record),), frozenset(outside), len(dead_letters), calls)


def _told(record: Record) -> dict[str, Any]:
    """Say a record without the times that differ from run to run."""
    said = record.to_dict()
    for line in said["journal"]:
        if "due" in line.get("got", {}):
            said["journal"] = [
                {**each, "got": {}} if "due" in each.get("got", {}) else each
                for each in said["journal"]
            ]
            break
    for replies in said["pending_requests"].values():
        for reply in replies:
            del reply["time"]
    return said


def test_a_crash_at_any_call_to_the_backend_changes_nothing_in_the_end(tmp_path: Path) -> None:
    """I1, I2, I3, B10: before and after each call, the end is the same, ids included."""
    quiet = asyncio.run(lived(tmp_path / "quiet.db", NEVER, "before"))
    assert quiet.calls >= 9
    assert len(quiet.outside) == 1

    for at in range(1, quiet.calls + 1):
        for when in ("before", "after"):
            path = tmp_path / f"{at}-{when}.db"
            ended = asyncio.run(lived(path, at, when))
            assert (ended.records, ended.outside, ended.letters) == (
                quiet.records,
                quiet.outside,
                quiet.letters,
            ), f"a crash {when} call {at}"
