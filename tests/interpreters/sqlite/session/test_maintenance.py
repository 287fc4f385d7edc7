"""Maintenance: a worker renews its lease, and polls for work."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from math import inf
from pathlib import Path

import pytest
from attrs import define, field

from arvo.core.commit import PendingTimer
from arvo.engine.step.route import ToHandler
from arvo.interpreters.delivery.retention import Retention
from arvo.interpreters.ports.messages import Message
from arvo.interpreters.sqlite.connection.connection import open_file
from arvo.interpreters.sqlite.session.maintenance import Maintenance
from arvo.interpreters.sqlite.statements import deliveries, timers, workers
from tests.shop import charge_request, order_request

PAY, ORDER = "com.payment.charge", "arvo.orc.order.fulfil"
UNLIMITED = Retention(inbox=None, finished=None, history=None)


@define
class Worker:
    """A worker with its connection, its clocks, and the calls of its callbacks."""

    path: Path
    lease: float = 30.0
    milliseconds: int = 1_000_000
    clock: float = 100.0
    calls: list[object] = field(factory=list)
    connection: sqlite3.Connection = field(init=False)
    maintenance: Maintenance = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.connection = open_file(str(self.path), full_sync=False)
        self.maintenance = Maintenance(
            worker_id="me",
            lease=self.lease,
            now=lambda: self.milliseconds,
            retention=UNLIMITED,
            on_count=self.calls.append,
            on_claimable=lambda: self.calls.append("claimable"),
            on_lost=lambda: self.calls.append("lost"),
            clock=lambda: self.clock,
        )
        self.maintenance.register(self.connection)

    def tick(self) -> list[object]:
        """Return the calls of one tick."""
        self.calls.clear()
        self.maintenance.tick(self.connection)
        assert not self.connection.in_transaction
        return list(self.calls)

    @property
    def lease_end(self) -> int:
        """The end of the lease, as the file has it."""
        sql, worker_id = "select lease from worker where id = ?", self.maintenance.worker_id
        row = self.connection.execute(sql, (worker_id,)).fetchone()
        return int(row[0])

    def schedule(self, name: str, seconds: int) -> None:
        """Set a timer that is due so many seconds after the start."""
        due = datetime.fromtimestamp(1_000 + seconds, UTC)
        to = ToHandler(ORDER, order_request().subject)
        timer = PendingTimer(order_request(name), due)
        timers.schedule(self.connection, [(timer, Message(order_request(name), to))])


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Worker]:
    made = Worker(tmp_path / "a.db")
    with closing(made.connection):
        yield made


@pytest.fixture
def other(worker: Worker) -> Iterator[sqlite3.Connection]:
    """The connection of another process."""
    with closing(open_file(str(worker.path), full_sync=False)) as opened:
        yield opened


def send(connection: sqlite3.Connection, owner: str | None) -> None:
    deliveries.send(connection, [Message(charge_request(), ToHandler(PAY, None))], 0, owner)


def test_registering_releases_the_deliveries_of_the_dead_and_its_own(worker: Worker) -> None:
    """A process that starts again no longer has in memory what it had claimed."""
    workers.register(worker.connection, "dead", "elsewhere", 1, worker.milliseconds - 1)
    workers.register(worker.connection, "alive", "elsewhere", 1, worker.milliseconds)
    for owner in ("me", "dead", "alive"):
        send(worker.connection, owner)

    worker.maintenance.register(worker.connection)

    owners = worker.connection.execute("select owner from delivery order by id").fetchall()
    assert owners == [(None,), (None,), ("alive",)]
    registered = worker.connection.execute("select id from worker order by id").fetchall()
    assert registered == [("alive",), ("me",)]


@pytest.mark.parametrize(
    ("lease", "passed", "renewed"),
    [
        (3.0, 0.0, False),
        (3.0, 0.9, False),
        (3.0, 1.0, True),
        (30.0, 4.9, False),
        (30.0, 5.0, True),
    ],
)
def test_a_lease_is_renewed_in_time(
    tmp_path: Path, lease: float, passed: float, renewed: bool
) -> None:
    """Two renewals may fail before the worker counts as dead; and not every tick writes."""
    worker = Worker(tmp_path / "a.db", lease=lease)
    with closing(worker.connection):
        worker.milliseconds += 7
        worker.clock += passed
        worker.tick()

        began = 1_000_000 + int(lease * 1000)
        assert worker.lease_end == (began + 7 if renewed else began)
        worker.milliseconds += 7
        worker.tick()
        assert worker.lease_end == (began + 7 if renewed else began)


def test_a_worker_that_was_taken_for_dead_registers_again(
    worker: Worker, other: sqlite3.Connection
) -> None:
    """Its deliveries belong to others, and what was sent for it since then is unclaimed. Under
    another id: what it received under the first one stays lost.
    """
    worker.tick()
    workers.deregister(other, "me")
    send(other, "me")
    worker.clock += 5.0

    calls = worker.tick()

    assert calls == ["lost", 1, "claimable"]
    assert worker.maintenance.worker_id != "me"
    assert worker.lease_end == worker.milliseconds + 30_000
    worker.clock += 5.0
    assert "lost" not in worker.tick()


def test_a_tick_polls_after_a_write_of_another_process_and_now_and_then(
    worker: Worker, other: sqlite3.Connection
) -> None:
    """Not each time: an idle process should cost next to nothing."""
    first, second = worker.tick(), worker.tick()
    send(other, None)
    third, fourth = worker.tick(), worker.tick()
    worker.clock += 1.0
    fifth, sixth = worker.tick(), worker.tick()

    assert (first, second) == ([0], [])
    assert (third, fourth) == ([1, "claimable"], [])
    assert (fifth, sixth) == ([1, "claimable"], [])


@pytest.mark.promise("I7")
def test_each_timer_is_fired_when_it_is_due(worker: Worker) -> None:
    """I7: without any other reason to poll."""
    worker.schedule("soon", 3)
    worker.schedule("later", 5)
    calls = [worker.tick()]
    for milliseconds in (2_999, 3_000, 3_001, 5_000, 9_000):
        worker.milliseconds = 1_000_000 + milliseconds
        calls.append(worker.tick())

    assert calls == [[0], [], [1, "claimable"], [], [2, "claimable"], []]


def test_the_time_of_the_next_timer_is_known_without_a_poll(worker: Worker) -> None:
    """The writer wakes when it is due, also where this process has set it itself."""
    before = worker.maintenance.seconds_to_timer()
    due = datetime.fromtimestamp(1_003, UTC)
    worker.maintenance.expect_timers([PendingTimer(order_request("i1"), due)])
    expected = worker.maintenance.seconds_to_timer()
    worker.schedule("i2", 2)
    worker.tick()
    polled = worker.maintenance.seconds_to_timer()

    assert (before, expected, polled) == (inf, 3.0, 2.0)


def test_a_poll_that_fails_is_repeated_by_the_next_tick(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And not at once: a busy file would occupy the writer."""

    def busy(*_: object) -> None:
        raise sqlite3.OperationalError("busy")

    worker.tick()
    worker.schedule("i1", -1)
    worker.maintenance.expect_timers([PendingTimer(order_request("i1"), datetime.now(UTC))])
    worker.milliseconds = 2**45
    with monkeypatch.context() as patch:
        patch.setattr(timers, "next_due", busy)
        with pytest.raises(sqlite3.OperationalError):
            worker.maintenance.tick(worker.connection)
    waits = worker.maintenance.seconds_to_timer()

    assert waits == inf
    assert "claimable" in worker.tick()


def test_the_deliveries_of_a_dead_worker_are_released(
    worker: Worker, other: sqlite3.Connection
) -> None:
    """As soon as its lease has expired."""
    workers.register(other, "other", "elsewhere", 1, worker.milliseconds + 10)
    send(other, "other")
    calls = [worker.tick()]
    for passed in (10, 1):
        worker.milliseconds += passed
        worker.clock += 1.0
        calls.append(worker.tick())

    assert calls == [[1], [1], [1, "claimable"]]


def test_a_poll_deletes_expired_rows(worker: Worker) -> None:
    """One batch each time."""
    worker.maintenance.retention = Retention(inbox=timedelta(seconds=1))
    worker.connection.execute(
        "insert into inbox (digest, at) values ('a', ?)", (worker.milliseconds - 1_001,)
    )

    worker.tick()

    assert worker.connection.execute("select count(*) from inbox").fetchone() == (0,)
