"""Outbox: what follows from an event, written beside the record, sent, and known again."""

import asyncio
from collections.abc import Coroutine
from datetime import timedelta
from typing import Any, TypeVar, get_args

import pytest
from attrs import evolve

from arvo import (
    Commands,
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
from arvo.interpreters.paired.document import JOURNAL_MAX, UNSENT_MAX, Held
from arvo.interpreters.ports.backend import Committed, Duplicate, Message
from tests.handlers.test_signals import approve, signal
from tests.interpreters.runtime.crashes import Fate, Kind, outcome
from tests.shop import (
    SERVICES,
    BookShipment,
    CardCharged,
    ChargeCard,
    OrderFulfilled,
    PlaceOrder,
    ShipmentBooked,
    committed,
    order,
    payments,
    placing,
    shipping,
    shop,
    workflow,
)


def patient(turn: Turn[Any]) -> Commands:
    """Charge, wait, ship; and tell a person, and somebody who is not there."""
    match turn.event.data:
        case PlaceOrder(order_id=order_id, amount=amount):
            return (
                Persist(order_id),
                Emit(ChargeCard(order_id, amount)),
                Emit(ChargeCard(order_id, amount), domain="a.person"),
                Emit(ChargeCard(order_id, amount), to="com.nobody.here"),
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
    """Fail as soon as anybody says anything."""
    return Persist("waiting") if isinstance(turn.event.data, PlaceOrder) else Fail("a veto")


@flow(order, "1.0.0", services=SERVICES)
def slow(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
    """Charge, wait, ship, written straight down."""
    yield from ask(ChargeCard(event.data.order_id, 1.0), CardCharged)
    yield from sleep(timedelta(minutes=2))
    booked = yield from ask(BookShipment(event.data.order_id), ShipmentBooked)
    return OrderFulfilled(booked.tracking)


veto = Resumable(order, {"1.0.0": vetoed}, services=SERVICES, signals=[approve["1.0.0"]])
SCENES: dict[str, tuple[System, list[Event[Any]], list[Event[Any]]]] = {
    "a workflow": (System([payments, shipping, workflow(patient)]), [], [placing()]),
    "a flow": (System([payments, shipping, slow]), [], [placing()]),
    # The workflow's record alone would not know the signal again.
    "a signal that ends all": (System([veto]), [placing()], [signal("veto")]),
}


@pytest.mark.parametrize("kind", get_args(Kind))
@pytest.mark.parametrize("scene", SCENES)
def test_a_crash_or_an_outage_at_any_call_changes_nothing_in_the_end(
    scene: str, kind: Kind
) -> None:
    """B10, B34, I1, I2: before and after each call to memory and broker."""
    asyncio.run(everywhere(scene, kind, 1))


@pytest.mark.parametrize("kind", ["fail before", "fail after"])
@pytest.mark.parametrize("scene", SCENES)
def test_a_longer_outage_changes_nothing_either(scene: str, kind: Kind) -> None:
    """What cannot even be handed back or buried stays under way."""
    asyncio.run(everywhere(scene, kind, 12))


async def everywhere(scene: str, kind: Kind, length: int) -> None:
    """Let fate strike at each call in turn, and compare with a run in peace."""
    system, before, events = SCENES[scene]
    peace = Fate(-length)
    expected = await outcome(system, events, peace, before)
    for at in range(len(peace.calls)):
        fate = Fate(at, kind, length)
        told = await outcome(system, events, fate, before)
        assert told == expected, f"{kind} call {at}, {fate.calls[: at + 1]}"


PAY, ORDER = "com.payment.charge", "arvo.orc.order.fulfil"
T = TypeVar("T")


def within(work: Coroutine[Any, Any, T]) -> T:
    async def go() -> T:
        async with asyncio.timeout(5):
            return await work

    return asyncio.run(go())


def turn(event: Event[Any]) -> Message:
    return Message(event, ToHandler(ORDER, event.subject))


def test_the_slower_of_two_workers_on_one_event_finds_it_consumed() -> None:
    """I2, I6: a delivery that was given up for lost is worked on twice at once."""

    async def go() -> tuple[list[object], list[str]]:
        memory, broker = InMemoryMachineMemory(), MemoryBroker()
        pairs = [paired(memory, broker) for _ in range(2)]
        for _ in pairs:
            await pairs[0].send(turn(placing()))
        taken = [await pair.receive(ORDER) for pair in pairs]
        assert [await pair.load(placing().subject) for pair in pairs] == [None, None]
        commit = committed(shop, placing())
        asked = Message(commit.events[0], ToHandler(PAY, None))
        applied: list[object] = [
            await pair.commit(delivery, commit, [asked], [])
            for pair, delivery in zip(pairs, taken, strict=True)
        ]
        first, again = await pairs[0].receive(PAY), await pairs[1].receive(PAY)
        for pair in pairs:
            await pair.close()
        return applied, [first.message.event.id, again.message.event.id, commit.events[0].id]

    applied, ids = within(go())

    assert applied == [Committed(), Duplicate()]
    # The second cannot know that the first has sent: it sends the same once more.
    assert len(set(ids)) == 1


def test_a_workflow_remembers_its_newest_events_and_all_that_may_be_unsent() -> None:
    """The journal is bounded, and what another process may not have sent is sent before it goes."""

    async def go() -> tuple[int, int]:
        memory, broker = InMemoryMachineMemory(), MemoryBroker()
        begun = committed(shop, placing())
        assert begun.record is not None
        record, asked = begun.record, Message(begun.events[0], ToHandler(PAY, None))
        for number in range(1, JOURNAL_MAX + 20):
            # Each turn by a process of its own, which dies before it has told that it has sent.
            pair = paired(memory, broker)
            event = placing(f"i{number}", subject=record.subject)
            await pair.send(turn(event))
            delivery = await pair.receive(ORDER)
            moved = evolve(record, revision=number)
            commit = evolve(begun, event=event, record=moved, expected=number - 1)
            assert await pair.commit(delivery, commit, [asked], []) == Committed()
            await pair.close()
        held = Held.of(await memory.read(record.subject))
        unsent = [line for line in held.journal if line.output is not None]
        return len(held.journal), len(unsent)

    assert within(go()) == (JOURNAL_MAX, UNSENT_MAX)
