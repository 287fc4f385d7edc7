"""Write batch: what a commit leaves in the file."""

import sqlite3

from attrs import evolve

from arvo.core.payloads.frozen_json import FrozenDict
from arvo.interpreters.delivery.operations import Replacement
from arvo.interpreters.delivery.record_log import RECORD_BYTES_MAX
from arvo.interpreters.ports.results import Committed, Conflict, Duplicate, Fenced
from arvo.interpreters.sqlite.statements import operations, queries
from arvo.interpreters.sqlite.statements.write_batch import WriteBatch, Written, write
from tests.interpreters.sqlite.statements.batches import (
    ME,
    OTHER,
    begin_workflow,
    deliver,
    message,
    owners,
    record_of,
    write_commit,
)
from tests.shop import (
    NOW,
    CardCharged,
    ShipmentBooked,
    expect_commit,
    order_request,
    reply_to,
    shop,
)


def test_a_worker_owns_the_messages_of_its_commit(connection: sqlite3.Connection) -> None:
    """It delivers them at once, without a query."""
    commit = expect_commit(shop, order_request())

    written = write_commit(connection, commit, message("k"))

    assert written.result == Committed()
    assert [row.message for row in written.rows] == [message("k")]
    assert owners(connection) == [ME]


def test_a_history_has_an_entry_for_each_event(connection: sqlite3.Connection) -> None:
    """Numbered without a gap, over turns and replaced records."""
    for other in ("another", "third"):
        begin_workflow(connection, other)
    first = begin_workflow(connection, "i1")
    paid = expect_commit(shop, reply_to(first.events[0], CardCharged("r")), first.record)
    assert write_commit(connection, paid).result == Committed()
    repaired = evolve(record_of(paid), revision=3)
    replaced = operations.replace_record(connection, Replacement(repaired, 2), ME, 7)
    assert replaced == (Committed(), [])
    last = expect_commit(shop, reply_to(paid.events[0], ShipmentBooked("t"), "a2"), repaired)
    assert write_commit(connection, last).result == Committed()

    entries = queries.history(connection, order_request("i1").subject, None, 100)

    assert [(entry.position, entry.revision, entry.kind) for entry in entries] == [
        (0, 1, "consumed"),
        (1, 1, "produced"),
        (2, 2, "consumed"),
        (3, 2, "produced"),
        (4, 3, "replaced"),
        (5, 4, "consumed"),
        (6, 4, "produced"),
    ]
    assert [entry.at for entry in entries if entry.revision != 3] == [NOW] * 6
    assert entries[4].record == repaired
    (length,) = connection.execute(
        "select history_length from workflow where subject = ?", (order_request("i1").subject,)
    ).fetchone()
    assert length == 7


def test_the_log_of_a_record_begins_anew_with_each_whole_record(
    connection: sqlite3.Connection,
) -> None:
    """Else a record that was large once would be read with all that it ever held."""
    for other in ("another", "third"):
        begin_workflow(connection, other)
    commit = begin_workflow(connection, "i1")
    record, revisions = record_of(commit), []
    large = FrozenDict({"note": "x" * RECORD_BYTES_MAX})
    small = FrozenDict({"note": "y"})
    for turn, journal in enumerate([(large,), (large, small), (small,), (), (large,)]):
        # A record that follows an unknown one is written whole.
        before = None if journal == () else record
        record = evolve(record, journal=journal, revision=record.revision + 1)
        answer = reply_to(commit.events[0], CardCharged("r"), f"a{turn}")
        following = evolve(
            commit, event=answer, before=before, record=record, expected=record.revision - 1
        )
        assert write_commit(connection, following).result == Committed()
        assert queries.load(connection, record.subject) == record
        rows = connection.execute("select revision from record_log order by revision")
        revisions.append([revision for (revision,) in rows])

    assert revisions == [[2], [2, 3], [2, 3, 4], [], [6]]


def test_a_redelivered_event_is_distinguished_from_a_lost_race(
    connection: sqlite3.Connection,
) -> None:
    """On a conflict the worker steps again, in vain if the event was consumed."""
    first = begin_workflow(connection, "i1")
    answer = reply_to(first.events[0], CardCharged("r"))
    stale = expect_commit(shop, answer, first.record)
    assert write_commit(connection, stale).result == Committed()

    batch = WriteBatch(worker_id=ME, delivery_id=deliver(connection, answer), commit=stale)
    fenced = write(connection, evolve(batch, worker_id=OTHER), OTHER, 5)
    duplicate = write(connection, batch, ME, 5)
    conflict = write_commit(connection, evolve(stale, event=evolve(answer, id="a2")))

    assert [fenced, duplicate, conflict] == [
        Written(Fenced()),
        Written(Duplicate()),
        Written(Conflict(2)),
    ]
