"""Draft: what a command says of its event, and where that goes."""

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
    committed,
    refused,
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
ABOVE = Subject.new("arvo.orc.order.above", "1.0.0", initiator=WEB, domain="above", id="0")
HERE = ABOVE.child(own.type, "1.0.0", domain="here", meta={}, id="1")
RULES = tuple(Domain)
SAID: dict[str, Any] = {
    "to": "com.shop.desk",
    "redirectto": "com.shop.till",
    "accesscontrol": "user:2",
    "executionunits": 2.5,
    "id": "mine",
    "extensions": {"tenant": "t1"},
}


def wanting(command: Any, **domains: Any) -> System:
    """Make a workflow and a service that want one thing each time."""
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


BEGINNING = own["1.0.0"].init(
    PlaceOrder("o1"),
    source=WEB,
    parent=ABOVE,
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
        # A workflow sends one event for each rule, also where two come to the same.
        (
            BEGINNING,
            Emit(ChargeCard("o1", 1.0), domain=RULES),
            ["own", "theirs", "came", "here", "above", "above"],
        ),
        (
            BEGINNING,
            Complete(OrderFulfilled("t"), domain=RULES),
            ["own", "own", "came", "here", "above", "above"],
        ),
        (BEGINNING, Fail("no"), ["own", "came", "here", "above"]),
        (REQUEST, Emit(CardCharged("r"), domain=RULES), ["theirs", "came", "here", None]),
        (REQUEST, Fail("no"), ["theirs", "came", "here", None]),
    ],
    ids=["request", "completion", "a workflow's error", "answer", "a service's error"],
)
def test_every_rule_finds_the_domain_that_it_names(
    cause: Event[Any], command: Any, domains: list[str | None]
) -> None:
    """F083: of the handler's contract, of the event's, of the cause, its subject, the parent's."""
    events = committed(wanting(command, system_error=RULES), cause).events

    assert [event.domain for event in events] == domains
    assert len({event.id for event in events}) == len(events)


@pytest.mark.parametrize(
    ("cause", "command"),
    [
        (REQUEST, Emit(CardCharged("r"), **SAID)),
        (BEGINNING, Emit(ChargeCard("o1", 1.0), **SAID)),
        (BEGINNING, Complete(OrderFulfilled("t"), **SAID)),
    ],
    ids=["answer", "request", "completion"],
)
def test_what_a_command_says_is_on_its_event(cause: Event[Any], command: Any) -> None:
    """Each attribute may be said, whoever says it."""
    event = committed(wanting(command), cause).events[0]

    assert {name: getattr(event, name) for name in SAID} == SAID


@pytest.mark.parametrize("command", [Emit(ChargeCard("o1", 1.0)), Complete(OrderFulfilled("t"))])
def test_an_answer_to_a_workflow_comes_back_to_it(command: Any) -> None:
    """Also what is said to a completion; and its right goes on, where it names no other."""
    event = committed(wanting(command), BEGINNING).events[0]

    assert (event.redirectto, event.accesscontrol) == (own.type, "user:1")


def begins(**said: Any) -> Subject:
    """Let the workflow begin a child, and give its subject."""
    command = Emit(said.pop("payload"), type=child.type, domain="far", **said)
    first, again = (committed(wanting(command), BEGINNING).events[0] for _ in range(2))
    assert first == again
    return Subject.parse(first.subject)


def test_a_child_runs_on_behalf_of_its_parent() -> None:
    """F128: it carries on what its parent's subject says, and answers to it."""
    subject = begins(payload=PlaceOrder("o1"))

    assert subject == HERE.child(
        child.type,
        "1.0.0",
        domain="far",
        meta={"redirectto": own.type},
        id=subject.execution.id,
    )


def test_a_child_may_run_on_behalf_of_another() -> None:
    """F128: its payload names the parent, as on the wire."""
    subject = begins(payload={"order_id": "o1", "parentSubject$$": str(ABOVE)})

    assert subject == ABOVE.child(
        child.type,
        "1.0.0",
        domain="far",
        meta={"redirectto": own.type},
        id=subject.execution.id,
    )


def test_a_child_may_run_for_nobody() -> None:
    """F128: then it is begun by the workflow, and answers where that says."""
    payload = {"order_id": "o1", "parentSubject$$": None}

    subject = begins(payload=payload, redirectto="com.shop.desk")

    assert subject == Subject.new(
        child.type,
        "1.0.0",
        initiator=own.type,
        domain="far",
        meta={"redirectto": "com.shop.desk"},
        id=subject.execution.id,
    )
    (event,) = committed(wanting(Emit(payload, type=child.type)), BEGINNING).events
    assert event.raw["parentSubject$$"] is None


@pytest.mark.parametrize("parent", ["junk", 5])
def test_a_child_cannot_run_for_a_parent_that_is_none(parent: object) -> None:
    """Its completion would go nowhere."""
    command = Emit({"order_id": "o1", "parentSubject$$": parent}, type=child.type)

    violation = refused(wanting(command), BEGINNING)

    assert isinstance(violation, ExecutionViolation)
    assert "for a parent that is none: subject: expected" in str(violation)
