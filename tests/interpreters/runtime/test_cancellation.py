"""Cancellation: a workflow that is cancelled while a turn is under way sends nothing more."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from attrs import define, field

from arvo import (
    Backend,
    Cancellation,
    Client,
    Commands,
    Compensate,
    Effects,
    Emit,
    Event,
    ExecutionViolation,
    Flow,
    Persist,
    Record,
    Retry,
    Runtime,
    Stats,
    System,
    Turn,
    Violate,
    ask,
    call,
    flow,
)
from arvo.interpreters.runtime.backends import backend_from_url
from tests.interpreters.runtime.running import Replaced, new_backend, run_runtime, within
from tests.interpreters.until import until
from tests.shop import (
    SERVICES,
    BookShipment,
    CardCharged,
    ChargeCard,
    OrderFulfilled,
    PlaceOrder,
    make_workflow,
    order,
    order_request,
    payment_handler,
    shipping,
)

SUBJECT = order_request().subject
REASON = "changed my mind"


@define(eq=False)
class Books:
    """What happened outside: effects that started and stopped, and payments."""

    started: asyncio.Event = field(factory=asyncio.Event)
    stopped: list[str] = field(factory=list)
    charged: list[str] = field(factory=list)
    performed: list[str] = field(factory=list)

    async def hold(self, name: str) -> str:
        """Perform an effect that does not end."""
        self.started.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.stopped.append(name)
        return name

    async def note(self, name: str) -> str:
        """Perform an effect that ends at once."""
        self.performed.append(name)
        return name

    def charge(self, event: Event[ChargeCard]) -> Effects[Emit]:
        """Take a payment: by an effect, for a handler may run on an event that is not committed."""
        yield from call(self.pay, event.data.order_id)
        return Emit(CardCharged("r"))

    async def pay(self, order_id: str) -> str:
        """Perform the payment of an order."""
        self.charged.append(order_id)
        return order_id

    def system(self, *handlers: Any) -> System:
        """Make a system of these handlers, with the payments in these books."""
        return System([payment_handler(self.charge), shipping, *handlers])


def holding(books: Books) -> System:
    """Make a flow that performs an effect that does not end, and then asks for a payment."""

    @flow(order, "1.0.0", services=SERVICES)
    def fulfil(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
        yield from call(books.hold, "reserve")
        yield from ask(ChargeCard(event.data.order_id, 1.0), CardCharged)
        return OrderFulfilled("t")

    return books.system(fulfil)


async def end_of(client: Client, subject: str = SUBJECT) -> Record:
    """Wait until a workflow has ended, and return its record."""
    found: list[Record] = []

    async def has_ended() -> bool:
        record = await client.record(subject)
        found[:] = [] if record is None or record.status == "active" else [record]
        return bool(found)

    await until(has_ended)
    return found[0]


@pytest.mark.parametrize("by", ["its own process", "another process"])
def test_a_cancellation_interrupts_the_effect_in_progress(
    open_backend: Callable[[], Backend], by: str
) -> None:
    """The effect would never end, and the payment behind it must not be made."""
    books = Books()

    async def go() -> tuple[Record, Stats]:
        system = holding(books)
        async with Runtime(system, open_backend()) as runtime, Client(system, open_backend()) as it:
            await runtime.send(order_request())
            await books.started.wait()
            await (runtime if by == "its own process" else it).cancel(SUBJECT, REASON)
            record = await end_of(runtime)
            return record, await runtime.drain(timeout=30)

    record, stats = within(go())

    assert (record.status, record.revision, record.init) == ("cancelled", 1, order_request().id)
    assert (books.stopped, books.charged) == (["reserve"], [])
    assert (stats.cancelled, stats.late, stats.dead_lettered) == (1, 0, 0)


@pytest.mark.usefixtures("each_backend")
def test_the_initiator_receives_the_error_of_a_cancelled_first_turn() -> None:
    """As if the workflow had been cancelled later; and a replay finds the same."""
    books = Books()

    async def work(runtime: Runtime) -> tuple[Event[Any], bool]:
        request = asyncio.ensure_future(runtime.request(order_request(), timeout=30))
        await books.started.wait()
        await runtime.cancel(SUBJECT, REASON)
        return await request, (await runtime.replay(SUBJECT)).agrees

    (answer, agrees), _ = run_runtime(holding(books), work)

    assert (answer.data.name, answer.data.message) == ("Cancelled", REASON)
    assert answer.parentid == order_request().id
    assert agrees


@pytest.mark.usefixtures("each_backend")
def test_a_blocking_effect_is_not_waited_for() -> None:
    """Its thread cannot be stopped; its result is dropped."""
    books, release = Books(), threading.Event()

    async def work(runtime: Runtime) -> str:
        loop = asyncio.get_running_loop()

        def block() -> None:
            loop.call_soon_threadsafe(books.started.set)
            release.wait(60)

        blocks.append(block)
        await runtime.send(order_request())
        await books.started.wait()
        await runtime.cancel(SUBJECT, REASON)
        record = await end_of(runtime)
        release.set()
        return record.status

    blocks: list[Callable[[], None]] = []

    def fulfil(turn: Turn[Any]) -> Effects[Commands]:
        if isinstance(turn.event.data, Cancellation):
            return None
        yield from call(blocks[0])
        return Emit(ChargeCard("o1", 1.0))

    status, stats = run_runtime(books.system(make_workflow(fulfil)), work)

    assert (status, stats.cancelled, books.charged) == ("cancelled", 1, [])


def paying(books: Books, work: Callable[[], Effects[Any]]) -> System:
    """Make a workflow that books a shipment when it has paid, after *work*."""

    def fulfil(turn: Turn[Any]) -> Effects[Commands]:
        match turn.event.data:
            case PlaceOrder(order_id=order_id):
                return (
                    Persist("asked"),
                    Compensate(BookShipment("back")),
                    Emit(ChargeCard(order_id, 1.0)),
                )
            case CardCharged():
                yield from work()
                return Persist("paid"), Emit(BookShipment("out"))
            case Cancellation():
                yield from call(books.note, "undo")
                return Persist("stopped")
            case _:
                return None

    return books.system(make_workflow(fulfil))


@pytest.mark.usefixtures("each_backend")
def test_the_last_turn_sees_the_state_before_the_interrupted_one() -> None:
    """It sends the compensations of the turns before, and performs its own effects once."""
    books = Books()

    async def work(runtime: Runtime) -> tuple[Record, list[str]]:
        await runtime.send(order_request())
        await books.started.wait()
        await runtime.cancel(SUBJECT, REASON)
        record = await end_of(runtime)
        entries = await runtime.history(SUBJECT)
        sent = [entry.event.raw for entry in entries if entry.event and entry.kind == "produced"]
        return record, [raw["order_id"] for raw in sent if "order_id" in raw]

    system = paying(books, lambda: call(books.hold, "wait"))
    (record, sent), stats = run_runtime(system, work)

    assert (record.status, record.state, record.revision) == ("cancelled", "stopped", 2)
    assert sent == ["o1", "back"]
    assert (books.stopped, books.performed) == (["wait"], ["undo"])
    assert (stats.cancelled, stats.dead_lettered) == (1, 0)


def cancels_before(event_type: str) -> Any:
    """Make a backend that accepts a cancellation when an event of a type is to be committed."""
    backend = new_backend()
    inner = backend_from_url(backend) if isinstance(backend, str) else backend
    sent: list[str] = []

    async def commit(delivery: Any, commit: Any, *rest: Any) -> Any:
        if delivery.message.event.type == event_type and not sent:
            sent.append(SUBJECT)
            system = Books().system(make_workflow(lambda _: None))
            await Client(system, inner).cancel(SUBJECT, REASON)
        return await inner.commit(delivery, commit, *rest)

    return Replaced(inner, commit=commit)


@pytest.mark.usefixtures("each_backend")
@pytest.mark.parametrize(
    ("event_type", "charged", "state"),
    [("arvo.orc.order.fulfil", [], None), ("evt.payment.charged", ["o1"], "stopped")],
)
def test_a_turn_without_effects_is_refused_at_its_commit(
    event_type: str, charged: list[str], state: str | None
) -> None:
    """The cancellation was accepted between the decision and the commit, in any turn."""
    books = Books()

    async def work(runtime: Runtime) -> Record:
        await runtime.send(order_request())
        return await end_of(runtime)

    def nothing() -> Effects[None]:
        yield from ()

    backend = cancels_before(event_type)
    record, stats = run_runtime(paying(books, nothing), work, backend=backend)

    assert (record.status, record.state, books.charged) == ("cancelled", state, charged)
    # Only the reply to the compensation is late.
    assert (stats.cancelled, stats.late, stats.dead_lettered) == (1, len(charged), 0)


@pytest.mark.usefixtures("each_backend")
def test_a_cancellation_that_the_workflow_refuses_stops_nothing() -> None:
    """It becomes a dead letter, and the turn that it would have replaced is not lost."""
    books = Books()

    def fulfil(turn: Turn[Any]) -> Commands:
        match turn.event.data:
            case PlaceOrder(order_id=order_id):
                return Persist(1), Emit(ChargeCard(order_id, 1.0))
            case CardCharged():
                return Persist(2)
            case Cancellation():
                return Violate(ExecutionViolation("not now"))
            case _:
                return None

    async def work(runtime: Runtime) -> tuple[object, list[str]]:
        await runtime.send(order_request())
        await runtime.drain(timeout=30)
        record = await runtime.record(SUBJECT)
        dead_letters = await runtime.dead_letters()
        return record and (record.status, record.state), [it.reason for it in dead_letters]

    system = books.system(make_workflow(fulfil))
    backend = cancels_before("evt.payment.charged")
    (state, reasons), _ = run_runtime(system, work, backend=backend, retry=Retry(1))

    assert state == ("active", 2)
    assert reasons == ["ExecutionViolation: not now"]


@pytest.mark.usefixtures("each_backend")
def test_no_effect_starts_after_the_cancellation() -> None:
    """The second effect of a turn is not performed if the workflow was cancelled in the first."""
    books = Books()

    async def work(runtime: Runtime) -> Record:
        cancels.append(lambda: runtime.cancel(SUBJECT, REASON))
        await runtime.send(order_request())
        return await end_of(runtime)

    cancels: list[Callable[[], Coroutine[Any, Any, None]]] = []

    async def cancel() -> None:
        # Shielded: the cancellation interrupts this effect.
        await asyncio.shield(asyncio.ensure_future(cancels[0]()))

    @flow(order, "1.0.0", services=SERVICES)
    def fulfil(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
        yield from call(cancel)
        yield from call(books.note, event.data.order_id)
        return OrderFulfilled("t")

    record, _ = run_runtime(books.system(fulfil), work)

    assert (record.status, books.performed) == ("cancelled", [])
