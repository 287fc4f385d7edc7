"""Workers: which are alive, and what happens to the deliveries of those that are not."""

import os
import sqlite3
import subprocess
import sys

import pytest

from arvo.engine.step.route import ToHandler
from arvo.interpreters.ports.messages import Message
from arvo.interpreters.sqlite.connection.liveness import is_process_dead, process_namespace
from arvo.interpreters.sqlite.statements import deliveries, workers
from tests.shop import charge_request

ELSEWHERE = "another machine"


@pytest.fixture
def ended() -> int:
    """The id of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_a_process_of_this_namespace_is_dead_when_it_has_ended(ended: int) -> None:
    """No worker waits for the lease of a process that was killed."""
    assert is_process_dead(process_namespace(), ended)
    assert not is_process_dead(process_namespace(), os.getpid())
    # The process of another user cannot be signalled, but it exists.
    assert not is_process_dead(process_namespace(), 1)


def test_a_process_of_another_namespace_is_never_dead(ended: int) -> None:
    """There the id may belong to any process."""
    assert not is_process_dead(ELSEWHERE, ended)


def test_a_worker_lives_as_long_as_its_lease(connection: sqlite3.Connection, ended: int) -> None:
    """To the last millisecond; and no longer than its process, where that can be checked."""
    workers.register(connection, "me", ELSEWHERE, 1, 0)
    workers.register(connection, "other", ELSEWHERE, 1, 10)
    workers.register(connection, "killed", process_namespace(), ended, 99)

    assert workers.expired(connection, 10, worker_id="me") == ["killed"]
    assert sorted(workers.expired(connection, 11, worker_id="me")) == ["killed", "other"]
    assert workers.renew_lease(connection, "other", 20)
    assert workers.expired(connection, 20, worker_id="me") == ["killed"]


def test_a_renewal_within_the_same_millisecond_is_a_write(connection: sqlite3.Connection) -> None:
    """SQLite writes no page that stays the same: a probe would succeed on a full disk."""
    workers.register(connection, "me", ELSEWHERE, 1, 10)

    assert workers.renew_lease(connection, "me", 10)
    assert connection.execute("select lease from worker").fetchone() == (11,)


def test_the_deliveries_of_a_dead_worker_are_released(connection: sqlite3.Connection) -> None:
    """And a worker that was wrongly taken for dead learns it when it renews its lease."""
    workers.register(connection, "me", ELSEWHERE, 1, 10)
    workers.register(connection, "other", ELSEWHERE, 1, 10)
    for owner in ("me", "other"):
        deliveries.send(
            connection, [Message(charge_request(), ToHandler("com.payment.charge", None))], 0, owner
        )

    workers.release(connection, ["other"], 0)

    owners = [owner for (owner,) in connection.execute("select owner from delivery order by id")]
    assert owners == ["me", None]
    assert not workers.renew_lease(connection, "other", 20)
    assert workers.renew_lease(connection, "me", 20)


@pytest.mark.promise("I11")
@pytest.mark.parametrize(
    ("deaths", "started", "due", "counted"),
    [
        (0, False, 5, 1),
        (1, False, 5, 1),
        (1, True, 5, 2),
        (4, True, 5, 5),
        (0, False, 6, 0),
        (1, True, 6, 1),
    ],
)
def test_a_death_is_counted_where_the_delivery_may_have_been_in_progress(
    deaths: int, started: bool, due: int, counted: int, connection: sqlite3.Connection
) -> None:
    """After the first one only where it was started; and not while it waits for its delay."""
    message = Message(charge_request(), ToHandler("com.payment.charge", None))
    [row] = deliveries.send(connection, [message], due, "other")
    connection.execute("update delivery set deaths = ?, started = ?", (deaths, started))

    workers.release(connection, ["other"], 5)
    [claimed] = deliveries.claim(connection, "me", {"com.payment.charge": 1}, 9)

    assert (claimed.id, claimed.deaths, claimed.attempt) == (row.id, counted, 1 + counted - deaths)
    workers.deregister(connection, "me")
    assert connection.execute("select deaths, started from delivery").fetchall() == [(counted, 0)]
