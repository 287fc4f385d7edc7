"""Losses: a workflow that is active after its cancellation was settled is a broken promise."""

from typing import Any

import pytest
from attrs import evolve

from arvo import Record
from arvo.engine.step.route import ToHandler
from arvo.interpreters.ports.messages import DeadLetter, Message
from arvo.interpreters.runtime.operations import make_cancellation
from arvo.testing.simulation.checks.losses import Losses
from arvo.testing.simulation.checks.report import Report
from tests.shop import NOW, expect_commit, order_request, shop


def begun() -> Record:
    record = expect_commit(shop, order_request()).record
    assert record is not None
    return record


@pytest.mark.parametrize(
    ("status", "laws"), [("active", ["cancelled"]), ("cancelled", []), ("done", [])]
)
def test_a_cancelled_workflow_ends(status: Any, laws: list[str]) -> None:
    """It may be done as well: the cancellation came too late."""
    record = evolve(begun(), status=status)
    cancellation = make_cancellation(shop, record.subject, "too late")
    message = Message(cancellation, ToHandler(record.handler, record.subject))
    losses = Losses(Report())

    losses.check_cancellations([message], {record.subject: record})

    assert [violation.law for violation in losses.report.violations] == laws


def test_a_cancellation_that_is_a_dead_letter_ends_nothing() -> None:
    """An operator sees it, with its reason."""
    record = begun()
    cancellation = make_cancellation(shop, record.subject, "too late")
    losses = Losses(Report())
    dead_letter = DeadLetter(
        id="d1", event=cancellation, reason="too early", attempts=5, at=NOW.isoformat()
    )

    losses.add_dead_letters([dead_letter])
    losses.check_cancellations(
        [Message(cancellation, ToHandler(record.handler, record.subject))],
        {record.subject: record},
    )

    assert losses.report.violations == []
