"""Laws of migration: total or refused, and the new version goes on from what it finds."""

from typing import Any

from attrs import evolve
from hypothesis import event as note
from hypothesis import given
from hypothesis import strategies as st
from returns.result import Failure, Success

from arvo import Commit, Event, Migration, Record, System, migrate, migrate_all, step
from arvo.core.payloads.frozen_json import FrozenDict
from arvo.testing import json_objects
from tests.shop import NOW, SERVICES, WEB, CardCharged, answering, charge, committed, placing
from tests.versions import State, versions

HANDLERS = [
    versions(),
    versions(state=None),
    versions(services=[charge["1.0.0"]]),
    versions(services=[]),
]
BEGUN = committed(System([versions()]), placing())
TO = st.sampled_from(["1.0.0", "2.0.0", "9.0.0", ""])


@st.composite
def records(draw: st.DrawFn) -> Record:
    """Draw what a store may hold of a workflow, sound or not."""
    record = BEGUN.record
    assert record is not None
    undo: dict[str, Any] = {"type": "com.shipping.book", "data": {"order_id": "o1"}}
    undos = st.sampled_from([undo, {**undo, "type": "com.unknown.one"}, {**undo, "data": {}}])
    sound = st.just(record.state)
    return evolve(
        record,
        version=draw(st.sampled_from(["1.0.0", "1.0.0", "2.0.0", "0.9.0"])),
        revision=draw(st.integers(1, 100)),
        status=draw(st.sampled_from(["active"] * 6 + ["done", "failed", "cancelled"])),
        state=draw(st.one_of(sound, sound, st.none(), json_objects())),
        pending_requests=draw(st.sampled_from([record.pending_requests, FrozenDict()])),
        compensations=tuple(FrozenDict(each) for each in draw(st.lists(undos, max_size=2))),
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
def test_a_migration_is_total_or_refused(handler: Any, record: Record, to: str, state: Any) -> None:
    """Whatever a store holds and a function does: a record that can go on, or a reason."""
    migrated = migrate(handler, record, to=to, state=state)

    note(type(migrated).__name__)
    if isinstance(migrated, Failure):
        assert str(migrated.failure())
        return
    moved = migrated.unwrap()
    assert moved.version == to
    kept = evolve(moved, version=record.version, state=record.state, revision=record.revision)
    assert kept == record
    assert moved.revision == record.revision + (moved != record)
    assert Record.from_dict(moved.to_dict()) == moved
    if moved is not record:
        handler.query(moved)


@given(st.sampled_from(HANDLERS), records())
def test_to_the_same_version_nothing_is_changed(handler: Any, record: Record) -> None:
    """Identity; and to move twice is to move once."""
    same = migrate(handler, record, to=record.version)

    assert isinstance(same, Failure) or same.unwrap() is record
    once = migrate(handler, record, to="2.0.0")
    if isinstance(once, Success):
        assert migrate(handler, once.unwrap(), to="2.0.0") == once


@given(st.sampled_from(HANDLERS), records(), TO, STATES)
def test_the_same_migration_gives_the_same_record(
    handler: Any, record: Record, to: str, state: Any
) -> None:
    """I10: a dry run tells the truth."""
    said = record.to_dict()

    first = migrate(handler, record, to=to, state=state)
    counted = migrate_all(handler, [record], to=to, state=state)

    assert first == migrate(System([handler]), record, to=to, state=state)
    assert record.to_dict() == said
    if record.status in ("done", "cancelled"):
        assert counted == Migration(ended=1)
    elif isinstance(first, Failure):
        assert counted.refusals == ((record.subject, first.failure()),)
    else:
        assert (counted.moved, counted.unchanged) in ((1, 0), (0, 1))


@given(records(), STATES, st.booleans())
def test_a_record_that_was_moved_steps_under_the_new_version(
    record: Record, state: Any, fails: bool
) -> None:
    """What it waited for, what undoes it and what it remembers: all of it is known there."""
    handler = versions()
    moved = migrate(handler, record, to="2.0.0", state=state)
    if isinstance(moved, Failure) or record.version == "2.0.0":
        return
    answer: Event[Any] = (
        handler.contract["1.0.0"].cancel("enough", source="com.x.y", subject=record.subject)
        if fails
        else answering(BEGUN.events[0], CardCharged("r"))
    )

    stepped = step(System([handler]), answer, moved.unwrap(), now=NOW)

    assert isinstance(stepped, Success)
    commit = stepped.unwrap()
    assert isinstance(commit, Commit)
    assert commit.record is not None
    assert commit.record.version == "2.0.0"
    known = {service.dataschema for service in SERVICES}
    assert {event.dataschema for event in commit.events if event.to != WEB} <= known
