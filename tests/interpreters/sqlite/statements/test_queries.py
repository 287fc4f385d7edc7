"""Pages: what an operator reads, a page at a time."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from arvo.interpreters.delivery.codec import record_bytes, time_of
from arvo.interpreters.ports.backend import StoredWorkflow
from arvo.interpreters.sqlite.connection.connection import open_file
from arvo.interpreters.sqlite.statements.queries import workflow, workflows
from tests.shop import committed, placing, shop

# Subject, handler, status, and when it changed; written in this order.
WRITTEN = (
    ("a", "x", "active", 4),
    ("b", "x", "failed", 5),
    ("c", "y", "active", 3),
    ("d", "x", "done", 4),
    ("e", "y", "done", 1),
)


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    record = committed(shop, placing()).record
    assert record is not None
    with closing(open_file(str(tmp_path / "a.db"), full_sync=False)) as opened:
        opened.executemany(
            "insert into workflow"
            " (subject, handler, version, status, revision, record, began, changed)"
            " values (?, ?, '1.0.0', ?, 1, ?, 0, ?)",
            [
                (subject, handler, status, record_bytes(evolve(record, subject=subject)), changed)
                for subject, handler, status, changed in WRITTEN
            ],
        )
        yield opened


def names(found: tuple[StoredWorkflow, ...]) -> str:
    return "".join(each.record.subject for each in found)


def listed(connection: sqlite3.Connection, **said: Any) -> tuple[StoredWorkflow, ...]:
    asked: dict[str, Any] = {
        "status": None,
        "handler": None,
        "unchanged_since": None,
        "after": None,
        "limit": 9,
    }
    return workflows(connection, **{**asked, **said})


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ({}, "bdace"),
        ({"limit": 3}, "bda"),
        ({"status": "done"}, "de"),
        ({"handler": "x"}, "bda"),
        ({"unchanged_since": time_of(4)}, "ce"),
        ({"unchanged_since": time_of(4), "handler": "y", "status": "done"}, "e"),
    ],
)
def test_what_changed_last_is_listed_first(
    connection: sqlite3.Connection, said: dict[str, Any], found: str
) -> None:
    """Whatever its status, and only what was asked for."""
    assert names(listed(connection, **said)) == found


def test_a_page_goes_on_after_the_last_of_the_one_before(connection: sqlite3.Connection) -> None:
    """Also where two have changed at the same time."""
    pages, after = [], None
    for _ in range(4):
        page = listed(connection, after=after, limit=2)
        pages.append(names(page))
        after = page[-1] if page else after

    assert pages == ["bd", "ac", "e", ""]


def test_one_is_told_as_it_would_be_listed(connection: sqlite3.Connection) -> None:
    """With its times; none, where nothing is remembered."""
    assert (workflow(connection, "c"),) == listed(connection, status="active")[1:]
    assert workflow(connection, "c") != workflow(connection, "a")
    assert workflow(connection, "z") is None
