"""Workers: who is alive, and what becomes of the work of those who are not."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from arvo.engine.step.route import ToHandler
from arvo.interpreters.ports.backend import Message
from arvo.interpreters.sqlite.connection.connection import open_file
from arvo.interpreters.sqlite.connection.liveness import here, is_dead
from arvo.interpreters.sqlite.statements import deliveries, workers
from tests.shop import charging

PLACE = "another machine"


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with closing(open_file(str(tmp_path / "a.db"), full_sync=False)) as opened:
        yield opened


@pytest.fixture
def ended() -> int:
    """The id of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_a_process_of_this_place_is_dead_when_it_has_ended(ended: int) -> None:
    """Nobody waits for the lease of a worker that was killed."""
    assert is_dead(here(), ended)
    assert not is_dead(here(), os.getpid())
    # Of another user: it cannot be asked, and is there.
    assert not is_dead(here(), 1)


def test_of_another_place_nobody_knows(ended: int) -> None:
    """There the number may be that of any process."""
    assert not is_dead(PLACE, ended)


def test_a_worker_lives_as_long_as_its_lease(connection: sqlite3.Connection, ended: int) -> None:
    """To its last millisecond; and never longer than its process, where that can be told."""
    workers.join(connection, "me", PLACE, 1, 0)
    workers.join(connection, "other", PLACE, 1, 10)
    workers.join(connection, "killed", here(), ended, 99)

    assert workers.expired(connection, 10, me="me") == ["killed"]
    assert sorted(workers.expired(connection, 11, me="me")) == ["killed", "other"]
    assert workers.renew(connection, "other", 20)
    assert workers.expired(connection, 20, me="me") == ["killed"]


def test_the_work_of_the_dead_is_everybodys(connection: sqlite3.Connection) -> None:
    """And who is taken for dead hears of it when it renews its lease."""
    workers.join(connection, "me", PLACE, 1, 10)
    workers.join(connection, "other", PLACE, 1, 10)
    for name in ("me", "other"):
        deliveries.put(
            connection, [Message(charging(), ToHandler("com.payment.charge", None))], 0, name
        )

    workers.release(connection, ["other"])

    owners = [owner for (owner,) in connection.execute("select owner from delivery order by id")]
    assert owners == ["me", None]
    assert not workers.renew(connection, "other", 20)
    assert workers.renew(connection, "me", 20)
