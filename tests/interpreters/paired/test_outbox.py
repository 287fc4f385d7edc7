"""Outbox: the output of a turn is written with the record, sent, and found again."""

import asyncio
from datetime import timedelta
from typing import Any, get_args

import orjson
import pytest
from attrs import evolve

from arvo import (
    Cancellation,
    Commands,
    Compensate,
    Complete,
    Emit,
    Event,
    Fail,
    Flow,
    InMemoryMachineMemory,
    MemoryBroker,
    Persist,
    Resumable,
    Schedule,
    System,
    TimerFired,
    Turn,
    ask,
    flow,
    paired,
    sleep,
)
from arvo.engine.step.route import ToHandler
from arvo.interpreters.paired.documents.document import JOURNAL_MAX, UNSENT_MAX, WorkflowDocument
from arvo.interpreters.ports.messages import Message
from arvo.interpreters.ports.results import Committed, Duplicate, IdReused
from tests.handlers.test_signals import approve, signal
from tests.interpreters.crashes import CallFault, Chaining, FaultKind, run_with_fault
from tests.interpreters.within import within
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
    expect_commit,
    make_workflow,
    order,
    order_request,
    payments,
    shipping,
    shop,
)


def patient(turn: Turn[Any]) -> Commands:
    """Charge, wait and ship; also send to a domain, and to an address without a handler."""
    match turn.event.data:
        case PlaceOrder(order_id=order_id, amount=amount):
            return (
                Persist(order_id),
                Emit(ChargeCard(order_id, amount)),
                Emit(ChargeCard(order_id, amount), domain="a.person"),
                Emit(ChargeCard(order_id, amount), to="com.no.handler"),
                Schedule("never", after=3600),
            )
        case CardCharged():
            return Schedule("pause", after=60)
        case TimerFired(name="pause"):
            return Emit(BookShipment(turn.state))
        case ShipmentBooked(tracking=tracking):
            return Complete(OrderFulfilled(tracking))
        case other:
            return Fail(f"unexpected: {other}")


def vetoed(turn: Turn[Any]) -> Commands:
    """Fail at the first signal."""
    return Persist("waiting") if isinstance(turn.event.data, PlaceOrder) else Fail("a veto")


@flow(order, "1.0.0", services=SERVICES)
def slow(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
    """Charge, wait and ship, as a flow."""
    yield from ask(ChargeCard(event.data.order_id, 1.0), CardCharged)
    yield from sleep(timedelta(minutes=2))
    booked = yield from ask(BookShipment(event.data.order_id), ShipmentBooked)
    return OrderFulfilled(booked.tracking)


def paying(turn: Turn[Any]) -> Commands:
    """Ask for a payment at a signal."""
    match turn.event.data:
        case PlaceOrder():
            return Persist("waiting"), Compensate(BookShipment("back"))
        case Cancellation():
            return Persist("stopped")
        case _:
            return Persist("paid"), Emit(ChargeCard("never", 1.0), domain="a.person")


def cancellation() -> Event[Any]:
    """Make the cancellation of the order."""
    stop = order["1.0.0"].cancel("enough", source=WEB, subject=order_request().subject)
    return evolve(stop, id="stop", time=TIME)


pays = Resumable(order, {"1.0.0": paying}, services=SERVICES, signals=[approve["1.0.0"]])
veto = Resumable(order, {"1.0.0": vetoed}, services=SERVICES, signals=[approve["1.0.0"]])
SCENES: dict[str, tuple[System, list[Event[Any]], list[Event[Any]]]] = {
    "a workflow": (System([payments, shipping, make_workflow(patient)]), [], [order_request()]),
    "a flow": (System([payments, shipping, slow]), [], [order_request()]),
    # The record alone does not recognise the signal when it is redelivered.
    "a signal that fails the workflow": (System([veto]), [order_request()], [signal("veto")]),
    "a signal behind which the workflow is cancelled": (
        System([shipping, pays]),
        [order_request()],
        [signal("pay"), cancellation()],
    ),
    "a cancelled first turn": (
        System([payments, shipping, slow]),
        [],
        [order_request(), cancellation()],
    ),
}


@pytest.mark.promise("I1", "I2")
@pytest.mark.parametrize("kind", get_args(FaultKind))
@pytest.mark.parametrize(
    ("scene", "chaining"),
    [
        *((scene, chaining) for scene in SCENES for chaining in ("a workflow's", "none")),
        ("a workflow", "a turn's"),
    ],
)
def test_a_crash_or_an_outage_at_any_call_changes_nothing_in_the_end(
    scene: str, kind: FaultKind, chaining: Chaining
) -> None:
    """B10, B34 (a crash loses or duplicates an event), I1, I2: around each call to memory and
    broker, whichever turns are written at once.
    """
    asyncio.run(everywhere(scene, kind, 1, chaining))


@pytest.mark.parametrize("scene", [name for name in SCENES if "cancelled" in name])
def test_a_workflow_that_was_cancelled_asks_for_nothing(scene: str) -> None:
    """Without faults; with faults the outcome is the same, see above."""
    system, before, events = SCENES[scene]

    outcome = asyncio.run(run_with_fault(system, events, CallFault(), before))

    [record] = set(outcome["records"].values())
    assert (record.status, record.revision) == ("cancelled", 1 + len(before))
    assert not any(event_type == "com.payment.charge" for _, _, event_type in outcome["outbound"])


@pytest.mark.parametrize("kind", ["fail before", "fail after"])
@pytest.mark.parametrize("scene", SCENES)
def test_a_longer_outage_changes_nothing_either(scene: str, kind: FaultKind) -> None:
    """A delivery that can neither be nacked nor dead-lettered stays under way."""
    asyncio.run(everywhere(scene, kind, 12))


async def everywhere(
    scene: str, kind: FaultKind, length: int, chaining: Chaining = "a workflow's"
) -> None:
    """Inject the fault at each call in turn, and compare with a run without faults."""
    system, before, events = SCENES[scene]
    undisturbed = CallFault(-length)
    expected = await run_with_fault(system, events, undisturbed, before, chaining)
    for at in range(len(undisturbed.calls)):
        fault = CallFault(at, kind, length)
        result = await run_with_fault(system, events, fault, before, chaining)
        assert result == expected, f"{kind} call {at}, {fault.calls[: at + 1]}"


PAY, ORDER = "com.payment.charge", "arvo.orc.order.fulfil"


def turn(event: Event[Any]) -> Message:
    return Message(event, ToHandler(ORDER, event.subject))


@pytest.mark.promise("I2", "I6")
def test_the_slower_of_two_workers_on_one_event_finds_it_consumed() -> None:
    """I2, I6: a delivery that was redelivered too early is processed twice at once."""

    async def go() -> tuple[list[object], list[str]]:
        memory, broker = InMemoryMachineMemory(), MemoryBroker()
        pairs = [paired(memory, broker) for _ in range(2)]
        await pairs[0].send(turn(order_request()))
        deliveries = [await pairs[0].receive(ORDER)]
        # As if the lease of the first process had expired.
        ((_, iteration),) = broker._in_flight.values()
        broker._return_all(iteration)
        deliveries.append(await pairs[1].receive(ORDER))
        assert [await pair.load(order_request().subject) for pair in pairs] == [None, None]
        commit = expect_commit(shop, order_request())
        request = Message(commit.events[0], ToHandler(PAY, None))
        results: list[object] = [
            await pair.commit(delivery, commit, [request], [])
            for pair, delivery in zip(pairs, deliveries, strict=True)
        ]
        first, again = await pairs[0].receive(PAY), await pairs[1].receive(PAY)
        for pair in pairs:
            await pair.close()
        return results, [first.message.event.id, again.message.event.id, commit.events[0].id]

    results, ids = within(go())

    assert results == [Committed(), Duplicate()]
    # The second process cannot know that the first has sent its output: it sends it once more.
    assert len(set(ids)) == 1


@pytest.mark.promise("I2")
@pytest.mark.parametrize("is_sent", [True, False])
def test_a_journal_of_an_earlier_version_has_no_conflict(is_sent: bool) -> None:
    """I2: it has no digest of what the consumed event said."""
    begin, other = order_request(), order_request(amount=11.0)

    async def go() -> list[object]:
        memory, broker = InMemoryMachineMemory(), MemoryBroker()
        begun = expect_commit(shop, begin)
        pair = paired(memory, broker)
        await pair.send(turn(begin))
        results: list[object] = [await pair.commit(await pair.receive(ORDER), begun, [], [])]
        stored = await memory.read(begin.subject)
        assert stored is not None
        content = orjson.loads(stored.record)
        ((digest, number, messages, dead_letters, _),) = content["journal"]
        entry = digest if is_sent else [digest, number, messages, dead_letters]
        before = orjson.dumps({**content, "journal": [entry]})
        await memory.write(begin.subject, before, stored.revision)
        # Another process, which has not cached the document.
        await pair.close()
        pair = paired(memory, broker)
        for event in (begin, other):
            await pair.send(turn(event))
            commit = evolve(begun, event=event, expected=1)
            results.append(await pair.commit(await pair.receive(ORDER), commit, [], []))
        await pair.close()
        return results

    assert within(go()) == [Committed(), Duplicate(), Duplicate()]


@pytest.mark.promise("I2")
def test_a_journal_knows_another_event_by_a_known_id() -> None:
    """I2: in each form in which its entries are written, and in any process."""
    begin, other = order_request(), order_request(amount=11.0)

    async def go() -> list[object]:
        memory, broker = InMemoryMachineMemory(), MemoryBroker()
        begun = expect_commit(shop, begin)
        record, results = begun.record, list[object]()
        assert record is not None
        # The second turn drops the output of the first from the journal.
        later = evolve(
            begun, event=order_request("i2"), record=evolve(record, revision=2), expected=1
        )
        for commit in (begun, evolve(begun, event=other), later, evolve(begun, event=other)):
            pair = paired(memory, broker)
            await pair.send(turn(commit.event))
            delivery = await pair.receive(ORDER)
            results.append(await pair.commit(delivery, commit, [], []))
            if isinstance(results[-1], IdReused):
                await pair.ack(delivery)
            await pair.close()
        return results

    assert within(go()) == [Committed(), IdReused(), Committed(), IdReused()]


def test_a_journal_holds_its_newest_entries_and_all_unsent_output() -> None:
    """It is bounded, and output that another process may not have sent is sent before it goes."""

    async def go() -> tuple[int, int]:
        memory, broker = InMemoryMachineMemory(), MemoryBroker()
        begun = expect_commit(shop, order_request())
        assert begun.record is not None
        record, request = begun.record, Message(begun.events[0], ToHandler(PAY, None))
        for number in range(1, JOURNAL_MAX + 20):
            # Each turn in a process of its own, which dies before it can write that it has sent.
            pair = paired(memory, broker)
            event = order_request(f"i{number}", subject=record.subject)
            await pair.send(turn(event))
            delivery = await pair.receive(ORDER)
            moved = evolve(record, revision=number)
            commit = evolve(begun, event=event, record=moved, expected=number - 1)
            assert await pair.commit(delivery, commit, [request], []) == Committed()
            await pair.close()
        document = WorkflowDocument.from_stored(await memory.read(record.subject))
        unsent = [entry for entry in document.journal if entry.output is not None]
        return len(document.journal), len(unsent)

    assert within(go()) == (JOURNAL_MAX, UNSENT_MAX)
