"""Admit: who answers an event, and what it is handed."""

from typing import Any

import pytest

from arvo import Contract, Emit, Event, EventHandler, System, SystemFault, Version, run
from arvo.engine.step.admit import admit_made
from tests.shop import TIME, WEB, CardCharged, ChargeCard, charging, committed, placing, shop

plain = Contract(
    uri="#/contracts/plain",
    type="com.plain.data",
    versions={
        "1.0.0": Version(accepts={"type": "object"}, emits={"evt.plain.done": {"type": "object"}})
    },
)


def test_a_handler_cannot_change_what_it_is_handed() -> None:
    """B30: whoever retries the event after it sees what was sent, also where it has no class."""
    seen: list[Any] = []

    def function(event: Event[Any]) -> Emit:
        seen.append(event.data)
        return Emit({}, type="evt.plain.done")

    event = plain["1.0.0"].accepts({"lines": [{"n": 1}]}, source=WEB, id="c1", time=TIME)
    committed(System([EventHandler(plain, {"1.0.0": function})]), event)

    with pytest.raises(TypeError, match="cannot be changed"):
        seen[0]["lines"][0]["n"] = 2
    with pytest.raises(TypeError, match="cannot be changed"):
        seen[0]["more"] = 2


def over_a_wire(event: Event[object]) -> Event[object]:
    return Event.parse(event.to_json())


def test_an_answer_is_read_by_the_contract_of_whoever_gave_it() -> None:
    """Whoever asked is given a payload of its class, however the answer came."""
    (answer,) = run(shop, charging("one")).answers

    assert isinstance(answer.data, CardCharged)
    assert admit_made(shop, over_a_wire(answer)).data == answer.data


def test_a_request_is_read_by_the_contract_of_the_service() -> None:
    """A workflow's request may leave by a domain, to somebody who is handed it here."""
    (asked,) = committed(shop, placing()).events

    assert isinstance(asked.data, ChargeCard)
    assert admit_made(shop, over_a_wire(asked)).data == asked.data


def test_a_system_error_is_read_as_one() -> None:
    """It is in no contract, and in all."""
    (answer,) = run(shop, charging("one")).answers
    told = {**answer.to_dict(), "type": "sys.com.payment.charge.error"}
    told |= {"dataschema": "#/contracts/payment/charge/0.0.0"}
    told |= {"data": {"errorName": "Error", "errorMessage": "no", "errorStack": None}}

    assert isinstance(admit_made(shop, Event.from_dict(told)).data, SystemFault)


def test_an_answer_that_nobody_here_knows_stays_as_it_came() -> None:
    """A service of another system, another version, something else than the contract says."""
    (answer,) = run(shop, charging("one")).answers
    for change in (
        {"source": "com.elsewhere.service"},
        {"type": "evt.nobody.knows"},
        {"data": {"receipt": 7}},
        {"dataschema": None},
    ):
        event = Event.from_dict({**answer.to_dict(), **change})
        assert admit_made(shop, event) == event
    (asked,) = committed(shop, placing()).events
    later = {**asked.to_dict(), "dataschema": "#/contracts/payment/charge/9.0.0"}
    assert admit_made(shop, Event.from_dict(later)).data == asked.raw
