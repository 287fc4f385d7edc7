"""Crash: a process that dies at any call to the backend loses no event and doubles none."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar

import pytest
from attrs import define, evolve, field, frozen

from arvo import (
    Commands,
    Commit,
    Complete,
    Domain,
    Effects,
    Emit,
    Event,
    Flow,
    Record,
    Runtime,
    System,
    Turn,
    WorkflowDomains,
    ask,
    call,
    flow,
    gather,
    sleep,
)
from arvo.core.history import HistoryEntry
from arvo.engine.step.route import ToHandler
from arvo.interpreters.ports.audit import AuditEntry
from arvo.interpreters.ports.chains import CommitChain
from arvo.interpreters.ports.messages import DeadLetter, Delivery, Message
from arvo.interpreters.ports.results import (
    CheckpointResult,
    CommitResult,
    Committed,
    Conflict,
    DeadLetterGroup,
    DeadLetterResult,
    Depth,
    DueTimer,
    StoredWorkflow,
    VersionUse,
)
from arvo.interpreters.sqlite import SqliteBackend
from arvo.testing import RecordingObserver
from tests.shop import (
    SERVICES,
    TIME,
    WEB,
    BookShipment,
    CardCharged,
    ChargeCard,
    OrderFulfilled,
    PlaceOrder,
    ShipmentBooked,
    make_workflow,
    order,
    order_request,
    payment_handler,
    payments,
    shipping,
)

T = TypeVar("T")

# Short, so that the next process finds the lease of the dead one expired.
LEASE_SECONDS = 0.02
NEVER = 10**9


@flow(order, "1.0.0", services=SERVICES, domains=WorkflowDomains(complete=(Domain.LOCAL, "ops")))
def fulfil(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
    """Ask a service, sleep, ask another service; complete to the initiator and to a domain."""
    yield from ask(
        ChargeCard(event.data.order_id, 1.0), CardCharged, compensate=BookShipment("compensation")
    )
    yield from sleep(0.001)
    booked = yield from ask(BookShipment(event.data.order_id), ShipmentBooked)
    return OrderFulfilled(booked.tracking)


system = System([payments, shipping, fulfil])
# The effects that were performed, in order.
performed: list[str] = []


async def reserve(item: str) -> str:
    performed.append(item)
    return f"reserved {item}"


def prepare(item: str) -> str:
    performed.append(item)
    return f"prepared {item}"


@flow(order, "1.0.0", services=SERVICES)
def reserve_all(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
    """Perform effects one by one and side by side, before a request and after its reply."""
    first = yield from call(reserve, "one")
    both = yield from gather(call(reserve, "two"), call(prepare, "three"))
    yield from ask(ChargeCard(event.data.order_id, 1.0), CardCharged)
    last = yield from call(prepare, "four")
    return OrderFulfilled(f"{first}, {', '.join(sorted(both))}, {last}")


def charge_by_bank(event: Event[ChargeCard]) -> Effects[Emit]:
    """Perform two effects in a handler that has no record."""
    yield from call(reserve, "five")
    receipt = yield from call(prepare, "six")
    return Emit(CardCharged(receipt))


effectful = System([payment_handler(charge_by_bank), reserve_all])
REPLIES = 6


def charge_many(turn: Turn[Any]) -> Commands:
    """Charge several cards at once, and wait for all of them."""
    match turn.event.data:
        case PlaceOrder():
            return tuple(Emit(ChargeCard("o1", float(place))) for place in range(REPLIES))
        case CardCharged() if len(turn.collected["evt.payment.charged"]) == REPLIES:
            return Complete(OrderFulfilled("all"))
        case _:
            return None


many_replies = System([payment_handler(charge_by_bank), make_workflow(charge_many)])
# The runtime of the process that lives now.
living: list[Runtime] = []


async def cancel() -> None:
    stop = order["1.0.0"].cancel("enough", source=WEB, subject=order_request().subject)
    message = Message(
        evolve(stop, id="stop", time=TIME), ToHandler(order["1.0.0"].type, stop.subject)
    )
    sending = living[0]._backend.send(message)
    # Shielded: the cancellation interrupts this effect.
    await asyncio.shield(asyncio.ensure_future(sending))


@flow(order, "1.0.0", services=SERVICES)
def cancel_itself(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
    """Charge, then receive a cancellation during an effect; the second charge is not made."""
    yield from ask(
        ChargeCard(event.data.order_id, 1.0), CardCharged, compensate=BookShipment("compensation")
    )
    yield from call(cancel)
    yield from ask(ChargeCard(event.data.order_id, 2.0), CardCharged)
    return OrderFulfilled("never")


@define
class Crashing:
    """A backend whose process dies *when* (before or after) its *at*-th call is carried out.

    From then on no call returns, as in a process that has ended.
    """

    inner: SqliteBackend
    at: int
    when: Literal["before", "after"]
    calls: list[str] = field(factory=list)
    checkpoints: list[asyncio.Future[CheckpointResult]] = field(factory=list)
    died: asyncio.Event = field(factory=asyncio.Event)

    async def _call(self, name: str, work: Callable[[], Awaitable[T]]) -> T:
        self.calls.append(name)
        last = len(self.calls) == self.at
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
        await self._call("send", lambda: self.inner.send(message))

    async def receive(self, queue: str) -> Delivery:
        # Waiting changes nothing. A crash after a delivery is a crash before the next call.
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
        return await self._call(
            "commit", lambda: self.inner.commit(delivery, commit, messages, dead_letters)
        )

    async def pending_cancellation(self, delivery: Delivery) -> Event[Any] | None:
        return await self.inner.pending_cancellation(delivery)

    async def checkpoint(self, delivery: Delivery, progress: bytes) -> CheckpointResult:
        async def work() -> CheckpointResult:
            # A write that has begun ends, also if the process dies meanwhile.
            writing = asyncio.ensure_future(self.inner.checkpoint(delivery, progress))
            self.checkpoints.append(writing)
            return await asyncio.shield(writing)

        return await self._call("checkpoint", work)

    async def workflows(self, **filters: Any) -> tuple[StoredWorkflow, ...]:
        return await self.inner.workflows(**filters)

    async def workflow(self, subject: str) -> StoredWorkflow | None:
        return await self.inner.workflow(subject)

    async def history(self, subject: str, **filters: Any) -> tuple[HistoryEntry, ...]:
        return await self.inner.history(subject, **filters)

    async def replace_record(
        self, record: Record, expected: int, **filters: Any
    ) -> Committed | Conflict:
        return await self.inner.replace_record(record, expected, **filters)

    async def ack(self, delivery: Delivery) -> None:
        await self._call("ack", lambda: self.inner.ack(delivery))

    async def nack(self, delivery: Delivery, delay: float) -> None:
        await self._call("nack", lambda: self.inner.nack(delivery, delay))

    async def defer(self, delivery: Delivery, delay: float) -> None:
        await self._call("defer", lambda: self.inner.defer(delivery, delay))

    async def dead_letter(
        self, delivery: Delivery | None, dead_letter: DeadLetter
    ) -> DeadLetterResult:
        return await self._call(
            "dead_letter", lambda: self.inner.dead_letter(delivery, dead_letter)
        )

    async def dead_letters(self, **options: Any) -> tuple[DeadLetter, ...]:
        return await self.inner.dead_letters(**options)

    async def dead_letter_groups(self, **options: Any) -> tuple[DeadLetterGroup, ...]:
        return await self.inner.dead_letter_groups(**options)

    async def timers(self, **options: Any) -> tuple[DueTimer, ...]:
        return await self.inner.timers(**options)

    async def versions(self) -> tuple[VersionUse, ...]:
        return await self.inner.versions()

    async def record_act(self, entry: AuditEntry) -> None:
        await self.inner.record_act(entry)

    async def audit_log(self, **options: Any) -> tuple[AuditEntry, ...]:
        return await self.inner.audit_log(**options)

    async def find_dead_letter(self, id: str) -> DeadLetter | None:  # noqa: A002 - the port's word
        return await self.inner.find_dead_letter(id)

    async def redrive(self, id: str, messages: Sequence[Message]) -> bool:  # noqa: A002 - the port's word
        return await self.inner.redrive(id, messages)

    async def depth(self) -> Depth:
        return await self.inner.depth()

    async def wait_until_idle(self) -> None:
        await self.inner.wait_until_idle()

    async def close(self) -> None:
        await self.inner.close()


@define
class CrashingInTicks(Crashing):
    """The same, with what a tick calls: turns that follow from one event share a transaction."""

    # The messages that had their turns behind another one of their workflow.
    followed: int = 0
    commits_apart: ClassVar[bool] = False

    def subscribe(self, queues: Mapping[str, int], on_ready: Callable[[], None]) -> None:
        self.inner.subscribe(queues, on_ready)

    def unsubscribe(self, on_ready: Callable[[], None]) -> None:
        self.inner.unsubscribe(on_ready)

    async def poll(self, queues: Mapping[str, int], limit: int) -> list[Delivery]:
        return await self.inner.poll(queues, limit)

    def followers(self, delivery: Delivery) -> Iterator[Delivery]:
        return self.inner.followers(delivery)

    def is_busy(self, key: str, deliveries: Sequence[Delivery]) -> bool:
        return self.inner.is_busy(key, deliveries)

    async def load_all(self, subjects: Sequence[str]) -> dict[str, Record]:
        return await self.inner.load_all(subjects)

    async def commit_chains(self, chains: Sequence[CommitChain]) -> list[bool]:
        self.followed += sum(len(chain.deliveries[1:]) for chain in chains)
        return await self._call("commit_chains", lambda: self.inner.commit_chains(chains))


@frozen
class Outcome:
    """The state at the end: records, outbound events, the number of dead letters, and the calls.

    *unstored*: the effects that the dead process had performed without storing their results.
    """

    records: tuple[dict[str, Any], ...]
    outbound: frozenset[tuple[str, str]]
    dead_letters: int
    calls: tuple[str, ...]
    unstored: int = 0


async def run_to_the_end(
    system: System,
    path: Path,
    at: int,
    when: Literal["before", "after"],
    make: Callable[[SqliteBackend, int, Literal["before", "after"]], Crashing] = Crashing,
) -> Outcome:
    """Run the system until the process dies, and let another one finish the work.

    Both are observed: no span ends twice, and none stays open in a process that lives.
    """
    outbound: set[tuple[str, str]] = set()
    sent = asyncio.Event()
    others = threading.enumerate()
    crashing = make(SqliteBackend(str(path), lease=LEASE_SECONDS), at, when)
    runtime, observer = Runtime(system, crashing), RecordingObserver()
    runtime.observe(observer)
    living[:] = [runtime]
    listen_to_domains(runtime, outbound)
    await runtime.__aenter__()
    working = asyncio.create_task(send_order(runtime, sent))
    dying = asyncio.create_task(crashing.died.wait())
    await asyncio.wait({working, dying}, return_when=asyncio.FIRST_COMPLETED)
    if not crashing.died.is_set():
        dying.cancel()
        await working
        outcome = await read_outcome(crashing.inner, outbound, crashing.calls)
        await runtime.stop()
        check_spans(observer)
        return outcome
    # As when a process is killed: it releases nothing.
    for task in (*runtime._tasks.all, working):
        task.cancel()
    await asyncio.gather(*runtime._tasks.all, working, return_exceptions=True)
    if crashing.inner._session._opening is not None:
        await (await crashing.inner._session._opening).stop()
    if crashing.inner._session._reader is not None:
        crashing.inner._session._reader.close()
    await asyncio.gather(*crashing.checkpoints)
    await end_threads(runtime, others)
    unstored = len(performed) - len(crashing.checkpoints)
    await asyncio.sleep(2 * LEASE_SECONDS)
    backend, next_observer = SqliteBackend(str(path)), RecordingObserver()
    next_runtime = Runtime(system, backend)
    next_runtime.observe(next_observer)
    async with next_runtime as after:
        living[:] = [after]
        listen_to_domains(after, outbound)
        if not sent.is_set():
            # The sender got no answer, so it sends the event again.
            await after.send(order_request())
        await wait_for_the_end(after)
        outcome = await read_outcome(backend, outbound, crashing.calls)
    assert {len(span.ends) for span in observer.spans} <= {0, 1}
    check_spans(next_observer)
    return evolve(outcome, unstored=unstored)


async def end_threads(runtime: Runtime, others: Sequence[threading.Thread]) -> None:
    """Wait for the threads of a dead process, which would perform effects beside the next one.

    *others*: those that ran before it began; they belong to other tests and may never end.
    """
    runtime._effects.close()
    for thread in threading.enumerate():
        # That of the watchdog ends with the event loop, which waits here.
        is_own = thread.name.startswith("arvo ") and thread.name != "arvo watchdog"
        if thread not in others and is_own:
            await asyncio.to_thread(thread.join)


def check_spans(observer: RecordingObserver) -> None:
    """Fail unless each span of a process has ended once."""
    assert [span.name for span in observer.spans if len(span.ends) != 1] == []


def listen_to_domains(runtime: Runtime, outbound: set[tuple[str, str]]) -> None:
    @runtime.on_domain()
    async def listen(event: Event[Any]) -> None:
        outbound.add((event.id, event.type))


async def send_order(runtime: Runtime, sent: asyncio.Event) -> None:
    await runtime.send(order_request())
    sent.set()
    await wait_for_the_end(runtime)


async def wait_for_the_end(runtime: Runtime) -> None:
    """Wait until the workflow has ended and nothing is under way."""
    async with asyncio.timeout(60):
        while True:
            record = await runtime.record(order_request().subject)
            if record is not None and record.status != "active":
                break
            await asyncio.sleep(0.002)
        await runtime.drain(timeout=60)


async def read_outcome(
    backend: SqliteBackend, outbound: set[tuple[str, str]], calls: list[str]
) -> Outcome:
    record = await backend.load(order_request().subject)
    assert record is not None
    dead_letters = await backend.dead_letters()
    return Outcome((_without_times(record),), frozenset(outbound), len(dead_letters), tuple(calls))


def _without_times(record: Record) -> dict[str, Any]:
    """Return a record without the times, which differ from run to run."""
    body = record.to_dict()
    body["journal"] = [
        {**entry, "got": {}} if "due" in entry.get("got", {}) else entry
        for entry in body["journal"]
    ]
    for reply in body["replies"]:
        del reply["time"]
    return body


@pytest.mark.promise("I1", "I2", "I3")
@pytest.mark.parametrize(("make", "calls_min"), [(Crashing, 9), (CrashingInTicks, 3)])
def test_a_crash_at_any_call_to_the_backend_does_not_change_the_outcome(
    tmp_path: Path, make: type[Crashing], calls_min: int
) -> None:
    """B10: a crash before or after any call leads to the same outcome, ids included, whether the
    turns share a transaction or not.
    """
    undisturbed = asyncio.run(run_to_the_end(system, tmp_path / "quiet.db", NEVER, "before"))
    in_order = asyncio.run(run_to_the_end(system, tmp_path / "order.db", NEVER, "before", make))
    assert len(in_order.calls) >= calls_min
    assert len(undisturbed.outbound) == 1
    assert evolve(in_order, calls=()) == evolve(undisturbed, calls=())

    for at in range(1, len(in_order.calls) + 1):
        for when in ("before", "after"):
            path = tmp_path / f"{at}-{when}.db"
            crashed = asyncio.run(run_to_the_end(system, path, at, when, make))
            assert evolve(crashed, calls=()) == evolve(undisturbed, calls=()), (
                f"a crash {when} call {at}"
            )


@pytest.mark.promise("I1", "I2", "I3", "I4")
def test_a_crash_while_replies_wait_together_loses_and_doubles_none(tmp_path: Path) -> None:
    """The turns of several replies share a transaction, which is applied or not."""
    expected = asyncio.run(run_to_the_end(many_replies, tmp_path / "quiet.db", NEVER, "before"))
    made: list[CrashingInTicks] = []

    def make(inner: SqliteBackend, at: int, when: Literal["before", "after"]) -> Crashing:
        made.append(CrashingInTicks(inner, at, when))
        return made[-1]

    in_ticks = asyncio.run(run_to_the_end(many_replies, tmp_path / "t.db", NEVER, "before", make))
    assert by_reply(in_ticks) == by_reply(expected)

    for at in range(1, len(in_ticks.calls) + 1):
        for when in ("before", "after"):
            path = tmp_path / f"{at}-{when}.db"
            crashed = asyncio.run(run_to_the_end(many_replies, path, at, when, make))
            assert by_reply(crashed) == by_reply(expected), f"a crash {when} call {at}"
    assert any(each.followed for each in made)


def by_reply(outcome: Outcome) -> tuple[Any, ...]:
    """Return an outcome without the order of the replies, which depends on the bank."""
    [record] = outcome.records
    replies = sorted(reply["id"] for reply in record["replies"])
    return record["status"], record["revision"], replies, outcome.dead_letters


@pytest.mark.parametrize("make", [Crashing, CrashingInTicks])
def test_an_effect_is_repeated_only_if_the_process_died_before_its_result_was_stored(
    tmp_path: Path, make: type[Crashing]
) -> None:
    """With `kill -9` between any two calls: no completed effect is performed again."""
    names = ["one", "two", "three", "four", "five", "six"]
    performed.clear()
    quiet = tmp_path / "quiet.db"
    undisturbed = asyncio.run(run_to_the_end(effectful, quiet, NEVER, "before", make))
    assert sorted(performed) == sorted(names)
    assert undisturbed.calls.count("checkpoint") == len(names)

    unstored = 0
    for at, name in enumerate(undisturbed.calls, start=1):
        for when in ("before", "after"):
            performed.clear()
            path = tmp_path / f"{at}-{when}.db"
            crashed = asyncio.run(run_to_the_end(effectful, path, at, when, make))
            repeated = len(performed) - len(names)

            assert set(performed) == set(names)
            assert repeated == crashed.unstored, f"a crash {when} call {at}, {name}: {performed}"
            assert crashed.outbound == undisturbed.outbound
            assert [record["status"] for record in crashed.records] == ["done"]
            unstored += crashed.unstored
    # Otherwise the process never died in the middle of an effect.
    assert unstored


@pytest.mark.promise("I1", "I2", "I3")
@pytest.mark.parametrize("make", [Crashing, CrashingInTicks])
def test_a_crash_around_a_cancellation_does_not_change_the_outcome(
    tmp_path: Path, make: type[Crashing]
) -> None:
    """The interrupted turn sends nothing, whichever process finishes the work."""
    stopped = System([payments, shipping, cancel_itself])
    quiet = tmp_path / "quiet.db"
    undisturbed = asyncio.run(run_to_the_end(stopped, quiet, NEVER, "before", make))
    assert [record["status"] for record in undisturbed.records] == ["cancelled"]
    assert [record["revision"] for record in undisturbed.records] == [2]

    for at, name in enumerate(undisturbed.calls, start=1):
        for when in ("before", "after"):
            path = tmp_path / f"{at}-{when}.db"
            crashed = asyncio.run(run_to_the_end(stopped, path, at, when, make))
            assert evolve(crashed, calls=(), unstored=0) == evolve(undisturbed, calls=()), (
                f"a crash {when} call {at}, {name}"
            )
