"""Laws of migration: it succeeds or is refused, and the new version continues from the result."""

from typing import Any

import pytest
from attrs import evolve
from hypothesis import event as note
from hypothesis import given
from hypothesis import strategies as st
from returns.result import Failure, Success

from arvo import Commit, Event, Migration, Record, System, migrate, migrate_all, step
from arvo.core.payloads.frozen_json import FrozenDict
from arvo.testing import json_objects
from tests.shop import (
    NOW,
    SERVICES,
    WEB,
    CardCharged,
    charge,
    expect_commit,
    order_request,
    reply_to,
)
from tests.versions import State, versions

HANDLERS = [
    versions(),
    versions(state=None),
    versions(services=[charge["1.0.0"]]),
    versions(services=[]),
]
BEGUN = expect_commit(System([versions()]), order_request())
TO = st.sampled_from(["1.0.0", "2.0.0", "9.0.0", ""])


@st.composite
def records(draw: st.DrawFn) -> Record:
    """Draw a record that a store may hold, valid or not."""
    record = BEGUN.record
    assert record is not None
    compensation: dict[str, Any] = {"type": "com.shipping.book", "data": {"order_id": "o1"}}
    invalid = [{**compensation, "type": "com.unknown.one"}, {**compensation, "data": {}}]
    compensations = st.lists(st.sampled_from([compensation, *invalid]), max_size=2)
    valid = st.just(record.state)
    return evolve(
        record,
        version=draw(st.sampled_from(["1.0.0", "1.0.0", "2.0.0", "0.9.0"])),
        revision=draw(st.integers(1, 100)),
        status=draw(st.sampled_from(["active"] * 6 + ["done", "failed", "cancelled"])),
        state=draw(st.one_of(valid, valid, st.none(), json_objects())),
        pending_requests=draw(st.sampled_from([record.pending_requests, FrozenDict()])),
        compensations=tuple(map(FrozenDict, draw(compensations))),
    )


def _fails(_: Any) -> Any:
    raise KeyError("order_id")


STATES = st.sampled_from(
    [
        None,
        None,
        lambda old: old,
        lambda old: {**old, "priority": 1},
        lambda old: State(old["order_id"]),
        lambda _: None,
        lambda _: object(),
        lambda _: [],
        _fails,
    ]
)


@given(st.sampled_from(HANDLERS), records(), TO, STATES)
def test_a_migration_returns_a_usable_record_or_a_reason(
    handler: Any, record: Record, to: str, state: Any
) -> None:
    """It holds for every stored record and every mapping function."""
    migrated = migrate(handler, record, to=to, state=state)

    note(type(migrated).__name__)
    if isinstance(migrated, Failure):
        assert str(migrated.failure())
        return
    moved = migrated.unwrap()
    assert moved.version == to
    restored = evolve(moved, version=record.version, state=record.state, revision=record.revision)
    assert restored == record
    assert moved.revision == record.revision + (moved != record)
    assert Record.from_dict(moved.to_dict()) == moved
    if moved is not record:
        handler.query(moved)


@given(st.sampled_from(HANDLERS), records())
def test_a_migration_to_the_same_version_changes_nothing(handler: Any, record: Record) -> None:
    """An operator may run a migration twice."""
    same = migrate(handler, record, to=record.version)

    assert isinstance(same, Failure) or same.unwrap() is record
    once = migrate(handler, record, to="2.0.0")
    if isinstance(once, Success):
        assert migrate(handler, once.unwrap(), to="2.0.0") == once


@pytest.mark.promise("I10")
@given(st.sampled_from(HANDLERS), records(), TO, STATES)
def test_the_same_migration_gives_the_same_record(
    handler: Any, record: Record, to: str, state: Any
) -> None:
    """I10: a dry run shows the result of the real migration."""
    before = record.to_dict()

    first = migrate(handler, record, to=to, state=state)
    counted = migrate_all(handler, [record], to=to, state=state)

    assert first == migrate(System([handler]), record, to=to, state=state)
    assert record.to_dict() == before
    if record.status in ("done", "cancelled"):
        assert counted == Migration(ended=1)
    elif isinstance(first, Failure):
        assert counted.refusals == ((record.subject, first.failure()),)
    else:
        assert (counted.moved, counted.unchanged) in ((1, 0), (0, 1))


@given(records(), STATES, st.booleans())
def test_a_migrated_record_steps_in_the_new_version(
    record: Record, state: Any, fails: bool
) -> None:
    """Its pending requests, compensations and state all fit that version."""
    handler = versions()
    moved = migrate(handler, record, to="2.0.0", state=state)
    if isinstance(moved, Failure) or record.version == "2.0.0":
        return
    answer: Event[Any] = (
        handler.contract["1.0.0"].cancel("enough", source="com.x.y", subject=record.subject)
        if fails
        else reply_to(BEGUN.events[0], CardCharged("r"))
    )

    stepped = step(System([handler]), answer, moved.unwrap(), now=NOW)

    assert isinstance(stepped, Success)
    commit = stepped.unwrap()
    assert isinstance(commit, Commit)
    if not fails and not moved.unwrap().pending_requests:
        assert commit.outcome == "late"
        return
    assert commit.record is not None
    assert commit.record.version == "2.0.0"
    known = {service.dataschema for service in SERVICES}
    assert {event.dataschema for event in commit.events if event.to != WEB} <= known
