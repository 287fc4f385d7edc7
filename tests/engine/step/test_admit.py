"""Admit: find the handler of an event and read its payload."""

from typing import Any

import pytest
from attrs import evolve

from arvo import Contract, Emit, Event, EventHandler, System, SystemFault, Version, run
from arvo.engine.step.admit import admit_emitted
from tests.shop import (
    TIME,
    WEB,
    CardCharged,
    ChargeCard,
    charge_request,
    expect_commit,
    order_request,
    shop,
)

untyped = Contract(
    uri="#/contracts/plain",
    type="com.plain.data",
    versions={
        "1.0.0": Version(accepts={"type": "object"}, emits={"evt.plain.done": {"type": "object"}})
    },
)


def test_a_handler_cannot_change_its_event() -> None:
    """B30: a handler could change the payload in place, so a retry would see other data."""
    seen: list[Any] = []

    def function(event: Event[Any]) -> Emit:
        seen.append(event.data)
        return Emit({}, type="evt.plain.done")

    event = untyped["1.0.0"].accepts({"lines": [{"n": 1}]}, source=WEB, id="c1", time=TIME)
    expect_commit(System([EventHandler(untyped, {"1.0.0": function})]), event)

    with pytest.raises(TypeError, match="cannot be changed"):
        seen[0]["lines"][0]["n"] = 2
    with pytest.raises(TypeError, match="cannot be changed"):
        seen[0]["more"] = 2


def over_a_wire(event: Event[object]) -> Event[object]:
    return Event.parse(event.to_json())


def test_an_answer_is_read_by_the_contract_of_its_handler() -> None:
    """The caller gets an instance of the payload class, from memory and from a wire alike."""
    (answer,) = run(shop, charge_request("one")).answers

    assert isinstance(answer.data, CardCharged)
    assert admit_emitted(shop, over_a_wire(answer)).data == answer.data


def test_a_request_is_read_by_the_contract_of_the_service() -> None:
    """A request may leave by a domain, and the listener of that domain reads its payload."""
    (request,) = expect_commit(shop, order_request()).events

    assert isinstance(request.data, ChargeCard)
    assert admit_emitted(shop, over_a_wire(request)).data == request.data


def test_a_system_error_is_read_as_a_system_fault() -> None:
    """Every contract has it implicitly."""
    (answer,) = run(shop, charge_request("one")).answers
    error = {**answer.to_dict(), "type": "sys.com.payment.charge.error"}
    error |= {"dataschema": "#/contracts/payment/charge/0.0.0"}
    error |= {"data": {"errorName": "Error", "errorMessage": "no", "errorStack": None}}

    assert isinstance(admit_emitted(shop, Event.from_dict(error)).data, SystemFault)


def test_an_event_of_an_unknown_contract_stays_json() -> None:
    """It comes from another system or another version, or does not fit its contract."""
    (answer,) = run(shop, charge_request("one")).answers
    for change in (
        {"source": "com.elsewhere.service"},
        {"type": "evt.not.known"},
        {"data": {"receipt": 7}},
        {"dataschema": None},
    ):
        event = Event.from_dict({**answer.to_dict(), **change})
        assert admit_emitted(shop, event) == event
    (request,) = expect_commit(shop, order_request()).events
    later = {**request.to_dict(), "dataschema": "#/contracts/payment/charge/9.0.0"}
    assert admit_emitted(shop, Event.from_dict(later)).data == request.raw


def test_a_workflow_begins_by_an_event_with_the_wildcard_dataschema() -> None:
    """Its sender may not know the versions; the subject names the one that runs."""
    request = evolve(order_request(), dataschema="#/orchestrators/order/0.0.0")

    commit = expect_commit(shop, request)

    assert len(commit.events) == 1
    assert commit.events == expect_commit(shop, order_request()).events
