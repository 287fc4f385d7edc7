"""Limits: which slots an event takes, by the limits of its handler."""

from typing import Any

import pytest

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


def test_events_of_one_priority_and_fairness_key_are_a_group() -> None:
    """They wait for the same slot, one group in turn with the others; without both in order."""
    limit = Limit(
        concurrent=1,
        priority=lambda event: int(event.data.amount),
        fairness_key=lambda event: event.data.order_id,
    )
    taken = [
        slots(limit, event=charge["1.0.0"].accepts(ChargeCard(*data), source="com.shop.web"))[0]
        for data in (("a", 1.0), ("a", 1.0), ("a", 2.0), ("b", 1.0))
    ]

    assert len(set(taken)) == 1
    assert [slot.priority for slot in taken] == [1, 1, 2, 1]
    assert taken[0].group == taken[1].group
    assert len({slot.group for slot in taken}) == 3
    assert slots(Limit(concurrent=1))[0].group is None


def test_a_fairness_key_may_be_none() -> None:
    """Those events have one turn together."""
    [without] = slots(Limit(concurrent=1, fairness_key=lambda _: None))
    [with_text] = slots(Limit(concurrent=1, fairness_key=lambda _: "None"))

    assert without.group is not None
    assert without.group != with_text.group


@pytest.mark.parametrize("priority", [-1, 10, 1.0, True, "9", None])
def test_a_priority_out_of_bounds_is_a_violation(priority: object) -> None:
    """As a key of another type is: an operator reads which limit it was."""
    limit = Limit(concurrent=1, priority=lambda _: priority)  # type: ignore[arg-type, return-value]
    system = System([EventHandler(charge, {"1.0.0": lambda _: None}, limits=[limit])])

    refused = slots_of(system, charge_request())

    assert "limits[0].priority: expected a whole number from 0 to 9" in str(refused)


def test_a_fairness_key_that_fails_is_a_violation() -> None:
    """As a key of `per` is."""
    limit = Limit(concurrent=1, fairness_key=lambda event: event.data.customer)
    system = System([EventHandler(charge, {"1.0.0": lambda _: None}, limits=[limit])])

    refused = slots_of(system, charge_request())

    assert "limits[0].fairness_key: expected a text, a whole number or None" in str(refused)


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
