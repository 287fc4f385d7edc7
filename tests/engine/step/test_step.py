"""Step: decide everything that one event changes."""

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
    Log,
    Perform,
    Performed,
    Schedule,
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
    ChargeCard,
    PlaceOrder,
    charge_request,
    expect_commit,
    expect_violation,
    make_workflow,
    order,
    order_request,
    payment_handler,
    reply_to,
    shop,
)


def test_a_step_is_a_commit_with_everything_in_it() -> None:
    """A backend that applies it needs nothing else."""
    event = charge_request(
        redirectto="com.shop.office",
        accesscontrol="user:1",
        traceparent="00-a-b-01",
        tracestate="x=1",
    )

    commit = expect_commit(shop, event)

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
        to="com.shop.office",
        accesscontrol="user:1",
        executionunits=0,
        traceparent="00-a-b-01",
        tracestate="x=1",
        parentid="c1",
    )


def test_a_step_is_a_result_that_composes() -> None:
    """Users chain results; the library itself branches on a plain union."""
    stepped = step(shop, charge_request(), None, now=NOW)

    assert isinstance(stepped, Success)
    assert isinstance(step(shop, charge_request(to="com.no.one"), None, now=NOW), Failure)


def ask(key: str) -> str:
    return key


def test_a_step_returns_an_effect_and_is_taken_again_with_its_result() -> None:
    """A step that needs I/O asks for it and stays a pure function."""

    def looks_up(event: Event[Any]) -> Effects[Emit]:
        receipt = yield from call(ask, event.data.order_id)
        return Emit(CardCharged(receipt))

    system = System([payment_handler(looks_up)])
    wanted = step(system, charge_request(), None, now=NOW).unwrap()
    assert isinstance(wanted, Perform)

    done = step(system, charge_request(), None, now=NOW, performed=[Performed(wanted, value="r9")])

    commit = done.unwrap()
    assert isinstance(commit, Commit)
    assert commit.events[0].data == CardCharged("r9")


BEGUN = expect_commit(shop, order_request())
ANSWER = reply_to(BEGUN.events[0], CardCharged("r"))


@pytest.mark.parametrize(
    ("event", "kind", "expected"),
    [
        (
            charge_request(to="com.no.one"),
            ConfigViolation,
            "to: expected the address of a handler (com.",
        ),
        (
            order_request(subject="junk"),
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
            "type: expected a reply of a",
        ),
        (
            attrs.evolve(ANSWER, dataschema="#/contracts/payment/charge/9.0.0"),
            ContractViolation,
            "dataschema: expected one of #/contracts/payment/charge/1.0.0, got",
        ),
        (
            attrs.evolve(ANSWER, dataschema="#/contracts/another/1.0.0"),
            ContractViolation,
            "dataschema: expected one of #/contracts/payment/charge/1.0.0, got",
        ),
        (
            attrs.evolve(ANSWER, data={"receipt": 5}),
            ContractViolation,
            "data.receipt: expected a string, got 5",
        ),
        (
            attrs.evolve(order_request(), dataschema="#/orchestrators/order/9.0.0"),
            ContractViolation,
            "dataschema: expected one of #/orchestrators/order/1.0.0, got",
        ),
    ],
    ids=[
        "address",
        "subject",
        "no contract",
        "type",
        "version",
        "contract",
        "payload",
        "init version",
    ],
)
def test_an_invalid_event_is_a_violation_that_names_the_field(
    event: Event[Any], kind: type, expected: str
) -> None:
    """Unknown address, subject, type, version or payload: the sender must change the event."""
    record = BEGUN.record if event.parentid else None

    violation = expect_violation(shop, event, record)

    assert type(violation) is kind
    assert expected in str(violation)


@pytest.mark.promise("I5")
def test_a_violation_changes_nothing() -> None:
    """I5: an operator fixes the contract and delivers the same event again."""
    broken = ContractViolation("no")
    system = System([make_workflow(lambda _: Violate(broken))])

    assert expect_violation(system, order_request()) == broken
    assert expect_commit(shop, order_request()) == BEGUN


def test_a_stack_trace_is_sent_only_with_stacks_on() -> None:
    """B37: a stack trace in a system error would expose internals to callers."""

    def fails(_: Any) -> None:
        raise ValueError("no")

    quiet = expect_commit(System([payment_handler(fails)]), charge_request()).events[0]
    loud = expect_commit(System([payment_handler(fails)], stacks=True), charge_request()).events[0]

    turn = expect_commit(System([make_workflow(fails)], stacks=True), order_request()).events[0]

    assert quiet.raw == {"errorName": "ValueError", "errorMessage": "no", "errorStack": None}
    assert "Traceback" in loud.raw["errorStack"]
    assert "Traceback" in turn.raw["errorStack"]


def test_an_init_event_made_by_hand_needs_the_key_of_the_protocol() -> None:
    """The same event has the same outcome in this process and over a wire."""
    fields = {**order_request().to_dict(), "data": PlaceOrder("o1")}
    by_hand: Event[Any] = Event(**fields)
    over_the_wire = Event.parse(by_hand.to_json())

    assert by_hand == over_the_wire
    assert expect_violation(shop, by_hand) == expect_violation(shop, over_the_wire)
    assert "data.parentSubject$$: expected a value (required)" in str(
        expect_violation(shop, by_hand)
    )


def test_a_workflow_stays_on_the_version_that_its_subject_names() -> None:
    """A version that its handler no longer has is a violation, so that an operator sees it."""
    gone = Subject.new("arvo.orc.order.fulfil", "9.0.0", initiator=WEB, id="1")

    violation = expect_violation(shop, order_request(subject=str(gone)))

    assert isinstance(violation, ConfigViolation)
    assert "subject.orchestrator.version: expected 1.0.0, got 9.0.0" in str(violation)


def test_a_commit_that_changes_nothing_has_a_note_and_the_revision_it_saw() -> None:
    """An interpreter applies it by compare and set like any other commit, and drops the event."""
    begun = expect_commit(shop, order_request()).record
    assert begun is not None

    again = expect_commit(shop, order_request(), begun)

    assert again == Commit(
        handler="arvo.orc.order.fulfil",
        event=order_request(),
        outcome="duplicate",
        expected=1,
        logs=(Log("debug", "event without effect", {"arvo_reason": again.note}),),
        note="the workflow has consumed it already",
    )


def test_an_event_of_an_unknown_workflow_expects_no_record() -> None:
    """If the workflow has started meanwhile, the commit conflicts and the step is taken again."""
    (request,) = expect_commit(shop, order_request()).events

    unknown = expect_commit(shop, reply_to(request, CardCharged("r")))

    assert (unknown.outcome, unknown.expected, unknown.record) == ("unknown_workflow", 0, None)


def test_two_replies_of_one_service_are_two_events() -> None:
    """CloudEvents 1.0: only source and id together identify a duplicate."""
    system = System(
        [make_workflow(lambda turn: Emit(ChargeCard("o1", 1)) if turn.record is None else None)]
    )
    begun = expect_commit(system, order_request())
    (request,) = begun.events
    first = expect_commit(system, reply_to(request, CardCharged("r"), "a1"), begun.record)

    second = expect_commit(system, reply_to(request, CardCharged("r"), "a2"), first.record)
    again = expect_commit(system, reply_to(request, CardCharged("r"), "a1"), first.record)

    assert [commit.outcome for commit in (first, second, again)] == [
        *("handled", "handled", "duplicate"),
    ]


def test_the_old_event_of_a_rescheduled_timer_is_late() -> None:
    """That event may have been in delivery when the timer was rescheduled."""
    system = System([make_workflow(lambda turn: Schedule("t", after=0))])
    begun = expect_commit(system, order_request())
    (old,) = begun.timers
    later = expect_commit(system, old.event, begun.record)

    late = expect_commit(system, attrs.evolve(old.event, id="another"), later.record)
    assert later.record is not None
    gone = expect_commit(system, old.event, attrs.evolve(later.record, timers={}))

    assert (late.outcome, late.expected, late.handler) == ("late", 2, "arvo.orc.order.fulfil")
    assert (gone.outcome, gone.event) == ("late", old.event)
    assert "'t' has fired, or was cancelled or rescheduled" in str(late.note)


def test_a_timer_that_fires_too_early_is_delivered_again() -> None:
    """A clock may be behind; the cause of the violation tells the interpreter to wait."""
    system = System([make_workflow(lambda turn: Schedule("t", after=5))])
    begun = expect_commit(system, order_request())

    early = expect_violation(system, begun.timers[0].event, begun.record)

    assert early.cause == "early"
    assert "now: expected 2026-01-02T03:04:10+00:00 or later" in str(early)


def test_a_timer_event_keeps_access_control_and_trace_context() -> None:
    """Everything that follows from the timer belongs to the event that set it."""
    attributes: dict[str, Any] = {
        "accesscontrol": "user:1",
        "traceparent": "00-a-b-01",
        "tracestate": "x=1",
    }
    system = System([make_workflow(lambda turn: Schedule("t", after=5))])

    (timer,) = expect_commit(system, order_request(**attributes)).timers

    assert {name: getattr(timer.event, name) for name in attributes} == attributes
    assert timer.event.parentid == "i1"


def test_a_cancellation_that_overtakes_the_init_event_is_delivered_again() -> None:
    """If it were dropped, the workflow would run on."""
    cancellation = order["1.0.0"].cancel(
        "enough", source=WEB, subject=order_request().subject, id="x1", time=TIME
    )

    early = expect_violation(shop, cancellation)

    assert early.cause == "early"
    assert "subject: expected a workflow that has started" in str(early)
