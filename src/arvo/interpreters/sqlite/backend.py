"""Backend: the default one, a SQLite file that survives the process that writes it."""

import asyncio
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from functools import partial
from math import inf
from typing import Any, Final, TypeVar, final
from uuid import uuid4

from attrs import define, evolve, field

from arvo.core.commit import Commit, PendingTimer
from arvo.core.events.event import Event
from arvo.core.history import HistoryEntry
from arvo.core.record import Record, Status
from arvo.engine.step.route import ToHandler
from arvo.interpreters.delivery.backpressure import Room
from arvo.interpreters.delivery.claims import Feed
from arvo.interpreters.delivery.clock import utc_now
from arvo.interpreters.delivery.codec import Row, letter_of, milliseconds
from arvo.interpreters.delivery.rest import until_rest
from arvo.interpreters.delivery.retention import Retention
from arvo.interpreters.ports.backend import (
    HISTORY_PAGE_MAX,
    PAGE_MAX,
    CommitResult,
    Committed,
    Conflict,
    Corrupt,
    DeadLetter,
    Delivery,
    Depth,
    Message,
    StoredWorkflow,
    Unavailable,
)
from arvo.interpreters.sqlite.connection.connection import open_file
from arvo.interpreters.sqlite.session.maintenance import LEASE_SECONDS, TICK_SECONDS, Lease
from arvo.interpreters.sqlite.session.reader import Reader
from arvo.interpreters.sqlite.session.writer import Writer, told
from arvo.interpreters.sqlite.statements import deliveries, tables, workers
from arvo.interpreters.sqlite.statements import queries as pages

T = TypeVar("T")

# Events that may be under way before `send` waits.
QUEUE_MAX: Final = 100_000
# See `Feed`.
AHEAD: Final = 8
OWN_MAX: Final = 10_000
KEEP: Final = Retention()


@final
@define(eq=False)
class SqliteBackend:
    """Records, queues, timers and dead letters in one SQLite file, for one or more processes.

    *path*: the file; it is made where there is none. *full_sync*: whether a commit survives the
    loss of power (else that of the process only, and some time is saved). *queue_max*: how many
    events may be under way before `send` waits. *now*: the clock that timers and leases go by.
    *lease*: seconds after which a process that shows no sign of life is taken for dead. *keep*: how
    long what is over is remembered.

    One thread writes; what is committed at once shares one transaction. Each delivery belongs to
    one process, as long as its lease runs: what a process commits after it lost a delivery is
    refused.
    """

    path: str
    full_sync: bool = True
    queue_max: int = QUEUE_MAX
    now: Callable[[], datetime] = utc_now
    lease: float = LEASE_SECONDS
    keep: Retention = KEEP
    me: str = field(factory=lambda: str(uuid4()), init=False)
    _feed: Feed = field(init=False)
    _room: Room = field(init=False)
    _opening: "asyncio.Task[Writer] | None" = field(default=None, init=False)
    _reader: Reader | None = field(default=None, init=False)
    _loop: asyncio.AbstractEventLoop | None = field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self._feed = Feed(self._claim, ahead=AHEAD, own_max=OWN_MAX, key_max=inf)
        self._room = Room(self.queue_max)

    async def send(self, message: Message) -> None:
        """Take an event from outside; waits while `queue_max` events are under way."""
        writer = await self._opened()
        await self._room.enough()
        owner = self._owner_of([message])

        def then(rows: list[Row]) -> None:
            self._room.add(1)
            self._feed.hand_out(map(_handed, rows))

        with self._room.entering():
            await writer.do(
                lambda connection: deliveries.put(connection, [message], self._now(), owner), then
            )

    async def receive(self, queue: str) -> Delivery:
        """Hand out the next delivery of a lane whose key nobody works on."""
        await self._opened()
        return await self._feed.receive(queue)

    async def load(self, subject: str) -> Record | None:
        """Give what is remembered of a workflow."""
        return await self._read(lambda connection: tables.load(connection, subject))

    async def commit(
        self,
        delivery: Delivery,
        commit: Commit,
        messages: Sequence[Message],
        dead_letters: Sequence[DeadLetter],
    ) -> CommitResult:
        """Apply a commit, send what follows and settle the delivery."""
        writer, number = await self._opened(), _number(delivery)
        owner = self._owner_of(messages)

        def work(connection: sqlite3.Connection) -> tuple[CommitResult, list[Row]]:
            return tables.apply(
                connection, number, commit, messages, dead_letters, self.me, owner, self._now()
            )

        def then(done: tuple[CommitResult, list[Row]]) -> None:
            applied, rows = done
            if not isinstance(applied, Conflict):
                self._settled(delivery)
            if isinstance(applied, Committed):
                self._room.add(len(messages))
            self._feed.hand_out(map(_handed, rows))

        applied, _ = await writer.do(work, then)
        return applied

    async def workflows(
        self,
        *,
        status: Status | None = None,
        handler: str | None = None,
        unchanged_since: datetime | None = None,
        after: StoredWorkflow | None = None,
        limit: int = PAGE_MAX,
    ) -> tuple[StoredWorkflow, ...]:
        """List workflows, the one that changed last first."""
        return await self._read(
            lambda connection: pages.workflows(
                connection,
                status=status,
                handler=handler,
                unchanged_since=unchanged_since,
                after=after,
                limit=limit,
            )
        )

    async def workflow(self, subject: str) -> StoredWorkflow | None:
        """Give a workflow as it would be listed."""
        return await self._read(lambda connection: pages.workflow(connection, subject))

    async def history(
        self, subject: str, *, before: int | None = None, limit: int = HISTORY_PAGE_MAX
    ) -> tuple[HistoryEntry, ...]:
        """Give the newest lines of a workflow's history, in order."""
        return await self._read(
            lambda connection: pages.history(connection, subject, before, limit)
        )

    async def replace_record(
        self,
        record: Record,
        expected: int,
        *,
        timers: Sequence[PendingTimer] = (),
        redeliver: Sequence[Event[Any]] = (),
    ) -> Committed | Conflict:
        """Replace a record that nobody has changed since it was read."""
        writer, to = await self._opened(), ToHandler(record.handler, record.subject)
        owner = self._owner_of([Message(event, to) for event in redeliver])

        def work(connection: sqlite3.Connection) -> tuple[Committed | Conflict, list[Row]]:
            return tables.replace_record(
                connection, record, expected, timers, redeliver, owner, self._now()
            )

        def then(done: tuple[Committed | Conflict, list[Row]]) -> None:
            amended, rows = done
            if isinstance(amended, Committed):
                self._room.add(len(redeliver))
            self._feed.hand_out(map(_handed, rows))

        amended, _ = await writer.do(work, then)
        return amended

    async def ack(self, delivery: Delivery) -> None:
        """Settle a delivery that changed nothing of ours."""
        writer, number = await self._opened(), _number(delivery)
        await writer.do(
            lambda connection: deliveries.settle(connection, number, self.me),
            lambda _: self._settled(delivery),
        )

    async def nack(self, delivery: Delivery, delay: float) -> None:
        """Hand a delivery out again after *delay* seconds."""
        writer, number = await self._opened(), _number(delivery)
        retried = evolve(delivery, attempt=delivery.attempt + 1)
        due = self._now() + int(delay * 1000)
        try:
            mine = await writer.do(
                lambda c: deliveries.nack(c, number, self.me, retried.attempt, due)
            )
        except Unavailable:
            # Still ours in the file: it must not be forgotten here.
            self._feed.settle(delivery)
            self._feed.lanes.put_later(delivery, delay)
            raise
        self._feed.settle(delivery)
        if mine:
            self._feed.lanes.put_later(retried, delay)

    async def dead_letter(self, delivery: Delivery | None, dead_letter: DeadLetter) -> None:
        """Settle a delivery as a dead letter."""
        writer = await self._opened()
        number = None if delivery is None else _number(delivery)

        def work(connection: sqlite3.Connection) -> None:
            if number is None or deliveries.settle(connection, number, self.me):
                tables.write_letter(connection, dead_letter)

        def then(_: None) -> None:
            if delivery is not None:
                self._settled(delivery)

        await writer.do(work, then)

    async def dead_letters(self) -> tuple[DeadLetter, ...]:
        """List the dead letters, oldest first."""
        rows = await self._read(tables.letters)
        return tuple(map(letter_of, rows))

    async def redrive(self, id: str, messages: Sequence[Message]) -> bool:  # noqa: A002 - the port's word
        """Take a dead letter out and send *posts* instead."""
        writer, owner = await self._opened(), self._owner_of(messages)

        def work(connection: sqlite3.Connection) -> list[Row] | None:
            if not tables.take_letter(connection, id):
                return None
            return deliveries.put(connection, messages, self._now(), owner)

        def then(rows: list[Row] | None) -> None:
            if rows is not None:
                self._room.add(len(messages))
                self._feed.hand_out(map(_handed, rows))

        return await writer.do(work, then) is not None

    async def depth(self) -> Depth:
        """Say how much is under way, in all processes."""
        total, delayed, timers = await self._read(
            lambda connection: deliveries.depth(connection, self._now())
        )
        return self._feed.depth(total, delayed, timers)

    async def wait_until_idle(self) -> None:
        """Wait until nothing is under way, in any process."""
        await until_rest(lambda: self._read(deliveries.is_busy))

    async def close(self) -> None:
        """Give back what is not settled, and let nobody wait any more."""
        if self._opening is None:
            return
        await self._feed.stop()
        opening, self._opening = self._opening, None
        with suppress(Unavailable, Corrupt):  # then it was never opened, or the lease will run out
            writer = await opening
            await writer.do(lambda connection: workers.leave(connection, self.me))
            await writer.stop()
        if self._reader is not None:
            self._reader.close()
            self._reader = None
        self._room.close(Unavailable("the backend was closed before it took the event"))

    async def _opened(self) -> Writer:
        """Give the writer; the first to ask opens the file."""
        if self._opening is None:
            self._opening = asyncio.get_running_loop().create_task(self._start())
        try:
            # Not to be cancelled by one of those who wait for it.
            return await asyncio.shield(self._opening)
        except (Unavailable, Corrupt):
            self._opening = None
            raise

    async def _start(self) -> Writer:
        self._loop = asyncio.get_running_loop()
        self.me = str(uuid4())
        # Until it was counted for the first time, which is soon.
        self._room.counted(0)
        lease = Lease(
            me=self.me,
            seconds=self.lease,
            now=self._now,
            keep=self.keep,
            counted=self._counted,
            offered=self._offered,
            lost=self._lost,
        )
        writer = Writer(partial(self._open, lease), lease.tick, TICK_SECONDS)
        await writer.start()
        return writer

    def _open(self, lease: Lease) -> sqlite3.Connection:
        """Open the file, in the writer's thread, and say that we work on it."""
        try:
            connection = open_file(self.path, full_sync=self.full_sync)
            lease.join(connection)
        except sqlite3.Error as error:
            raise told(error) from error
        return connection

    def _counted(self, depth: int) -> None:
        # Heard in the loop, behind all that was written before it was counted: in the writer's
        # thread it would overtake those, and be wrong by as many as are on their way.
        self._in_loop(partial(self._room.counted, depth))

    def _offered(self) -> None:
        self._in_loop(self._feed.news)

    def _lost(self) -> None:
        self._in_loop(self._feed.lanes.forget_ready)
        self._in_loop(self._feed.news)

    def _in_loop(self, function: Callable[[], None]) -> None:
        if self._loop is not None:
            with suppress(RuntimeError):  # closed: nobody works here any more
                self._loop.call_soon_threadsafe(function)

    async def _claim(
        self,
        queues: Mapping[str, int],
        but: Sequence[str],  # noqa: ARG002 - none, without a key_max
    ) -> tuple[list[Delivery], bool]:
        writer = await self._opened()
        rows = await writer.do(
            lambda connection: deliveries.claim(connection, self.me, queues, self._now())
        )
        return list(map(_handed, rows)), False

    def _settled(self, delivery: Delivery) -> None:
        self._feed.settle(delivery)
        self._room.add(-1)

    def _owner_of(self, messages: Sequence[Message]) -> str | None:
        """Say who has new posts: this process, where it serves their lanes and has room."""
        return self.me if self._feed.wants(messages) else None

    async def _read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Read beside the writer, once the file is made."""
        await self._opened()
        if self._reader is None:
            self._reader = Reader(self.path)
        return await self._reader.read(work)

    def _now(self) -> int:
        return milliseconds(self.now())


def _handed(row: Row) -> Delivery:
    return Delivery(row.post, row.attempt, row.id)


def _number(delivery: Delivery) -> int:
    assert isinstance(delivery.token, int)
    return delivery.token
