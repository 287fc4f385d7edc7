"""Lease: a worker says that it is alive, and looks for what is due."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from attrs import define, field

from arvo.core.commit import PendingTimer
from arvo.engine.step.route import ToHandler
from arvo.interpreters.delivery.retention import Retention
from arvo.interpreters.ports.backend import Message
from arvo.interpreters.sqlite.connection.connection import open_file
from arvo.interpreters.sqlite.session.maintenance import Lease
from arvo.interpreters.sqlite.statements import deliveries, timers, workers
from tests.shop import charging, placing

PAY, ORDER = "com.payment.charge", "arvo.orc.order.fulfil"
FOR_EVER = Retention(inbox=None, finished=None, history=None)


@define
class Worker:
    """A lease, its connection, its clock, and what it was told."""

    path: Path
    seconds: float = 30.0
    milliseconds: int = 1_000_000
    told: list[object] = field(factory=list)
    connection: sqlite3.Connection = field(init=False)
    lease: Lease = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.connection = open_file(str(self.path), full_sync=False)
        self.lease = Lease(
            me="me",
            seconds=self.seconds,
            now=lambda: self.milliseconds,
            keep=FOR_EVER,
            counted=self.told.append,
            offered=lambda: self.told.append("offered"),
            lost=lambda: self.told.append("lost"),
        )
        self.lease.join(self.connection)

    def tick(self) -> list[object]:
        """Give what one tick tells."""
        self.told.clear()
        self.lease.tick(self.connection)
        assert not self.connection.in_transaction
        return list(self.told)

    @property
    def until(self) -> int:
        """When the lease runs out, as the file says."""
        found = self.connection.execute("select lease from worker where id = 'me'").fetchone()
        return int(found[0])

    def ring(self, name: str, seconds: int) -> None:
        """Set a timer."""
        due = datetime.fromtimestamp(1_000 + seconds, UTC)
        to = ToHandler(ORDER, placing().subject)
        timers.arm(self.connection, PendingTimer(placing(name), due), Message(placing(name), to))


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Worker]:
    made = Worker(tmp_path / "a.db")
    with closing(made.connection):
        yield made


@pytest.fixture
def other(worker: Worker) -> Iterator[sqlite3.Connection]:
    """Another process."""
    with closing(open_file(str(worker.path), full_sync=False)) as opened:
        yield opened


def post(connection: sqlite3.Connection, owner: str | None) -> None:
    deliveries.put(connection, [Message(charging(), ToHandler(PAY, None))], 0, owner)


def test_who_joins_frees_what_stood_there_for_itself_and_for_the_dead(worker: Worker) -> None:
    """A process that begins anew has forgotten what it had taken."""
    workers.join(worker.connection, "dead", "elsewhere", 1, worker.milliseconds - 1)
    workers.join(worker.connection, "alive", "elsewhere", 1, worker.milliseconds)
    for owner in ("me", "dead", "alive"):
        post(worker.connection, owner)

    worker.lease.join(worker.connection)

    found = worker.connection.execute("select owner from delivery order by id").fetchall()
    assert found == [(None,), (None,), ("alive",)]
    names = worker.connection.execute("select id from worker order by id").fetchall()
    assert names == [("alive",), ("me",)]


@pytest.mark.parametrize(
    ("seconds", "passed", "renewed"),
    [
        (3.0, 0.0, False),
        (3.0, 0.9, False),
        (3.0, 1.0, True),
        (30.0, 4.9, False),
        (30.0, 5.0, True),
    ],
)
def test_a_lease_is_renewed_in_good_time(
    tmp_path: Path, seconds: float, passed: float, renewed: bool
) -> None:
    """Twice it may fail before others take the worker for dead; and it is not written each tick."""
    worker = Worker(tmp_path / "a.db", seconds=seconds)
    with closing(worker.connection):
        worker.milliseconds += 7
        worker.lease._beat -= passed
        worker.tick()

        began = 1_000_000 + int(seconds * 1000)
        assert worker.until == (began + 7 if renewed else began)
        worker.milliseconds += 7
        worker.tick()
        assert worker.until == (began + 7 if renewed else began)


def test_who_was_taken_for_dead_joins_again_and_is_told(
    worker: Worker, other: sqlite3.Connection
) -> None:
    """What waited for it is others' now, and what was written for it since is nobody's."""
    worker.tick()
    workers.leave(other, "me")
    post(other, "me")
    worker.lease._beat -= 5.0

    told = worker.tick()

    assert told == ["lost", 1, "offered"]
    assert worker.until == worker.milliseconds + 30_000
    worker.lease._beat -= 5.0
    assert "lost" not in worker.tick()


def test_it_looks_where_another_process_has_written_and_now_and_then(
    worker: Worker, other: sqlite3.Connection
) -> None:
    """Not each time: a process that waits should cost next to nothing."""
    first, second = worker.tick(), worker.tick()
    post(other, None)
    third, fourth = worker.tick(), worker.tick()
    worker.lease._looked -= 1.0
    fifth, sixth = worker.tick(), worker.tick()

    assert (first, second) == ([0], [])
    assert (third, fourth) == ([1, "offered"], [])
    assert (fifth, sixth) == ([1, "offered"], [])


def test_a_timer_is_fired_when_it_is_due_and_so_is_the_next(worker: Worker) -> None:
    """I7: it waits for no other reason to look."""
    worker.ring("soon", 3)
    worker.ring("later", 5)
    told = [worker.tick()]
    for milliseconds in (2_999, 3_000, 3_001, 5_000, 9_000):
        worker.milliseconds = 1_000_000 + milliseconds
        told.append(worker.tick())

    assert told == [[0], [], [1, "offered"], [], [2, "offered"], []]


def test_the_work_of_a_dead_worker_is_freed(worker: Worker, other: sqlite3.Connection) -> None:
    """Its lease has run out: nobody waits for it longer than that."""
    workers.join(other, "other", "elsewhere", 1, worker.milliseconds + 10)
    post(other, "other")
    told = [worker.tick()]
    for passed in (10, 1):
        worker.milliseconds += passed
        worker.lease._looked -= 1.0
        told.append(worker.tick())

    assert told == [[1], [1], [1, "offered"]]


def test_what_is_over_is_forgotten(worker: Worker) -> None:
    """Bite by bite, each time it looks."""
    worker.lease.keep = Retention(inbox=timedelta(seconds=1))
    worker.connection.execute(
        "insert into inbox (digest, at) values ('a', ?)", (worker.milliseconds - 1_001,)
    )

    worker.tick()

    assert worker.connection.execute("select count(*) from inbox").fetchone() == (0,)
