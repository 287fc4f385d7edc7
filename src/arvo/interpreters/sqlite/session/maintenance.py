"""Maintenance: lease renewal, timers, dead workers and purging, in the writer's thread."""

import os
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterable
from math import inf
from pathlib import Path
from typing import Final, final
from uuid import uuid4

from attrs import define, field

from arvo.core.commit import PendingTimer
from arvo.core.events.event import EVENT_BYTES_MAX
from arvo.interpreters.delivery.codec import to_milliseconds
from arvo.interpreters.delivery.retention import SWEEP_SECONDS, Retention
from arvo.interpreters.ports.errors import Unavailable
from arvo.interpreters.sqlite.connection.liveness import process_namespace
from arvo.interpreters.sqlite.statements import deliveries, limits, timers, workers
from arvo.interpreters.sqlite.statements.purge import purge, sweep_dead_letters

# How long a worker keeps its deliveries without renewing its lease. After that they are released.
LEASE_SECONDS: Final = 30.0
# How often the writer calls `tick`. A tick of an idle process costs six small queries, and writes
# nothing but the lease.
TICK_SECONDS: Final = 0.1
# How often the lease is renewed, where a third of it is not shorter.
RENEW_SECONDS: Final = 5.0
# Less free space than this counts as a full disk: an event of the largest size takes about twice
# its size in the log, and the log is copied into the file.
FREE_BYTES_MIN: Final = 4 * EVENT_BYTES_MAX
# A tick polls only if another process has written, a timer is due, or this time has passed.
POLL_SECONDS: Final = 1.0
# How often it looks for holds that count no more, and for deliveries that nothing else would wake.
REPAIR_SECONDS: Final = 5.0
NEVER: Final = 2**62


@final
@define(eq=False)
class Maintenance:
    """Keeps one worker registered, and polls the file for work that no call of this process did.

    *lease*: seconds after which the worker counts as dead without renewal. *now*: the time in
    milliseconds. *on_count* is called with the number of deliveries in the file, *on_claimable*
    when some of them are unclaimed, *on_lost* when this worker's deliveries have been released.
    All three are called in the writer's thread. *services*: returns what the process serves, in the
    form of the column of its worker. *clock*: seconds that only go forward; the
    intervals between renewals and polls go by it.
    """

    worker_id: str
    lease: float
    now: Callable[[], int]
    retention: Retention
    on_count: Callable[[int], None]
    on_claimable: Callable[[], None]
    on_lost: Callable[[], None]
    services: Callable[[], str] = lambda: workers.NO_SERVICES
    clock: Callable[[], float] = time.monotonic
    _swept_at: float = field(default=-inf, init=False)
    _repaired_at: float = field(default=-inf, init=False)
    _data_version: int = field(default=-1, init=False)
    _renewed_at: float = field(default=0.0, init=False)
    _polled_at: float = field(default=0.0, init=False)
    _next_due: int = field(default=NEVER, init=False)

    def register(self, connection: sqlite3.Connection, lost: str | None = None) -> None:
        """Register the worker, and release the deliveries of dead workers, of its own id, and of
        the id *lost* under which it was taken for dead.
        """
        connection.execute("begin immediate")
        now = self.now()
        dead = workers.expired(connection, now, worker_id=self.worker_id)
        workers.release(connection, dead, now)
        workers.deregister(connection, self.worker_id)
        if lost is not None:
            workers.deregister(connection, lost)
        namespace, until = process_namespace(), self._lease_end()
        workers.register(connection, self.worker_id, namespace, os.getpid(), until, self.services())
        connection.execute("commit")
        self._renewed_at = self.clock()

    def expect_timers(self, timers: Iterable[PendingTimer]) -> None:
        """Poll when the first of *timers*, which this process sets, is due."""
        for timer in timers:
            self._next_due = min(self._next_due, to_milliseconds(timer.due))

    def expect(self, due: Iterable[int]) -> None:
        """Poll when the first delivery is due that no process owns, in milliseconds since 1970."""
        self._next_due = min(self._next_due, *due, NEVER)

    def seconds_to_timer(self) -> float:
        """Return the seconds until the first known timer is due; infinity if there is none."""
        return inf if self._next_due == NEVER else (self._next_due - self.now()) / 1000

    def tick(self, connection: sqlite3.Connection) -> None:
        """Renew the lease if it is time, and poll if there may be something to find."""
        now = self.now()
        if self.clock() - self._renewed_at >= min(RENEW_SECONDS, self.lease / 3):
            self._renew(connection)
        # Changes with each transaction of another connection.
        (version,) = connection.execute("pragma data_version").fetchone()
        is_overdue = self.clock() - self._polled_at >= POLL_SECONDS
        if version != self._data_version or is_overdue or now >= self._next_due:
            # Until it succeeds: after an error the next tick polls again, and none before it.
            self._data_version, self._next_due = -1, NEVER
            self._poll(connection, now)
            self._data_version, self._polled_at = version, self.clock()

    def probe(self, connection: sqlite3.Connection, path: str) -> None:
        """Write a little: the lease. Raises `Unavailable` where the disk is full.

        A write may still succeed on a full disk, because the log is used again from its beginning.
        """
        workers.renew_lease(connection, self.worker_id, self._lease_end())
        free = shutil.disk_usage(Path(path).absolute().parent).free
        if free < FREE_BYTES_MIN:
            raise Unavailable(f"the disk of {path} is full: {free} bytes are free")

    def _poll(self, connection: sqlite3.Connection, now: int) -> None:
        dead = workers.expired(connection, now, worker_id=self.worker_id)
        due = timers.next_due(connection)
        if dead or (due is not None and due <= now):
            connection.execute("begin immediate")
            workers.release(connection, dead, now)
            timers.fire(connection, now)
            connection.execute("commit")
            due = timers.next_due(connection)
        self.expect(each for each in (due, limits.next_due(connection, now)) if each is not None)
        purge(connection, self.retention, now)
        if self.clock() - self._repaired_at >= REPAIR_SECONDS:
            self._repaired_at = self.clock()
            limits.repair(connection, now)
        if self.clock() - self._swept_at >= SWEEP_SECONDS:
            self._swept_at = self.clock()
            if sweep_dead_letters(connection, self.retention, now):
                self._swept_at = -inf
        self.on_count(deliveries.count(connection))
        if deliveries.is_claimable(connection, now):
            self.on_claimable()

    def _renew(self, connection: sqlite3.Connection) -> None:
        if not workers.renew_lease(connection, self.worker_id, self._lease_end()):
            # Another process took this worker for dead and released its deliveries. Those
            # that were written for this worker since then are released here. Under another id,
            # as what it received before is not its own any more.
            lost, self.worker_id = self.worker_id, str(uuid4())
            try:
                self.register(connection, lost)
            except BaseException:
                # The next tick tries again.
                self.worker_id = lost
                raise
            self.on_lost()
        self._renewed_at = self.clock()

    def _lease_end(self) -> int:
        return self.now() + int(self.lease * 1000)
