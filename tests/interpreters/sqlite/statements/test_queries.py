"""Queries: workflows are listed one page at a time."""

import sqlite3
from typing import Any

import pytest
from attrs import evolve

from arvo.interpreters.delivery.codec import encode_record, from_milliseconds
from arvo.interpreters.delivery.operations import WorkflowQuery
from arvo.interpreters.ports.results import StoredWorkflow
from arvo.interpreters.sqlite.statements.queries import workflow, workflows
from tests.shop import expect_commit, order_request, shop

# Subject, handler, status, and the time of the last change; in the order of insertion.
ROWS = (
    ("a", "x", "active", 4),
    ("b", "x", "failed", 5),
    ("c", "y", "active", 3),
    ("d", "x", "done", 4),
    ("e", "y", "done", 1),
)


@pytest.fixture(autouse=True)
def rows(connection: sqlite3.Connection) -> None:
    record = expect_commit(shop, order_request()).record
    assert record is not None
    connection.executemany(
        "insert into workflow"
        " (subject, handler, version, status, revision, record, began, changed)"
        " values (?, ?, '1.0.0', ?, 1, ?, 0, ?)",
        [
            (subject, handler, status, encode_record(evolve(record, subject=subject)), changed)
            for subject, handler, status, changed in ROWS
        ],
    )


def subjects(page: tuple[StoredWorkflow, ...]) -> str:
    return "".join(stored.record.subject for stored in page)


def query(connection: sqlite3.Connection, **parameters: Any) -> tuple[StoredWorkflow, ...]:
    everything = WorkflowQuery(limit=9)
    return workflows(connection, evolve(everything, **parameters))


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({}, "bdace"),
        ({"limit": 3}, "bda"),
        ({"status": "done"}, "de"),
        ({"handler": "x"}, "bda"),
        ({"unchanged_since": from_milliseconds(4)}, "ce"),
        ({"unchanged_since": from_milliseconds(4), "handler": "y", "status": "done"}, "e"),
    ],
)
def test_the_most_recently_changed_workflow_is_listed_first(
    connection: sqlite3.Connection, parameters: dict[str, Any], expected: str
) -> None:
    """With any status, and only those that match."""
    assert subjects(query(connection, **parameters)) == expected


def test_a_page_continues_after_the_last_workflow_of_the_one_before(
    connection: sqlite3.Connection,
) -> None:
    """Also where two workflows have changed at the same time."""
    pages, after = [], None
    for _ in range(4):
        page = query(connection, after=after, limit=2)
        pages.append(subjects(page))
        after = page[-1] if page else after

    assert pages == ["bd", "ac", "e", ""]


def test_one_workflow_is_read_as_it_is_listed(connection: sqlite3.Connection) -> None:
    """With its times; None for an unknown subject."""
    assert (workflow(connection, "c"),) == query(connection, status="active")[1:]
    assert workflow(connection, "c") != workflow(connection, "a")
    assert workflow(connection, "z") is None
