"""Query: a running workflow is looked at, and does not notice."""

from typing import Any

import attrs
import pytest

from arvo import Persist, Record, System, Violated, query
from tests.shop import (
    CardCharged,
    OrderState,
    answering,
    committed,
    fulfilment,
    payments,
    placing,
    shop,
    workflow,
)

BEGUN = committed(shop, placing())


def record_of(commit: Any) -> Record:
    record: Record | None = commit.record
    assert record is not None
    return record


def test_a_query_gives_the_state_as_its_class() -> None:
    """What a page shows of an order while it is under way."""
    paid = committed(shop, answering(BEGUN.events[0], CardCharged("r")), BEGUN.record)

    assert query(fulfilment, record_of(BEGUN)) == OrderState("o1")
    assert query(shop, record_of(paid)) == OrderState("o1", "r")


def test_a_state_without_a_class_is_json() -> None:
    """The author said no more of it."""
    begun = committed(System([workflow(lambda _: Persist({"n": [1]}))]), placing())

    assert query(workflow(lambda _: None), record_of(begun)) == {"n": [1]}


def test_before_anything_is_persisted_there_is_nothing() -> None:
    """No state is no error."""
    begun = committed(System([workflow(lambda _: None, state=OrderState)]), placing())

    assert query(fulfilment, record_of(begun)) is None


def test_a_state_that_does_not_fit_any_more_names_its_fields() -> None:
    """A class that changed under a running workflow is found, not guessed at."""
    stale = attrs.evolve(record_of(BEGUN), state={"receipt": 5})

    with pytest.raises(Violated) as refused:
        query(shop, stale)

    assert "state.order_id: expected a value (required), got nothing" in str(refused.value)
    assert "state.receipt: expected" in str(refused.value)


@pytest.mark.parametrize(
    ("owners", "known"),
    [
        (System([payments]), "one of none"),
        (System([payments, fulfilment]), "one of arvo.orc.order.fulfil"),
        (fulfilment, "one of arvo.orc.order.fulfil"),
    ],
)
def test_a_record_of_another_workflow_is_refused(owners: Any, known: str) -> None:
    """Its state would be read by the wrong class."""
    foreign = attrs.evolve(record_of(BEGUN), handler="com.payment.charge")

    with pytest.raises(Violated) as refused:
        query(owners, foreign)

    assert f"record.handler: expected {known}, got 'com.payment.charge'" in str(refused.value)
