"""Lease: a worker's claim to be alive, and what it looks for in a SQLite file as long as it is."""

import os
import sqlite3
import time
from collections.abc import Callable
from typing import Final, final

from attrs import define, field

from arvo.interpreters.delivery.retention import Retention
from arvo.interpreters.sqlite.connection.liveness import here
from arvo.interpreters.sqlite.statements import deliveries, timers, workers
from arvo.interpreters.sqlite.statements.purge import forget

# A worker whose lease has run out is taken for dead, and its deliveries are handed to others.
LEASE_SECONDS: Final = 30.0
# How often the file is looked at for what other processes did, timers, and dead workers. A tick of
# a process that waits costs five small queries, and no write but the lease's.
TICK_SECONDS: Final = 0.1
BEAT_SECONDS: Final = 5.0
# It looks further only where another process has written, a timer is due, or this time has passed.
LOOK_SECONDS: Final = 1.0
NEVER: Final = 2**62


@final
@define(eq=False)
class Lease:
    """The lease of one worker, kept in the writer's thread: it hears of what it finds there.

    *me*: the worker. *seconds*: how long it lives without a sign. *now*: the time in milliseconds.
    *keep*: how long what is over is remembered. *counted* is told how many deliveries the file
    holds, *offered* that some of them are nobody's, *lost* that ours are others' now.
    """

    me: str
    seconds: float
    now: Callable[[], int]
    keep: Retention
    counted: Callable[[int], None]
    offered: Callable[[], None]
    lost: Callable[[], None]
    _version: int = field(default=-1, init=False)
    _beat: float = field(default=0.0, init=False)
    _looked: float = field(default=0.0, init=False)
    _next_due: int = field(default=NEVER, init=False)

    def join(self, connection: sqlite3.Connection) -> None:
        """Say that we work on the file from now on, and let others have all that stood there for
        us or for somebody who is gone.
        """
        connection.execute("begin immediate")
        gone = workers.expired(connection, self.now(), me=self.me)
        workers.release(connection, [*gone, self.me])
        workers.join(connection, self.me, here(), os.getpid(), self._end())
        connection.execute("commit")
        self._beat = time.monotonic()

    def tick(self, connection: sqlite3.Connection) -> None:
        """Keep the lease, and look for what is due: timers, dead workers, work of others."""
        now = self.now()
        if time.monotonic() - self._beat >= min(BEAT_SECONDS, self.seconds / 3):
            self._renew(connection)
        (version,) = connection.execute("pragma data_version").fetchone()
        rested = time.monotonic() - self._looked >= LOOK_SECONDS
        if version != self._version or rested or now >= self._next_due:
            self._version, self._looked = version, time.monotonic()
            self._look(connection, now)

    def _look(self, connection: sqlite3.Connection, now: int) -> None:
        gone = workers.expired(connection, now, me=self.me)
        due = timers.next_due(connection)
        if gone or (due is not None and due <= now):
            connection.execute("begin immediate")
            workers.release(connection, gone)
            timers.fire(connection, now)
            connection.execute("commit")
            due = timers.next_due(connection)
        self._next_due = NEVER if due is None else due
        forget(connection, self.keep, now)
        self.counted(deliveries.count(connection))
        if deliveries.is_claimable(connection, now):
            self.offered()

    def _renew(self, connection: sqlite3.Connection) -> None:
        if not workers.renew(connection, self.me, self._end()):
            # We were taken for dead, and what waited here is others' now; so is what was written
            # for us since, for it is let go of here together with the rest.
            self.join(connection)
            self.lost()
        self._beat = time.monotonic()

    def _end(self) -> int:
        return self.now() + int(self.seconds * 1000)
