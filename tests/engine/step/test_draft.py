"""Draft: the fields and the destination of the event that a command becomes."""

from typing import Any

import pytest

from arvo import (
    Complete,
    Contract,
    Domain,
    Emit,
    Event,
    EventHandler,
    ExecutionViolation,
    Fail,
    HandlerDomains,
    OrchestratorContract,
    Resumable,
    Subject,
    System,
    Version,
    Workflow,
    WorkflowDomains,
)
from tests.shop import (
    TIME,
    WEB,
    CardCharged,
    ChargeCard,
    OrderFulfilled,
    PlaceOrder,
    expect_commit,
    expect_violation,
)

theirs = Contract(
    uri="#/contracts/payment/charge",
    type="com.payment.charge",
    domain="theirs",
    versions={"1.0.0": Version(accepts=ChargeCard, emits={"evt.payment.charged": CardCharged})},
)
own, child = (
    OrchestratorContract(
        uri=f"#/orchestrators/{name}",
        name=f"order.{name}",
        domain=domain,
        versions={"1.0.0": Workflow(init=PlaceOrder, complete=OrderFulfilled)},
    )
    for name, domain in (("own", "own"), ("child", None))
)
PARENT = Subject.new("arvo.orc.order.above", "1.0.0", initiator=WEB, domain="above", id="0")
HERE = PARENT.child(own.type, "1.0.0", domain="here", meta={}, id="1")
RULES = tuple(Domain)
FIELDS: dict[str, Any] = {
    "to": "com.shop.office",
    "redirectto": "com.shop.till",
    "accesscontrol": "user:2",
    "executionunits": 2.5,
    "id": "mine",
    "extensions": {"tenant": "t1"},
}


def returning(command: Any, **domains: Any) -> System:
    """Make a workflow and a service that return *command* each time."""
    return System(
        [
            Resumable(
                own,
                {"1.0.0": lambda _: command},
                services=[theirs["1.0.0"], child["1.0.0"]],
                domains=WorkflowDomains(**domains),
            ),
            EventHandler(theirs, {"1.0.0": lambda _: command}, domains=HandlerDomains(**domains)),
        ]
    )


START = own["1.0.0"].init(
    PlaceOrder("o1"),
    source=WEB,
    parent=PARENT,
    subject=str(HERE),
    domain="came",
    accesscontrol="user:1",
    id="i1",
    time=TIME,
)
REQUEST = theirs["1.0.0"].accepts(
    ChargeCard("o1", 1.0), source=WEB, subject=str(HERE), domain="came", id="c1", time=TIME
)


@pytest.mark.parametrize(
    ("cause", "command", "domains"),
    [
        # A workflow sends one event for each rule, even where two rules give the same domain.
        (
            START,
            Emit(ChargeCard("o1", 1.0), domain=RULES),
            ["own", "theirs", "came", "here", "above", "above"],
        ),
        (
            START,
            Complete(OrderFulfilled("t"), domain=RULES),
            ["own", "own", "came", "here", "above", "above"],
        ),
        (START, Fail("no"), ["own", "came", "here", "above"]),
        (REQUEST, Emit(CardCharged("r"), domain=RULES), ["theirs", "came", "here", None]),
        (REQUEST, Fail("no"), ["theirs", "came", "here", None]),
    ],
    ids=["request", "completion", "a workflow's error", "answer", "a service's error"],
)
def test_every_domain_rule_gives_the_domain_that_it_names(
    cause: Event[Any], command: Any, domains: list[str | None]
) -> None:
    """A rule names a source: the two contracts, the cause, its subject or the parent subject."""
    events = expect_commit(returning(command, system_error=RULES), cause).events

    assert [event.domain for event in events] == domains
    assert len({event.id for event in events}) == len(events)


@pytest.mark.parametrize(
    ("cause", "command"),
    [
        (REQUEST, Emit(CardCharged("r"), **FIELDS)),
        (START, Emit(ChargeCard("o1", 1.0), **FIELDS)),
        (START, Complete(OrderFulfilled("t"), **FIELDS)),
    ],
    ids=["answer", "request", "completion"],
)
def test_every_field_of_a_command_is_on_its_event(cause: Event[Any], command: Any) -> None:
    """Every kind of command may set every attribute."""
    event = expect_commit(returning(command), cause).events[0]

    assert {name: getattr(event, name) for name in FIELDS} == FIELDS


@pytest.mark.parametrize("command", [Emit(ChargeCard("o1", 1.0)), Complete(OrderFulfilled("t"))])
def test_an_answer_to_a_workflow_comes_back_to_it(command: Any) -> None:
    """A completion may be answered too; access control carries over unless the command sets it."""
    event = expect_commit(returning(command), START).events[0]

    assert (event.redirectto, event.accesscontrol) == (own.type, "user:1")


def child_subject(payload: Any, **options: Any) -> Subject:
    """Let the workflow start a child, and return the child's subject."""
    command = Emit(payload, type=child.type, domain="far", **options)
    first, again = (expect_commit(returning(command), START).events[0] for _ in range(2))
    assert first == again
    return Subject.parse(first.subject)


def test_a_child_runs_on_behalf_of_its_parent() -> None:
    """Its subject names the parent as its initiator, and its completion goes to the parent."""
    subject = child_subject(payload=PlaceOrder("o1"))

    assert subject == HERE.child(
        child.type,
        "1.0.0",
        domain="far",
        meta={"redirectto": own.type},
        id=subject.execution.id,
    )


def test_a_child_may_run_on_behalf_of_another_parent() -> None:
    """The payload names the parent, as it does on the wire."""
    subject = child_subject(payload={"order_id": "o1", "parentSubject$$": str(PARENT)})

    assert subject == PARENT.child(
        child.type,
        "1.0.0",
        domain="far",
        meta={"redirectto": own.type},
        id=subject.execution.id,
    )


def test_a_child_may_run_without_a_parent() -> None:
    """The workflow is then the initiator, and its command names the address for the completion."""
    payload = {"order_id": "o1", "parentSubject$$": None}

    subject = child_subject(payload=payload, redirectto="com.shop.office")

    assert subject == Subject.new(
        child.type,
        "1.0.0",
        initiator=own.type,
        domain="far",
        meta={"redirectto": "com.shop.office"},
        id=subject.execution.id,
    )
    (event,) = expect_commit(returning(Emit(payload, type=child.type)), START).events
    assert event.raw["parentSubject$$"] is None


@pytest.mark.parametrize("parent", ["junk", 5])
def test_a_child_cannot_run_for_an_invalid_parent(parent: object) -> None:
    """Its completion would have no destination."""
    command = Emit({"order_id": "o1", "parentSubject$$": parent}, type=child.type)

    violation = expect_violation(returning(command), START)

    assert isinstance(violation, ExecutionViolation)
    assert "starts a workflow for an invalid parent: subject: expected" in str(violation)
