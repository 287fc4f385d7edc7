"""Begin: the comparison of a begin with the run that has its workflow id."""

from typing import Any

import pytest
from attrs import evolve

from arvo import Event, Record
from arvo.core.begin import compare_begin, refuse_begin
from arvo.core.record import Status
from tests.core.contracts.test_versioned_workflow import begin
from tests.shop import expect_commit, shop

BEGIN = begin()
RECORD = expect_commit(shop, BEGIN).record


def record(status: Status = "active") -> Record:
    assert RECORD is not None
    return evolve(RECORD, status=status)


@pytest.mark.parametrize(
    ("event", "status", "comparison"),
    [
        (BEGIN, "active", "same"),
        (begin(id="another"), "done", "same"),
        (begin(11.0), "active", "other"),
        (begin(11.0), "done", "other"),
        (begin(11.0, id="another"), "failed", "other"),
        (begin(11.0, id_reuse_policy="allow"), "active", "other"),
        (begin(id_reuse_policy="allow"), "active", "same"),
        (begin(id_reuse_policy="allow"), "done", "next"),
        (begin(id_reuse_policy="allow"), "cancelled", "next"),
        (begin(11.0, id_reuse_policy="allow_if_failed"), "done", "other"),
        (begin(11.0, id_reuse_policy="allow_if_failed"), "failed", "next"),
        (begin(id_reuse_policy="allow", id=BEGIN.id), "done", "same"),
    ],
)
def test_a_begin_is_the_same_the_next_or_another(
    event: Event[Any], status: Status, comparison: str
) -> None:
    """The event that began the run never begins the next one: it may be a redelivery."""
    assert compare_begin(record(status), event) == comparison


def test_of_a_request_inside_only_the_id_counts() -> None:
    """Each request of a workflow needs an answer of its own."""
    assert compare_begin(record(), begin(id="another"), by_content=False) == "other"
    assert compare_begin(record(), BEGIN, by_content=False) == "same"


def test_the_violation_names_both_begins() -> None:
    """An operator finds each in the history or among the dead letters."""
    text = str(refuse_begin(record(), begin(11.0, id="another"), "order-1"))

    assert "the active run 'order-1' of arvo.orc.order.fulfil 1.0.0 has begun" in text
    assert f"of the begin {BEGIN.id!r}" in text
    assert "of 'another' from 'com.shop.web'" in text
