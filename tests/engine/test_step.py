"""Step: one event, and all that follows from it."""

from typing import Any

import attrs
import pytest
from returns.result import Failure, Success

from arvo import (
    Commit,
    ConfigViolation,
    ContractViolation,
    Effects,
    Emit,
    Event,
    ExecutionViolation,
    Perform,
    Performed,
    Subject,
    System,
    Violate,
    call,
    step,
)
from tests.shop import (
    NOW,
    TIME,
    WEB,
    CardCharged,
    PlaceOrder,
    answering,
    charging,
    committed,
    paying,
    placing,
    refused,
    shop,
    workflow,
)


def test_a_step_is_a_commit_with_everything_in_it() -> None:
    """Whoever applies it needs to know nothing else."""
    event = charging(redirectto="com.shop.desk", accesscontrol="user:1", traceparent="00-a-b-01")

    commit = committed(shop, event)

    (answer,) = commit.events
    assert commit == Commit(handler="com.payment.charge", event=event, events=(answer,))
    assert answer == Event(
        id=answer.id,
        source="com.payment.charge",
        type="evt.payment.charged",
        subject=event.subject,
        dataschema="#/contracts/payment/charge/1.0.0",
        data={"receipt": "r-o1"},
        time=TIME,
        to="com.shop.desk",
        accesscontrol="user:1",
        executionunits=0,
        traceparent="00-a-b-01",
        parentid="c1",
    )


def test_it_is_a_result_that_composes() -> None:
    """Users chain it; the library branches on the union inside."""
    stepped = step(shop, charging(), None, now=NOW)

    assert isinstance(stepped, Success)
    assert isinstance(step(shop, charging(to="com.no.one"), None, now=NOW), Failure)


def ask(key: str) -> str:
    return key


def test_an_effect_is_asked_for_and_the_step_taken_again() -> None:
    """A step that needs the world says so, and stays a function."""

    def looks_up(event: Event[Any]) -> Effects[Emit]:
        receipt = yield from call(ask, event.data.order_id)
        return Emit(CardCharged(receipt))

    system = System([paying(looks_up)])
    wanted = step(system, charging(), None, now=NOW).unwrap()
    assert isinstance(wanted, Perform)

    done = step(system, charging(), None, now=NOW, performed=[Performed(wanted, value="r9")])

    commit = done.unwrap()
    assert isinstance(commit, Commit)
    assert commit.events[0].data == CardCharged("r9")


BEGUN = committed(shop, placing())
ANSWER = answering(BEGUN.events[0], CardCharged("r"))


@pytest.mark.parametrize(
    ("event", "kind", "told"),
    [
        (charging(to="com.no.one"), ConfigViolation, "to: expected the address of a handler (com."),
        (
            placing(subject="junk"),
            ExecutionViolation,
            "names no workflow: subject: expected base64",
        ),
        (
            attrs.evolve(ANSWER, dataschema=None),
            ContractViolation,
            "dataschema: expected {contract uri}/{version}, got None",
        ),
        (
            attrs.evolve(ANSWER, type="evt.odd.one"),
            ConfigViolation,
            "type: expected an answer of a",
        ),
        (
            attrs.evolve(ANSWER, dataschema="#/contracts/payment/charge/9.0.0"),
            ContractViolation,
            "dataschema: expected one of #/contracts/payment/charge/1.0.0, got",
        ),
        (
            attrs.evolve(ANSWER, data={"receipt": 5}),
            ContractViolation,
            "data.receipt: expected a string, got 5",
        ),
        (
            attrs.evolve(placing(), dataschema="#/orchestrators/order/9.0.0"),
            ContractViolation,
            "dataschema: expected one of #/orchestrators/order/1.0.0, got",
        ),
    ],
    ids=["address", "subject", "no contract", "type", "version", "payload", "init version"],
)
def test_an_event_that_breaks_a_promise_is_a_violation_that_says_where(
    event: Event[Any], kind: type, told: str
) -> None:
    """F111, F124, F125: unknown address, subject, type, version, payload."""
    record = BEGUN.record if event.parentid else None

    violation = refused(shop, event, record)

    assert type(violation) is kind
    assert told in str(violation)


def test_a_violation_changes_nothing() -> None:
    """I5: an operator mends the contract and delivers the same event again."""
    broken = ContractViolation("no")
    system = System([workflow(lambda _: Violate(broken))])

    assert refused(system, placing()) == broken
    assert committed(shop, placing()) == BEGUN


def test_a_stack_is_sent_only_where_the_operator_asked_for_it() -> None:
    """B37."""

    def fails(_: Event[Any]) -> None:
        raise ValueError("no")

    quiet = committed(System([paying(fails)]), charging()).events[0]
    loud = committed(System([paying(fails)], stacks=True), charging()).events[0]

    assert quiet.raw == {"errorName": "ValueError", "errorMessage": "no", "errorStack": None}
    assert "Traceback" in loud.raw["errorStack"]


def test_an_init_event_made_by_hand_needs_the_protocols_key() -> None:
    """In this process or over the wire: the same event has the same outcome."""
    said = {**placing().to_dict(), "data": PlaceOrder("o1")}
    by_hand: Event[Any] = Event(**said)
    over_the_wire = Event.parse(by_hand.to_json())

    assert by_hand == over_the_wire
    assert refused(shop, by_hand) == refused(shop, over_the_wire)
    assert "data.parentSubject$$: expected a value (required)" in str(refused(shop, by_hand))


def test_a_workflow_stays_on_the_version_that_its_subject_names() -> None:
    """F164: one that no handler has any more is told to the operator."""
    gone = Subject.new("arvo.orc.order.fulfil", "9.0.0", initiator=WEB, id="1")

    violation = refused(shop, placing(subject=str(gone)))

    assert isinstance(violation, ConfigViolation)
    assert "subject.orchestrator.version: expected 1.0.0, got 9.0.0" in str(violation)
