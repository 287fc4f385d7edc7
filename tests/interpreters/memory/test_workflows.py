"""Workflows: the memory backend keeps a bounded number of ended ones, and their ids."""

from typing import Any

import pytest

from arvo.interpreters.delivery.operations import WorkflowQuery
from arvo.interpreters.memory import workflows
from arvo.interpreters.memory.workflows import MemoryWorkflows
from arvo.testing.conformance.kit.samples import record, subject
from tests.shop import NOW


def found(store: MemoryWorkflows, workflow_id: str) -> list[str]:
    page = store.page(WorkflowQuery(workflow_id=workflow_id))
    return [stored.record.subject for stored in page]


def test_the_workflow_that_ended_first_is_dropped_with_its_id(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Memory is limited."""
    monkeypatch.setattr(workflows, "ENDED_MAX", 2)
    dropped: list[str] = []
    store = MemoryWorkflows(dropped.append)

    for run in ("a", "b", "c"):
        store.write(record(1, run, status="done"), NOW)

    assert dropped == [subject("a")]
    assert (found(store, "a"), found(store, "b")) == ([], [subject("b")])


def test_a_workflow_whose_next_run_has_begun_is_not_dropped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It had ended first, and is active again."""
    monkeypatch.setattr(workflows, "ENDED_MAX", 2)
    dropped: list[str] = []
    store = MemoryWorkflows(dropped.append)
    runs: list[tuple[str, Any]] = [("a", "done"), ("a", "active"), ("b", "done"), ("c", "done")]

    for revision, (run, status) in enumerate(runs, start=1):
        store.write(record(revision, run, status=status), NOW)

    assert dropped == []
    assert found(store, "a") == [subject("a")]
