"""Admit: what a contract reads of an event."""

from arvo import Event, SystemFault, run
from arvo.engine.admit import admit_answer
from tests.shop import CardCharged, charging, shop


def over_a_wire(event: Event[object]) -> Event[object]:
    return Event.parse(event.to_json())


def test_an_answer_is_read_by_the_contract_of_whoever_gave_it() -> None:
    """Whoever asked is given a payload of its class, however the answer came."""
    (answer,) = run(shop, charging("one")).answers

    assert isinstance(answer.data, CardCharged)
    assert admit_answer(shop, over_a_wire(answer)).data == answer.data


def test_a_system_error_is_read_as_one() -> None:
    """It is in no contract, and in all."""
    (answer,) = run(shop, charging("one")).answers
    told = {**answer.to_dict(), "type": "sys.com.payment.charge.error"}
    told |= {"dataschema": "#/contracts/payment/charge/0.0.0"}
    told |= {"data": {"errorName": "Error", "errorMessage": "no", "errorStack": None}}

    assert isinstance(admit_answer(shop, Event.from_dict(told)).data, SystemFault)


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
        assert admit_answer(shop, event) == event
