"""Limits: which slots an event takes, by the limits of its handler."""

from typing import Any

from arvo import Event, EventHandler, Limit, Persist, Resumable, System, Turn
from arvo.core.payloads.frozen_json import FrozenDict
from arvo.core.violations.violation import ExecutionViolation
from arvo.engine.limits import Slot, limited_addresses, slots_of
from arvo.interpreters.runtime.operations import make_cancellation
from tests.shop import ChargeCard, charge, charge_request, order, order_request


def slots(*limits: Limit, event: Event[Any] | None = None) -> tuple[Slot, ...]:
    """Return the slots of a payment."""
    system = System([EventHandler(charge, {"1.0.0": lambda _: None}, limits=limits)])
    taken = slots_of(system, charge_request() if event is None else event)
    assert isinstance(taken, tuple)
    return taken


def test_an_event_takes_a_slot_of_each_limit() -> None:
    """Each with the number of its limit, and the seconds of a rate."""
    one, two = slots(Limit(concurrent=3), Limit(rate=100, seconds=60))

    assert (one.number, one.seconds) == (3, None)
    assert (two.number, two.seconds) == (100, 60)
    assert one.id != two.id


def test_each_key_has_a_slot_of_its_own() -> None:
    """The function gets the event as the handler does: with the payload as its class."""
    limit = Limit(concurrent=1, per=lambda event: event.data.order_id)
    payments = [
        charge["1.0.0"].accepts(ChargeCard(order, 1.0), source="com.shop.web")
        for order in ("a", "b", "a")
    ]

    [first], [second], [third] = (
        slots(limit, event=event.with_payload(event.raw, event.raw)) for event in payments
    )

    assert first == third != second


def test_a_limit_does_not_count_an_event_without_a_key() -> None:
    """The function says so by None."""
    assert slots(Limit(concurrent=1, per=lambda _: None)) == ()


def test_a_key_that_fails_is_a_violation() -> None:
    """An operator reads which limit of which handler it was."""
    system = System(
        [
            EventHandler(
                charge,
                {"1.0.0": lambda _: None},
                limits=[Limit(concurrent=1), Limit(concurrent=1, per=lambda e: e.data.customer)],
            )
        ]
    )

    refused = slots_of(system, charge_request())

    assert isinstance(refused, ExecutionViolation)
    assert "limits[1].per: expected a text, a whole number or None" in str(refused)
    assert "AttributeError" in str(refused)


def test_a_key_of_another_type_is_a_violation() -> None:
    """A float or a list has no one text."""
    limit = Limit(concurrent=1, per=lambda _: 1.5)  # type: ignore[arg-type, return-value]
    system = System([EventHandler(charge, {"1.0.0": lambda _: None}, limits=[limit])])

    assert isinstance(slots_of(system, charge_request()), ExecutionViolation)


def test_an_event_that_its_handler_does_not_accept_takes_no_slot() -> None:
    """Its step refuses it, and no key can be read from it."""
    event = charge_request()
    invalid = FrozenDict({"order_id": 1})

    assert slots(Limit(concurrent=1), event=event.with_payload(invalid, invalid)) == ()


def test_a_cancellation_takes_no_slot() -> None:
    """It interrupts a turn that may hold the last one."""

    def take(_turn: Turn[Any]) -> Persist:
        return Persist({})

    system = System([Resumable(order, {"1.0.0": take}, limits=[Limit(concurrent=1)])])
    begin = order_request("i1")

    assert limited_addresses(system) == {order.type}
    assert len(slots_of(system, begin)) == 1  # type: ignore[arg-type]
    assert slots_of(system, make_cancellation(system, begin.subject, "late")) == ()
