"""Backend: records, queues, timers and dead letters in Postgres, for any number of processes."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar, final

from attrs import define, evolve, field, frozen

from arvo.core.commit import Alarm, Commit
from arvo.core.event import Event
from arvo.core.history import HistoryEntry
from arvo.core.record import Record, Status
from arvo.interpreters.clock import utc_now
from arvo.interpreters.feed import Feed, ended
from arvo.interpreters.ports import (
    HISTORY_PAGE_MAX,
    PAGE_MAX,
    Applied,
    Committed,
    Conflict,
    Corrupt,
    DeadLetter,
    Delivery,
    Depth,
    Fenced,
    Kept,
    Post,
    Unavailable,
)
from arvo.interpreters.postgres import deliveries, operate, pages
from arvo.interpreters.postgres.address import Address, Link
from arvo.interpreters.postgres.group import write
from arvo.interpreters.postgres.pool import has_failed
from arvo.interpreters.postgres.session import Session, open_session
from arvo.interpreters.postgres.unit import Unit, Written, commit_unit, sending
from arvo.interpreters.postgres.watch import Watch
from arvo.interpreters.postgres.writer import Writer
from arvo.interpreters.rest import until_rest
from arvo.interpreters.retention import Retention
from arvo.interpreters.room import Room
from arvo.interpreters.rows import Row, letter_bytes

T = TypeVar("T")

# Events that may be under way before `send` waits.
QUEUE_MAX: Final = 100_000
# A worker whose lease has run out is taken for dead, and its deliveries are handed to others.
LEASE_SECONDS: Final = 30.0
# How long to wait before a server that is not there is asked again.
RETRY_SECONDS: Final = 0.2
# See `Feed`.
AHEAD: Final = 4
OWN_MAX: Final = 500
KEY_MAX: Final = 100
KEEP: Final = Retention()


@final
@frozen
class Token:
    """Whose a delivery was when it was handed out, and its number."""

    owner: int
    number: int


@final
@define(eq=False)
class PostgresBackend:
    """A backend in one schema of a Postgres database.

    *url*: as libpq reads it; its query may also say `schema=...` (`arvo` where it does not),
    `migrate=no` (the tables are there, and stay as they are) and `pooler=yes` (a proxy such as
    PgBouncer hands out connections for a transaction each). *queue_max*: how many events may be
    under way before `send` waits. *now*: the clock that timers go by; leases go by the server's.
    *lease*: seconds after which a process that shows no sign of life is taken for dead; one that
    the server knows to be gone is noticed at once. *keep*: how long what is over is remembered.

    What is committed at once shares one transaction. Each delivery belongs to one process; what a
    process commits after it lost one is refused.
    """

    url: str = field(repr=False)
    queue_max: int = QUEUE_MAX
    now: Callable[[], datetime] = utc_now
    lease: float = LEASE_SECONDS
    keep: Retention = KEEP
    address: Address = field(init=False)
    _feed: Feed = field(init=False)
    _room: Room = field(init=False)
    _opening: "asyncio.Task[tuple[Session, Writer]] | None" = field(default=None, init=False)
    _looking: "asyncio.Task[None] | None" = field(default=None, init=False)
    _watch: Watch | None = field(default=None, init=False)
    _closing: bool = field(default=False, init=False)
    _before: int | None = field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self.address = Address.parse(self.url)
        self._feed = Feed(self._claim, ahead=AHEAD, own_max=OWN_MAX, key_max=KEY_MAX)
        self._room = Room(self.queue_max)

    async def send(self, post: Post) -> None:
        """Take an event from outside; waits while `queue_max` events are under way."""
        if self._room.depth is None:
            self._room.counted(await self._read(lambda c: deliveries.count(c, self.address)))
        await self._room.enough()
        with self._room.entering():
            row = sending(post, self.address.hash)
            await self._write(Unit(sendings=(row,), owns=self._feed.wants([post])))

    async def receive(self, lane: str) -> Delivery:
        """Hand out the next delivery of a lane whose key nobody works on."""
        await self._opened()
        return await self._feed.receive(lane)

    async def load(self, subject: str) -> Record | None:
        """Give what is remembered of a workflow."""
        return await self._read(lambda c: pages.load(c, self.address, subject))

    async def commit(
        self,
        delivery: Delivery,
        commit: Commit,
        posts: Sequence[Post],
        letters: Sequence[DeadLetter],
    ) -> Applied:
        """Apply a commit, send what follows and settle the delivery."""
        unit = commit_unit(
            _token(delivery).number,
            commit,
            posts,
            letters,
            owns=self._feed.wants(posts),
            now=self.now(),
            hashed=self.address.hash,
        )
        applied = await self._write(unit, delivery)
        if isinstance(applied, Committed):
            # Not before: a look that comes too soon finds nothing, and the next one is late.
            self._due(commit.alarms)
        return applied

    async def workflows(
        self,
        *,
        status: Status | None = None,
        handler: str | None = None,
        unchanged_since: datetime | None = None,
        after: Kept | None = None,
        limit: int = PAGE_MAX,
    ) -> tuple[Kept, ...]:
        """List workflows, the one that changed last first."""
        return await self._read(
            lambda c: pages.workflows(
                c,
                self.address,
                status=status,
                handler=handler,
                unchanged_since=unchanged_since,
                after=after,
                limit=limit,
            )
        )

    async def kept(self, subject: str) -> Kept | None:
        """Give a workflow as it would be listed."""
        return await self._read(lambda c: pages.kept(c, self.address, subject))

    async def history(
        self, subject: str, *, before: int | None = None, limit: int = HISTORY_PAGE_MAX
    ) -> tuple[HistoryEntry, ...]:
        """Give the newest lines of a workflow's history, in order."""
        return await self._read(lambda c: pages.history(c, self.address, subject, before, limit))

    async def amend(
        self,
        record: Record,
        expected: int,
        *,
        alarms: Sequence[Alarm] = (),
        again: Sequence[Event[Any]] = (),
    ) -> Committed | Conflict:
        """Replace a record that nobody has changed since it was read."""
        session, now = await self._session(), self.now()
        amendment = operate.Amendment(record, expected, alarms, again)
        amended = await session.write(lambda c: operate.amend(c, self.address, amendment, now))
        self._due(alarms)
        if isinstance(amended, Committed):
            self._room.add(len(again))
        return amended

    async def done(self, delivery: Delivery) -> None:
        """Settle a delivery that changed nothing of ours."""
        await self._write(Unit(number=_token(delivery).number), delivery)

    async def again(self, delivery: Delivery, delay: float) -> None:
        """Hand a delivery out again after *delay* seconds."""
        retried = evolve(delivery, attempt=delivery.attempt + 1)
        token, due = _token(delivery), self.now() + timedelta(seconds=delay)
        session, lanes = None, self._feed.lanes
        try:
            session = await self._session()
            me = session.me
            is_mine = me == token.owner and await session.write(
                lambda c: deliveries.again(c, self.address, me, token.number, retried.attempt, due)
            )
        except Unavailable:
            self._feed.settle(delivery)
            if session is not None and not session.is_lost:
                # Still ours in the database: it must not be forgotten here.
                lanes.put_later(delivery, delay)
            # Else it is let go of together with the session, and handed out again by the next one.
            raise
        self._feed.settle(delivery)
        if is_mine:
            lanes.put_later(retried, delay)

    async def bury(self, delivery: Delivery | None, letter: DeadLetter) -> None:
        """Settle a delivery as a dead letter."""
        letters = ((letter.id, letter_bytes(letter)),)
        if delivery is None:
            await self._write(Unit(letters=letters))
        else:
            await self._write(Unit(number=_token(delivery).number, letters=letters), delivery)

    async def dead_letters(self) -> tuple[DeadLetter, ...]:
        """List the dead letters, oldest first."""
        return await self._read(lambda c: pages.letters(c, self.address))

    async def unbury(self, id: str, posts: Sequence[Post]) -> bool:  # noqa: A002 - the port's word
        """Take a dead letter out and send *posts* instead."""
        session = await self._session()
        found = await session.write(lambda c: operate.unbury(c, self.address, id, posts))
        if found:
            self._room.add(len(posts))
        return found

    async def depth(self) -> Depth:
        """Say how much is under way, in all processes."""
        total, delayed, timers = await self._read(
            lambda c: deliveries.depth(c, self.address, self.now())
        )
        return self._feed.depth(total, delayed, timers)

    async def rest(self) -> None:
        """Wait until nothing is under way, in any process."""
        await until_rest(lambda: self._read(lambda c: deliveries.is_busy(c, self.address)))

    async def close(self) -> None:
        """Give back what is not settled, and let nobody wait any more."""
        looking, self._looking = self._looking, None
        if looking is not None:
            self._closing = True
            if self._watch is not None:
                self._watch.stop()
            await ended(looking)
            self._closing = False
        await self._feed.stop()
        opening, self._opening = self._opening, None
        if opening is not None:
            with suppress(Unavailable, Corrupt):  # then it was never opened
                session, writer = await opening
                if session.is_lost:
                    writer.refuse(Unavailable("the connections to Postgres were lost"))
                await writer.stop()
                await session.close()
        self._before = None
        self._room.close(Unavailable("the backend was closed before it took the event"))

    async def _write(self, unit: Unit, delivery: Delivery | None = None) -> Applied:
        """Write a unit, which settles *delivery* where there is one."""
        session, writer = await self._opened()
        if delivery is not None and _token(delivery).owner != session.me:
            # It was let go of together with the connections by which it came.
            self._feed.settle(delivery)
            return Fenced()

        def then(written: Written) -> None:
            if delivery is not None and not isinstance(written.applied, Conflict):
                self._feed.settle(delivery)
                if not isinstance(written.applied, Fenced):
                    self._room.add(-1)
            if isinstance(written.applied, Committed):
                self._room.add(len(unit.sendings))
            self._feed.hand_out(_handed(session.me, written.rows))

        return (await writer.do(unit, then)).applied

    async def _claim(
        self, lanes: Mapping[str, int], but: Sequence[str]
    ) -> tuple[list[Delivery], bool]:
        session, now = await self._session(), self.now()
        keys = [self.address.hash(key) for key in but]
        rows, is_contested = await session.write(
            lambda c: deliveries.claim(c, self.address, session.me, lanes, keys, now)
        )
        return _handed(session.me, rows), is_contested

    async def _read(self, work: Callable[[Link], Awaitable[T]]) -> T:
        return await (await self._session()).read(work)

    async def _session(self) -> Session:
        return (await self._opened())[0]

    async def _opened(self) -> tuple[Session, Writer]:
        """Give the session; the first to ask opens it, and so does the first after it was lost."""
        if self._opening is not None and self._is_over(self._opening):
            self._opening = None
        if self._opening is None:
            self._opening = asyncio.create_task(self._open(), name="arvo postgres opening")
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look_after(), name="arvo postgres watch")
        # Not to be cancelled by one of those who wait for it.
        return await asyncio.shield(self._opening)

    def _is_over(self, opening: "asyncio.Task[tuple[Session, Writer]]") -> bool:
        if has_failed(opening):
            return True
        if not opening.done():
            return False
        session, writer = opening.result()
        if session.is_lost:
            self._before = session.me
            writer.refuse(Unavailable("the connections to Postgres were lost"))
        return session.is_lost

    async def _open(self) -> tuple[Session, Writer]:
        self._feed.forget()
        try:
            session = await open_session(
                self.address,
                timedelta(seconds=self.lease),
                before=self._before,
                news=self._feed.news,
                lost=self._lost,
            )
        except Unavailable:
            await asyncio.sleep(RETRY_SECONDS)
            raise
        self._before = None

        async def write_group(units: Sequence[Unit]) -> list[Written]:
            async with session.pool.acquire() as connection:
                return await write(connection, self.address, session.me, units, self.now())

        return session, Writer(write_group, session.lose)

    async def _look_after(self) -> None:
        """Look after one session after the other, until the backend is closed.

        Whoever waits for deliveries asks for nothing else, so a session that is lost must be
        followed by another one without being asked for.
        """
        while not self._closing:
            try:
                session, _ = await self._opened()
                await self._watch_over(session)
            except Unavailable:
                continue
            except Corrupt as error:
                self._feed.lanes.fail(error)
                return

    async def _watch_over(self, session: Session) -> None:
        # It may have been opened while this was being closed.
        if self._closing:
            return
        self._watch = Watch(session, self._feed, self._room, self.now, self.lease, self.keep)
        await self._watch.run()
        if session.is_lost:
            await session.drop()

    def _lost(self) -> None:
        if self._watch is not None:
            self._watch.wake()

    def _due(self, alarms: Sequence[Alarm]) -> None:
        """Hear of timers: look when the first is due."""
        if alarms and self._watch is not None:
            self._watch.due(min(alarm.due for alarm in alarms))


def _handed(owner: int, rows: Sequence[Row]) -> list[Delivery]:
    return [Delivery(row.post, row.attempt, Token(owner, row.id)) for row in rows]


def _token(delivery: Delivery) -> Token:
    assert isinstance(delivery.token, Token)
    return delivery.token
