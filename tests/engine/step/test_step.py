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
    Fail,
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
    answering,
    charging,
    committed,
    order,
    paying,
    placing,
    refused,
    shop,
    workflow,
)


def test_a_step_is_a_commit_with_everything_in_it() -> None:
    """Whoever applies it needs to know nothing else."""
    event = charging(
        redirectto="com.shop.desk",
        accesscontrol="user:1",
        traceparent="00-a-b-01",
        tracestate="x=1",
    )

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
        tracestate="x=1",
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
            attrs.evolve(placing(), dataschema="#/orchestrators/order/9.0.0"),
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

    def fails(_: Any) -> None:
        raise ValueError("no")

    quiet = committed(System([paying(fails)]), charging()).events[0]
    loud = committed(System([paying(fails)], stacks=True), charging()).events[0]

    turn = committed(System([workflow(fails)], stacks=True), placing()).events[0]

    assert quiet.raw == {"errorName": "ValueError", "errorMessage": "no", "errorStack": None}
    assert "Traceback" in loud.raw["errorStack"]
    assert "Traceback" in turn.raw["errorStack"]


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


def test_what_changes_nothing_says_so_and_names_the_revision_it_saw() -> None:
    """An interpreter compares and sets it like any other commit, and drops the event."""
    begun = committed(shop, placing()).record
    assert begun is not None

    again = committed(shop, placing(), begun)

    assert again == Commit(
        handler="arvo.orc.order.fulfil",
        event=placing(),
        outcome="duplicate",
        expected=1,
        logs=(Log("warning", f"event i1 changes nothing: {again.note}"),),
        note="the workflow has consumed it before",
    )


def test_an_event_of_no_workflow_expects_that_there_is_none() -> None:
    """Where one has begun meanwhile, the commit is a conflict, and the step is taken again."""
    (asked,) = committed(shop, placing()).events

    stray = committed(shop, answering(asked, CardCharged("r")))

    assert (stray.outcome, stray.expected, stray.record) == ("unknown_workflow", 0, None)


def test_what_comes_to_a_failed_workflow_waits_for_an_operator() -> None:
    """Who may revive it; where somebody has meanwhile, the commit is a conflict."""
    system = System(
        [workflow(lambda turn: Emit(ChargeCard("o1", 1)) if turn.input else Fail("no money"))]
    )
    begun = committed(system, placing())
    answer = answering(begun.events[0], CardCharged("r"))
    failed = committed(system, answer, begun.record)

    halted = committed(system, attrs.evolve(answer, id="a2"), failed.record)

    assert (halted.outcome, halted.expected, halted.record) == ("workflow_failed", 2, None)
    assert halted.note == "the workflow failed: no money"


def test_two_answers_of_one_service_are_two() -> None:
    """Only source and id together say that an event was there before (CloudEvents 1.0)."""
    system = System(
        [workflow(lambda turn: Emit(ChargeCard("o1", 1)) if turn.record is None else None)]
    )
    begun = committed(system, placing())
    (asked,) = begun.events
    first = committed(system, answering(asked, CardCharged("r"), "a1"), begun.record)

    second = committed(system, answering(asked, CardCharged("r"), "a2"), first.record)
    elsewhere = committed(system, answering(asked, CardCharged("r"), "a1", WEB), first.record)
    again = committed(system, answering(asked, CardCharged("r"), "a1"), first.record)

    assert [each.outcome for each in (first, second, elsewhere, again)] == [
        *("handled", "handled", "handled", "duplicate"),
    ]


def test_a_timer_that_was_set_anew_comes_too_late() -> None:
    """Its event may have been under way when the other took its place."""
    system = System([workflow(lambda turn: Schedule("t", after=0))])
    begun = committed(system, placing())
    (old,) = begun.timers
    later = committed(system, old.event, begun.record)

    late = committed(system, attrs.evolve(old.event, id="another"), later.record)
    assert later.record is not None
    gone = committed(system, old.event, attrs.evolve(later.record, timers={}))

    assert (late.outcome, late.expected, late.handler) == ("late", 2, "arvo.orc.order.fulfil")
    assert (gone.outcome, gone.event) == ("late", old.event)
    assert "'t' has fired, or was cancelled or set anew" in str(late.note)


def test_a_timer_that_comes_before_its_time_is_to_come_again() -> None:
    """A clock may be behind: nothing is lost, and an interpreter knows by the cause to wait."""
    system = System([workflow(lambda turn: Schedule("t", after=5))])
    begun = committed(system, placing())

    early = refused(system, begun.timers[0].event, begun.record)

    assert early.cause == "early"
    assert "now: expected 2026-01-02T03:04:10+00:00 or later" in str(early)


def test_a_timer_remembers_whose_right_and_trace_it_carries_on() -> None:
    """What it leads to belongs to the event that set it."""
    said: dict[str, Any] = {
        "accesscontrol": "user:1",
        "traceparent": "00-a-b-01",
        "tracestate": "x=1",
    }
    system = System([workflow(lambda turn: Schedule("t", after=5))])

    (timer,) = committed(system, placing(**said)).timers

    assert {name: getattr(timer.event, name) for name in said} == said
    assert timer.event.parentid == "i1"


def test_a_cancellation_that_overtakes_the_beginning_is_to_come_again() -> None:
    """Dropped, it would let the workflow run on."""
    cancellation = order["1.0.0"].cancel(
        "enough", source=WEB, subject=placing().subject, id="x1", time=TIME
    )

    early = refused(shop, cancellation)

    assert early.cause == "early"
    assert "subject: expected a workflow that has begun" in str(early)
