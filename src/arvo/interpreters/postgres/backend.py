"""Backend: records, queues, timers and dead letters in Postgres, for any number of processes."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar, final

from attrs import define, evolve, field, frozen

from arvo.core.commit import Commit, PendingTimer
from arvo.core.events.event import Event
from arvo.core.history import HistoryEntry
from arvo.core.record import Record, Status
from arvo.interpreters.delivery.backpressure import Room
from arvo.interpreters.delivery.claims import Feed
from arvo.interpreters.delivery.clock import utc_now
from arvo.interpreters.delivery.codec import Row, letter_bytes
from arvo.interpreters.delivery.rest import until_rest
from arvo.interpreters.delivery.retention import Retention
from arvo.interpreters.ports.backend import (
    HISTORY_PAGE_MAX,
    PAGE_MAX,
    CommitResult,
    Committed,
    Conflict,
    DeadLetter,
    Delivery,
    Depth,
    Fenced,
    Message,
    StoredWorkflow,
    Unavailable,
)
from arvo.interpreters.postgres.connection.dsn import Address, Link
from arvo.interpreters.postgres.session.reconnect import Keeper
from arvo.interpreters.postgres.statements import deliveries
from arvo.interpreters.postgres.statements import operations as operate
from arvo.interpreters.postgres.statements import queries as pages
from arvo.interpreters.postgres.statements.write_batch import Unit, Written, commit_unit, sending

T = TypeVar("T")

# Events that may be under way before `send` waits.
QUEUE_MAX: Final = 100_000
# A worker whose lease has run out is taken for dead, and its deliveries are handed to others.
LEASE_SECONDS: Final = 30.0
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
    _keeper: Keeper = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.address = Address.parse(self.url)
        self._feed = Feed(self._claim, ahead=AHEAD, own_max=OWN_MAX, key_max=KEY_MAX)
        self._room = Room(self.queue_max)
        self._keeper = Keeper(self.address, self._feed, self._room, self.now, self.lease, self.keep)

    async def send(self, message: Message) -> None:
        """Take an event from outside; waits while `queue_max` events are under way."""
        if self._room.depth is None:
            self._room.counted(await self._read(lambda c: deliveries.count(c, self.address)))
        await self._room.enough()
        with self._room.entering():
            row = sending(message, self.address.hash)
            await self._write(Unit(sendings=(row,), owns=self._feed.wants([message])))

    async def receive(self, queue: str) -> Delivery:
        """Hand out the next delivery of a lane whose key nobody works on."""
        await self._keeper.opened()
        return await self._feed.receive(queue)

    async def load(self, subject: str) -> Record | None:
        """Give what is remembered of a workflow."""
        return await self._read(lambda c: pages.load(c, self.address, subject))

    async def commit(
        self,
        delivery: Delivery,
        commit: Commit,
        messages: Sequence[Message],
        dead_letters: Sequence[DeadLetter],
    ) -> CommitResult:
        """Apply a commit, send what follows and settle the delivery."""
        unit = commit_unit(
            _token(delivery).number,
            commit,
            messages,
            dead_letters,
            owns=self._feed.wants(messages),
            now=self.now(),
            hashed=self.address.hash,
        )
        applied = await self._write(unit, delivery)
        if isinstance(applied, Committed):
            # Not before: a look that comes too soon finds nothing, and the next one is late.
            self._keeper.due(commit.timers)
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

    async def workflow(self, subject: str) -> StoredWorkflow | None:
        """Give a workflow as it would be listed."""
        return await self._read(lambda c: pages.workflow(c, self.address, subject))

    async def history(
        self, subject: str, *, before: int | None = None, limit: int = HISTORY_PAGE_MAX
    ) -> tuple[HistoryEntry, ...]:
        """Give the newest lines of a workflow's history, in order."""
        return await self._read(lambda c: pages.history(c, self.address, subject, before, limit))

    async def replace_record(
        self,
        record: Record,
        expected: int,
        *,
        timers: Sequence[PendingTimer] = (),
        redeliver: Sequence[Event[Any]] = (),
    ) -> Committed | Conflict:
        """Replace a record that nobody has changed since it was read."""
        session, now = await self._keeper.session(), self.now()
        amendment = operate.Amendment(record, expected, timers, redeliver)
        amended = await session.write(
            lambda c: operate.replace_record(c, self.address, amendment, now)
        )
        self._keeper.due(timers)
        if isinstance(amended, Committed):
            self._room.add(len(redeliver))
        return amended

    async def ack(self, delivery: Delivery) -> None:
        """Settle a delivery that changed nothing of ours."""
        await self._write(Unit(number=_token(delivery).number), delivery)

    async def nack(self, delivery: Delivery, delay: float) -> None:
        """Hand a delivery out again after *delay* seconds."""
        retried = evolve(delivery, attempt=delivery.attempt + 1)
        token, due = _token(delivery), self.now() + timedelta(seconds=delay)
        session, queues = None, self._feed.lanes
        try:
            session = await self._keeper.session()
            me = session.me
            is_mine = me == token.owner and await session.write(
                lambda c: deliveries.nack(c, self.address, me, token.number, retried.attempt, due)
            )
        except Unavailable:
            self._feed.settle(delivery)
            if session is not None and not session.is_lost:
                # Still ours in the database: it must not be forgotten here.
                queues.put_later(delivery, delay)
            # Else it is let go of together with the session, and handed out again by the next one.
            raise
        self._feed.settle(delivery)
        if is_mine:
            queues.put_later(retried, delay)

    async def dead_letter(self, delivery: Delivery | None, dead_letter: DeadLetter) -> None:
        """Settle a delivery as a dead letter."""
        dead_letters = ((dead_letter.id, letter_bytes(dead_letter)),)
        if delivery is None:
            await self._write(Unit(letters=dead_letters))
        else:
            await self._write(Unit(number=_token(delivery).number, letters=dead_letters), delivery)

    async def dead_letters(self) -> tuple[DeadLetter, ...]:
        """List the dead letters, oldest first."""
        return await self._read(lambda c: pages.letters(c, self.address))

    async def redrive(self, id: str, messages: Sequence[Message]) -> bool:  # noqa: A002 - the port's word
        """Take a dead letter out and send *posts* instead."""
        session = await self._keeper.session()
        found = await session.write(lambda c: operate.redrive(c, self.address, id, messages))
        if found:
            self._room.add(len(messages))
        return found

    async def depth(self) -> Depth:
        """Say how much is under way, in all processes."""
        total, delayed, timers = await self._read(
            lambda c: deliveries.depth(c, self.address, self.now())
        )
        return self._feed.depth(total, delayed, timers)

    async def wait_until_idle(self) -> None:
        """Wait until nothing is under way, in any process."""
        await until_rest(lambda: self._read(lambda c: deliveries.is_busy(c, self.address)))

    async def close(self) -> None:
        """Give back what is not settled, and let nobody wait any more."""
        await self._keeper.close()
        self._room.close(Unavailable("the backend was closed before it took the event"))

    async def _write(self, unit: Unit, delivery: Delivery | None = None) -> CommitResult:
        """Write a unit, which settles *delivery* where there is one."""
        session, writer = await self._keeper.opened()
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
        self, queues: Mapping[str, int], but: Sequence[str]
    ) -> tuple[list[Delivery], bool]:
        session, now = await self._keeper.session(), self.now()
        keys = [self.address.hash(key) for key in but]
        rows, is_contested = await session.write(
            lambda c: deliveries.claim(c, self.address, session.me, queues, keys, now)
        )
        return _handed(session.me, rows), is_contested

    async def _read(self, work: Callable[[Link], Awaitable[T]]) -> T:
        return await (await self._keeper.session()).read(work)


def _handed(owner: int, rows: Sequence[Row]) -> list[Delivery]:
    return [Delivery(row.post, row.attempt, Token(owner, row.id)) for row in rows]


def _token(delivery: Delivery) -> Token:
    assert isinstance(delivery.token, Token)
    return delivery.token
