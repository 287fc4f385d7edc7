"""Versioned workflow: begins with a chosen workflow id."""

from typing import Any

import pytest
from attrs import evolve

from arvo import Event, Subject, Violated
from arvo.core.events.identity import WORKFLOW_ID_CHARACTERS_MAX, begin_id
from arvo.core.events.subject import workflow_id_of
from tests.shop import WEB, PlaceOrder, order, order_request

contract = order["1.0.0"]


def begin(amount: float = 10.0, **options: Any) -> Event[PlaceOrder]:
    return contract.init(
        PlaceOrder("o1", amount), source=WEB, **{"workflow_id": "order-1", **options}
    )


def test_two_begins_with_one_workflow_id_are_the_same_event() -> None:
    """Whatever the process and the time: a client that does not know whether it began, repeats."""
    first, again = begin(time="2026-01-02T03:04:05Z"), begin(time="2026-02-03T04:05:06Z")

    assert evolve(again, time=first.time) == first
    assert first.id == begin_id(WEB, "arvo.orc.order.fulfil", "order-1")
    assert first.subject == str(
        Subject.new("arvo.orc.order.fulfil", "1.0.0", initiator=WEB, id="order-1")
    )
    assert workflow_id_of(first.subject) == "order-1"
    assert first.extensions == {"idreusepolicy": "reject"}


def test_the_workflow_id_is_in_the_subject_of_a_child() -> None:
    """The completion comes back to the parent as it does without an id."""
    parent = Subject.parse(order_request().subject)

    child = Subject.parse(begin(parent=parent).subject)

    assert child == parent.child(
        contract.type, "1.0.0", meta={"redirectto": contract.type}, id="order-1"
    )


def test_a_begin_that_may_follow_another_run_has_an_id_of_its_own() -> None:
    """By the id of the last run's begin it would be that begin once more."""
    first, second = begin(id_reuse_policy="allow"), begin(id_reuse_policy="allow")

    assert first.id != second.id
    assert first.subject == second.subject == begin().subject
    assert begin(id_reuse_policy="allow", id="try-1").id == "try-1"


def test_the_extensions_of_the_author_stay() -> None:
    """The policy is one more."""
    event = begin(extensions={"tenant": "a"}, id_reuse_policy="allow_if_failed")

    assert event.extensions == {"tenant": "a", "idreusepolicy": "allow_if_failed"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"workflow_id": ""}, "workflow_id: expected 1 to 255 printable characters"),
        ({"workflow_id": "a;b"}, "without ';', got 'a;b'"),
        ({"workflow_id": "a\0"}, "workflow_id"),
        ({"workflow_id": "x" * (WORKFLOW_ID_CHARACTERS_MAX + 1)}, "workflow_id"),
        ({"workflow_id": 1}, "workflow_id"),
        ({"workflow_id": None, "id_reuse_policy": "allow"}, "got None"),
        ({"id_reuse_policy": "never"}, "id_reuse_policy: expected one of reject, allow"),
        ({"subject": "x"}, "subject: expected none, as it follows from workflow_id"),
    ],
)
def test_an_invalid_workflow_id_is_refused(options: dict[str, Any], message: str) -> None:
    """Where the author reads it, and not by a store that cannot index it."""
    with pytest.raises(Violated, match=message):
        begin(**options)


def test_the_longest_workflow_id_is_accepted() -> None:
    """In any script."""
    assert workflow_id_of(begin(workflow_id="ж" * WORKFLOW_ID_CHARACTERS_MAX).subject)
    assert workflow_id_of(begin(workflow_id="tenant/order 1").subject) == "tenant/order 1"
