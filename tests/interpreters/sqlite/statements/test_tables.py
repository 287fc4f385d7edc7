"""Tables: what a unit of work leaves in the file."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from arvo import Commit, Event, Record
from arvo.core.commit import PendingTimer
from arvo.core.payloads.frozen_json import FrozenDict
from arvo.engine.step.route import ToHandler
from arvo.interpreters.delivery.codec import Row
from arvo.interpreters.ports.backend import Committed, Conflict, Duplicate, Fenced, Message
from arvo.interpreters.sqlite.connection.connection import open_file
from arvo.interpreters.sqlite.statements import deliveries, tables, timers
from arvo.interpreters.sqlite.statements import queries as pages
from tests.shop import (
    NOW,
    CardCharged,
    ShipmentBooked,
    answering,
    charging,
    committed,
    placing,
    shop,
)

ME, OTHER = "me", "other"
ORDER, PAY = "arvo.orc.order.fulfil", "com.payment.charge"


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with closing(open_file(str(tmp_path / "a.db"), full_sync=False)) as opened:
        yield opened


def post(key: str | None, number: int = 0) -> Message:
    return Message(charging(f"c{number}"), ToHandler(PAY, key))


def owners(connection: sqlite3.Connection) -> list[str | None]:
    return [owner for (owner,) in connection.execute("select owner from delivery order by id")]


def delivered(connection: sqlite3.Connection, event: Event[Any]) -> int:
    """Put an event that this worker has; gives the number of its delivery."""
    (row,) = deliveries.put(connection, [Message(event, ToHandler(PAY, None))], 0, ME)
    return row.id


def applied(
    connection: sqlite3.Connection, commit: Commit, *messages: Message, me: str = ME
) -> tuple[Any, list[Row]]:
    number = delivered(connection, commit.event)
    return tables.apply(connection, number, commit, messages, [], me, ME, 5)


def begun(connection: sqlite3.Connection, key: str) -> Commit:
    """Begin a workflow, and write it."""
    commit = committed(shop, placing(key))
    assert applied(connection, commit)[0] == Committed()
    return commit


def given(record: Record | None) -> Record:
    assert record is not None
    return record


def test_what_a_worker_sends_is_its_own_unless_another_works_on_the_key(
    connection: sqlite3.Connection,
) -> None:
    """It is handed out at once then, and needs no second look into the file."""
    deliveries.put(connection, [post("busy")], 0, OTHER)
    deliveries.put(connection, [post("waits")], 0, None)
    deliveries.put(connection, [post("later")], 9, None)
    messages = [post("busy"), post("waits"), post("later"), post("free"), post(None)]

    mine = deliveries.put(connection, messages, 5, ME)
    again = deliveries.put(connection, [post("free")], 5, ME)
    nobodys = deliveries.put(connection, [post("free"), post(None)], 5, None)

    assert [(row.post, row.attempt) for row in mine] == [
        (post("later"), 1),
        (post("free"), 1),
        (post(None), 1),
    ]
    assert (len(again), nobodys) == (1, [])
    assert owners(connection) == [
        *(OTHER, None, None),
        *(None, None, ME, ME, ME),
        *(ME, None, None),
    ]


def test_a_key_that_another_works_on_is_not_claimed(connection: sqlite3.Connection) -> None:
    """I4: its deliveries come one at a time, in their order, whoever takes them."""
    deliveries.put(connection, [post("busy")], 0, OTHER)
    deliveries.put(
        connection, [post("busy"), post("free", 1), post(None, 2), post("late", 3)], 0, None
    )
    connection.execute("update delivery set due = 9 where key = 'late'")

    taken = deliveries.claim(connection, ME, {PAY: 5, ORDER: 5}, 5)

    assert [row.post.event.id for row in taken] == ["c1", "c2"]
    assert deliveries.claim(connection, ME, {PAY: 5}, 5) == []


def test_no_more_is_claimed_than_there_is_room_for(connection: sqlite3.Connection) -> None:
    """Lane by lane; the rest is for others."""
    deliveries.put(connection, [post(None, n) for n in range(3)], 0, None)
    begin = Message(placing(), ToHandler(ORDER, None))
    deliveries.put(connection, [begin, begin], 0, None)

    taken = deliveries.claim(connection, ME, {ORDER: 1, PAY: 2}, 0)

    assert [row.post.event.id for row in taken] == ["c0", "c1", "i1"]


def test_what_a_commit_sends_is_its_workers_own(connection: sqlite3.Connection) -> None:
    """As above."""
    commit = committed(shop, placing())

    answer, rows = applied(connection, commit, post("k"))

    assert (answer, [row.post for row in rows]) == (Committed(), [post("k")])
    assert owners(connection) == [ME]


def test_the_history_of_a_workflow_has_a_line_for_each_event(
    connection: sqlite3.Connection,
) -> None:
    """Numbered without a gap, over turns and amendments."""
    for other in ("another", "third"):
        begun(connection, other)
    first = begun(connection, "i1")
    paid = committed(shop, answering(first.events[0], CardCharged("r")), first.record)
    assert applied(connection, paid)[0] == Committed()
    mended = evolve(given(paid.record), revision=3)
    assert tables.replace_record(connection, mended, 2, [], [], ME, 7) == (Committed(), [])
    last = committed(shop, answering(paid.events[0], ShipmentBooked("t"), "a2"), mended)
    assert applied(connection, last)[0] == Committed()

    lines = pages.history(connection, placing("i1").subject, None, 100)

    assert [(line.position, line.revision, line.kind) for line in lines] == [
        (0, 1, "consumed"),
        (1, 1, "produced"),
        (2, 2, "consumed"),
        (3, 2, "produced"),
        (4, 3, "amended"),
        (5, 4, "consumed"),
        (6, 4, "produced"),
    ]
    assert [line.at for line in lines if line.revision != 3] == [NOW] * 6
    assert lines[4].record == mended
    (total,) = connection.execute(
        "select lines from workflow where subject = ?", (placing("i1").subject,)
    ).fetchone()
    assert total == 7


def line(number: int) -> FrozenDict:
    return FrozenDict({"asked": number})


def test_a_journal_grows_by_its_new_lines_and_may_begin_anew(
    connection: sqlite3.Connection,
) -> None:
    """What stands there already is not written again: a long flow costs no more a turn."""
    for other in ("another", "third"):
        begun(connection, other)
    commit = begun(connection, "i1")
    journals, reads = [], []
    for turn, (kept, journal) in enumerate(
        [
            (0, (line(0), line(1))),
            (2, (line(0), line(1), line(2))),
            (0, (line(9),)),
            (1, (line(9),)),
        ]
    ):
        record = evolve(given(commit.record), journal=journal, revision=turn + 2)
        answer = answering(commit.events[0], CardCharged("r"), f"a{turn}")
        turned = evolve(commit, event=answer, record=record, expected=turn + 1, journal_offset=kept)
        assert applied(connection, turned)[0] == Committed()
        journals.append(record)
        reads.append(tables.load(connection, record.subject))

    assert reads == journals


def test_an_amended_record_takes_the_place_of_the_old_one(connection: sqlite3.Connection) -> None:
    """Journal and all; what it waits for is armed, and its events go to its own key."""
    for other in ("another", "third"):
        begun(connection, other)
    commit = begun(connection, "i1")
    record = evolve(given(commit.record), revision=2, status="active", journal=(line(0), line(1)))
    again = placing("i1")
    timer = PendingTimer(evolve(again, id="rings"), NOW)
    to = ToHandler(ORDER, record.subject)

    spoilt = evolve(record, revision=2, journal=(line(7), line(8), line(9)))
    assert tables.replace_record(connection, spoilt, 1, [], [], ME, 7) == (Committed(), [])
    record = evolve(record, revision=3)
    amended, rows = tables.replace_record(connection, record, 2, [timer], [again], ME, 7)

    assert amended == Committed()
    assert [row.post for row in rows] == [Message(again, to)]
    assert tables.load(connection, record.subject) == record
    timers.fire(connection, timers.next_due(connection) or 0)
    claimed = deliveries.claim(connection, ME, {ORDER: 5}, 10**15)
    assert [row.post for row in claimed] == [Message(timer.event, to)]


@pytest.mark.parametrize("expected", [0, 2])
def test_an_amendment_of_what_has_changed_is_a_conflict(
    connection: sqlite3.Connection, expected: int
) -> None:
    """It tells the revision that is there, none being the nought."""
    commit = begun(connection, "i1")
    record = evolve(given(commit.record), revision=expected + 1)
    gone = evolve(record, subject=placing("i2").subject)

    assert tables.replace_record(connection, record, expected, [], [], ME, 7) == (Conflict(1), [])
    assert tables.replace_record(connection, gone, 0, [], [], ME, 7) == (Conflict(0), [])


def test_a_late_commit_is_told_from_a_lost_race(connection: sqlite3.Connection) -> None:
    """Told of a conflict, a worker steps again, for nothing where its event was consumed."""
    first = begun(connection, "i1")
    answer = answering(first.events[0], CardCharged("r"))
    stale = committed(shop, answer, first.record)
    assert applied(connection, stale)[0] == Committed()

    number = delivered(connection, answer)
    fenced = tables.apply(connection, number, stale, [], [], OTHER, OTHER, 5)
    seen = tables.apply(connection, number, stale, [], [], ME, ME, 5)
    raced = applied(connection, evolve(stale, event=evolve(answer, id="a2")))

    assert (fenced, seen, raced) == ((Fenced(), []), (Duplicate(), []), (Conflict(2), []))


def test_a_timer_keeps_to_the_key_of_its_workflow(connection: sqlite3.Connection) -> None:
    """Else it would be taken beside an event of the same workflow (I4)."""
    commit = committed(shop, placing())
    timer = PendingTimer(evolve(commit.event, id="rings"), NOW)
    applied(connection, evolve(commit, timers=(timer,)))
    deliveries.put(connection, [Message(charging(), ToHandler(ORDER, placing().subject))], 0, OTHER)
    due = timers.next_due(connection)
    assert due is not None

    timers.fire(connection, due - 1)
    early = deliveries.count(connection)
    timers.fire(connection, due)

    assert (early, deliveries.count(connection)) == (1, 2)
    assert deliveries.claim(connection, ME, {ORDER: 5}, due) == []
    assert deliveries.depth(connection, due - 1) == (2, 1, 0)
    assert due == int(NOW.timestamp() * 1000)


def test_timers_fire_some_at_a_time_the_oldest_first(
    connection: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store that was off for a week does not stand still for all of them."""
    monkeypatch.setattr("arvo.interpreters.sqlite.statements.timers.DUE_MAX", 2)
    commit = committed(shop, placing())
    alarms = [
        PendingTimer(evolve(commit.event, id=f"t{n}"), NOW + timedelta(seconds=n))
        for n in (2, 0, 1)
    ]
    applied(connection, evolve(commit, timers=tuple(alarms)))

    timers.fire(connection, 10**15)

    taken = deliveries.claim(connection, ME, {ORDER: 5}, 10**15)
    assert [row.post.event.id for row in taken] == ["t0", "t1"]
    assert deliveries.depth(connection, 10**15) == (2, 0, 1)
