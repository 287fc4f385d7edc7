"""Query: read the state of a workflow without changing it."""

from typing import Any

import attrs
import pytest

from arvo import Persist, Record, System, Violated, query
from tests.shop import (
    CardCharged,
    OrderState,
    expect_commit,
    fulfilment,
    make_workflow,
    order_request,
    payments,
    reply_to,
    shop,
)

BEGUN = expect_commit(shop, order_request())


def record_of(commit: Any) -> Record:
    record: Record | None = commit.record
    assert record is not None
    return record


def test_a_query_returns_the_state_as_its_class() -> None:
    """A web page shows an order that is in progress."""
    paid = expect_commit(shop, reply_to(BEGUN.events[0], CardCharged("r")), BEGUN.record)

    assert query(fulfilment, record_of(BEGUN)) == OrderState("o1")
    assert query(shop, record_of(paid)) == OrderState("o1", "r")


def test_a_state_without_a_class_is_json() -> None:
    """The author has declared no class."""
    begun = expect_commit(System([make_workflow(lambda _: Persist({"n": [1]}))]), order_request())

    assert query(make_workflow(lambda _: None), record_of(begun)) == {"n": [1]}


def test_before_the_first_persist_the_state_is_none() -> None:
    """A workflow without state is not an error."""
    begun = expect_commit(
        System([make_workflow(lambda _: None, state=OrderState)]), order_request()
    )

    assert query(fulfilment, record_of(begun)) is None


def test_a_state_that_no_longer_fits_names_its_fields() -> None:
    """A class may have changed since the workflow started; a wrong state must not be guessed."""
    stale = attrs.evolve(record_of(BEGUN), state={"receipt": 5})

    with pytest.raises(Violated) as refused:
        query(shop, stale)

    assert "state.order_id: expected a value (required), got nothing" in str(refused.value)
    assert "state.receipt: expected" in str(refused.value)


@pytest.mark.parametrize(
    ("owner", "known"),
    [
        (System([payments]), "nothing, because there is no workflow"),
        (System([payments, fulfilment]), "one of arvo.orc.order.fulfil"),
        (fulfilment, "one of arvo.orc.order.fulfil"),
    ],
)
def test_a_record_of_another_workflow_is_refused(owner: Any, known: str) -> None:
    """Otherwise the wrong class would read its state."""
    other = attrs.evolve(record_of(BEGUN), handler="com.payment.charge")

    with pytest.raises(Violated) as refused:
        query(owner, other)

    assert f"record.handler: expected {known}, got 'com.payment.charge'" in str(refused.value)
