"""Not checked: a check that has tried nothing, or too little, fails and says why."""

from typing import Any

import pytest
from attrs import field, frozen
from hypothesis import settings
from hypothesis import strategies as st

from arvo import (
    Complete,
    Contract,
    ContractViolation,
    Emit,
    Event,
    EventHandler,
    Fail,
    SystemFault,
    Turn,
    Version,
    Violate,
)
from arvo.testing import (
    LawViolated,
    NotChecked,
    PartlyChecked,
    check_handler,
    check_workflow,
    events,
)
from tests.shop import BookShipment, ChargeCard, charge, fulfilment, payments
from tests.testing.laws.workflows import ANY, asking


@frozen
class Even:
    number: int = field()

    @number.validator
    def _never(self, _: object, number: int) -> None:
        if number >= 0 or number < 0:
            raise ValueError("number: expected another one")


def handler_of(accepts: Any, function: Any) -> EventHandler[Any]:
    version = Version(accepts=accepts, emits={"evt.done": {}})
    contract = Contract(uri="#/c", type="com.c.do", versions={"1.0.0": version})
    return EventHandler(contract, {"1.0.0": function})


def raises(event: Event[Any]) -> Emit:
    raise KeyError("never")


def violates(event: Event[Any]) -> Violate:
    return Violate(ContractViolation("never"))


def test_events_that_are_never_drawn_are_no_pass() -> None:
    """A filter may refuse all of them."""
    none = events(charge["1.0.0"]).filter(lambda event: event.source == "elsewhere")

    with pytest.raises(NotChecked, match=r"0 events could be drawn, in \d+ attempts"):
        check_handler(payments, events=none)


def test_too_few_events_are_no_pass() -> None:
    """A hundred draws for one event leave most of the contract untried."""
    rare = events(charge["1.0.0"]).filter(lambda event: event.id == "event-17")
    rarer = rare.filter(lambda event: event.redirectto is None and event.raw["amount"] > 10**9)

    with pytest.raises(NotChecked, match="events could be drawn"):
        check_handler(payments, events=rarer)


def test_few_events_pass_if_there_are_no_more() -> None:
    """A strategy of one event is exhausted by it."""
    example = charge["1.0.0"].accepts(ChargeCard("o1", 1.0), source="com.test.shop", id="1")

    assert check_handler(payments, events=st.just(example)).tried == 1


def test_a_class_that_refuses_its_own_values_is_named() -> None:
    """Its validators are Python, of which the schema knows nothing."""
    with pytest.raises(NotChecked) as caught:
        check_handler(handler_of(Even, raises))

    assert "data: Even expects" in str(caught.value) or "data.number: Even" in str(caught.value)


@pytest.mark.parametrize(
    ("function", "options", "reason"),
    [
        (raises, {"may_raise": [KeyError]}, "it raises KeyError"),
        (violates, {"may_violate": [ContractViolation]}, "it violates: ContractViolation"),
    ],
)
def test_a_handler_that_handles_no_event_is_no_pass(
    function: Any, options: dict[str, Any], reason: str
) -> None:
    """What may happen must not be all that happens."""
    with pytest.raises(NotChecked, match=f"handles none of .* events\n\n.*{reason}"):
        check_handler(handler_of(ANY, function), **options)


def test_a_report_counts_what_was_tried() -> None:
    """So that a test may require more."""
    report = check_handler(payments, settings=settings(max_examples=30, derandomize=True))

    assert 25 <= report.tried <= 30
    assert report.handled == report.tried
    assert set(report.laws.values()) == {report.tried}
    assert report.unchecked == ()
    assert str(report).startswith(f"tried {report.tried}, handled {report.tried}")


def test_a_law_without_a_case_is_reported_and_fails_if_it_is_asked_for() -> None:
    """One request at a time leaves no order of replies to check."""
    report = check_workflow(asking(ANY))

    assert "order: no two replies are ever pending at once" in report.unchecked
    assert report.laws["redelivery"] > 0
    with pytest.raises(NotChecked, match="the law `order` has no case"):
        check_workflow(asking(ANY), laws=["order"])


def test_a_migration_that_is_asked_for_needs_a_version() -> None:
    """Without `migrate_to` the law has nothing to do."""
    with pytest.raises(NotChecked, match=r"the law `migration` has no case .* pass migrate_to"):
        check_workflow(asking(ANY), laws=["migration"])


def test_a_workflow_that_takes_no_step_is_no_pass() -> None:
    """Each of its runs ends with the refusal of its first event."""

    def refuses(turn: Turn[Any]) -> Violate:
        return Violate(ContractViolation("closed"))

    with pytest.raises(NotChecked, match=r"takes no step in \d+ runs\n\n.*closed"):
        check_workflow(asking(ANY, refuses), may_violate=[ContractViolation])


def test_a_request_that_is_never_sent_cannot_be_sent_once() -> None:
    """A class that the workflow does not use would pass whatever it does."""
    with pytest.raises(NotChecked, match=r"no run of .* requests SystemFault") as caught:
        check_workflow(fulfilment, once=[SystemFault], may_violate=[ContractViolation])

    assert "com.payment.charge" in str(caught.value)
    check_workflow(fulfilment, once=[BookShipment], may_violate=[ContractViolation])


def order_of_a_set(event: Event[Any]) -> Emit:
    return Emit({"text": ",".join({"red", "green", "blue"})}, type="evt.done")


def hash_of_text(event: Event[Any]) -> Emit:
    return Emit({"text": str(hash("red"))}, type="evt.done")


def local_function() -> Any:
    names = {"red", "green", "blue", "white"}
    return lambda event: Emit({"text": ",".join(names)}, type="evt.done")


@pytest.mark.parametrize("function", [order_of_a_set, hash_of_text, local_function()])
def test_a_handler_that_depends_on_hashes_is_found(function: Any) -> None:
    """A redelivered event runs in another process, in which strings have other hashes."""
    with pytest.raises(LawViolated) as caught:
        check_handler(handler_of(ANY, function))

    violation = caught.value.violation
    assert violation.law == "a handler is deterministic"
    assert "another hash seed" in violation.problem
    assert violation.trace[-2].startswith("here sends[0].data.text is ")
    assert violation.trace[-1].startswith("there sends[0].data.text is ")


def test_a_workflow_that_depends_on_hashes_is_found() -> None:
    """Its record would differ from the one that another worker commits."""

    def sends_a_set(turn: Turn[Any]) -> Any:
        if turn.input is not None:
            return Emit({"n": len("".join({"red", "green"}).split("red")[0])}, type="com.hard.ask")
        return Fail("no") if isinstance(turn.event.data, SystemFault) else Complete({"n": 2})

    with pytest.raises(LawViolated) as caught:
        check_workflow(asking(ANY, sends_a_set))

    violation = caught.value.violation
    assert "(redelivery)" in violation.law
    assert "another hash seed" in violation.problem
    assert violation.trace[-1].startswith("there ")


def test_a_set_in_a_payload_and_in_an_effect_is_no_dependence() -> None:
    """Its order on the wire is that of its items, and a stub answers to equal sets alike."""

    @frozen
    class Tags:
        tags: frozenset[str]

    def returns_it(event: Event[Tags]) -> Emit:
        return Emit(Tags(event.data.tags | {"red", "green"}), type="evt.done")

    version = Version(accepts=Tags, emits={"evt.done": Tags})
    contract = Contract(uri="#/c", type="com.c.do", versions={"1.0.0": version})

    report = check_handler(EventHandler(contract, {"1.0.0": returns_it}))

    assert report.laws["another process"] == report.tried


def test_a_handler_that_cannot_be_sent_to_another_process_is_reported() -> None:
    """The other laws hold; this one was not checked."""
    numbers = (number for number in range(3))

    def uses_a_generator(event: Event[Any]) -> Emit:
        next(numbers, 0)
        return Emit({}, type="evt.done")

    with pytest.warns(PartlyChecked, match="cannot pickle 'generator' object"):
        report = check_handler(handler_of(ANY, uses_a_generator))

    assert report.laws["another process"] == 0
    assert "cannot be sent to another process" in report.unchecked[0]
