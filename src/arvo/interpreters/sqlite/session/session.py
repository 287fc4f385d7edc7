"""Session: one process at work on a SQLite file, from the first use until it is closed."""

import asyncio
import os
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from itertools import compress
from math import inf
from typing import Final, TypeVar, final
from uuid import uuid4

from attrs import define, field

from arvo.core.commit import Commit
from arvo.interpreters.codecs.codec import Codec
from arvo.interpreters.codecs.waiting import writing
from arvo.interpreters.delivery.backpressure import Backpressure
from arvo.interpreters.delivery.claims import ClaimLoop, to_deliveries, token_of
from arvo.interpreters.delivery.retention import Retention
from arvo.interpreters.ports.chains import CommitChain
from arvo.interpreters.ports.errors import Corrupt, Unavailable
from arvo.interpreters.ports.messages import DeadLetter, Delivery, Message
from arvo.interpreters.ports.process import check_process
from arvo.interpreters.ports.results import (
    CommitResult,
    Committed,
    Duplicate,
    Fenced,
)
from arvo.interpreters.services.registrations import Registrations
from arvo.interpreters.sqlite.connection.connection import open_file
from arvo.interpreters.sqlite.connection.errors import translate_error
from arvo.interpreters.sqlite.connection.in_place import FileConnection
from arvo.interpreters.sqlite.session.maintenance import TICK_SECONDS, Maintenance
from arvo.interpreters.sqlite.session.reader import Reader
from arvo.interpreters.sqlite.session.writer import Writer
from arvo.interpreters.sqlite.statements import deliveries, limits, workers
from arvo.interpreters.sqlite.statements.chains import write_chains
from arvo.interpreters.sqlite.statements.deliveries import delivery_id
from arvo.interpreters.sqlite.statements.write_batch import WriteBatch, Written, write

T = TypeVar("T")

# The limits of `ClaimLoop`.
PREFETCH: Final = 8
KEEP_MAX: Final = 10_000


@final
@define(eq=False)
class Session:
    """A writer and a reader of one file, opened by the first call that needs them.

    *lease* in seconds, *now* in milliseconds. *claims* is notified when the file holds unclaimed
    deliveries, *backpressure* is updated with their number. A session that is used after `close`
    opens the file again, under another worker id.
    """

    path: str
    full_sync: bool
    queue_max: int
    now: Callable[[], int]
    lease: float
    retention: Retention
    codec: Codec | None = None
    claims: ClaimLoop = field(init=False)
    backpressure: Backpressure = field(init=False)
    services: Registrations = field(factory=Registrations, init=False)
    _opening: "asyncio.Task[Writer] | None" = field(default=None, init=False)
    _reader: Reader | None = field(default=None, init=False)
    _loop: asyncio.AbstractEventLoop | None = field(default=None, init=False)
    maintenance: Maintenance = field(init=False)
    _process: int = field(default=0, init=False)

    def __attrs_post_init__(self) -> None:
        self.claims = ClaimLoop(
            self._claim,
            prefetch=PREFETCH,
            keep_max=KEEP_MAX,
            key_max=inf,
            order_of=delivery_id,
        )
        self.backpressure = Backpressure(self.queue_max)

    async def open(self) -> Writer:
        """Return the writer; the first call opens the file. Raises `Unavailable` or `Corrupt`."""
        if self._opening is not None:
            check_process(self._process, "SqliteBackend")
        else:
            self._process = os.getpid()
            self._opening = asyncio.create_task(self._open(), name="arvo sqlite opening")
        opening = self._opening
        try:
            # Shielded: other callers wait for the same task.
            writer = await asyncio.shield(opening)
        except Exception:
            # Another caller may have begun to open it again.
            if self._opening is opening:
                self._opening = None
            raise
        writer.check_failure()
        return writer

    @property
    def is_open(self) -> bool:
        """True if the file is open, or is being opened."""
        return self._opening is not None

    async def send(self, message: Message) -> None:
        """Write a message when fewer than `queue_max` are under way."""
        writer = await self.open()
        await self.backpressure.wait()
        with self.backpressure.reserve():
            await self._write(writer, self._batch(messages=[message]))

    async def write(
        self,
        delivery: Delivery | None = None,
        commit: Commit | None = None,
        messages: Sequence[Message] = (),
        dead_letters: Sequence[DeadLetter] = (),
    ) -> CommitResult:
        """Write a batch, which removes *delivery* if there is one."""
        writer = await self.open()
        batch = self._batch(delivery, commit, messages, dead_letters)
        return await self._write(writer, batch, delivery)

    async def commit_chains(self, chains: Sequence[CommitChain]) -> list[bool]:
        """Write chains in one transaction, each of them whole or not at all."""
        writer = await self.open()
        messages = [message for chain in chains for message in chain.messages]
        claim_own = self.claims.accepts(messages)
        unowned = frozenset(self.claims.limited)

        def work(connection: sqlite3.Connection) -> tuple[list[bool], list[Delivery]]:
            for chain in chains:
                for commit in chain.commits:
                    self.maintenance.expect_timers(commit.timers)
            worker_id = self.maintenance.worker_id
            owner = worker_id if claim_own else None
            is_written, rows = write_chains(
                connection, chains, worker_id, owner, self.now(), unowned
            )
            written = compress(chains, is_written)
            self.free(connection, held_ids(each for chain in written for each in chain.deliveries))
            return is_written, to_deliveries(worker_id, rows)

        def on_done(done: tuple[list[bool], list[Delivery]]) -> None:
            is_written, rows = done
            added = 0
            for chain in compress(chains, is_written):
                added += len(chain.messages) - len(chain.deliveries)
                if chain.deliveries:
                    self.claims.release(chain.deliveries[0], chain.deliveries[1:])
            self.deliver(rows, added=added)
            written = compress(chains, is_written)
            self.claims.notify_of(message for chain in written for message in chain.messages)

        is_written, _ = await writing(self.codec, lambda: writer.write(work, on_done))
        return is_written

    def _batch(
        self,
        delivery: Delivery | None = None,
        commit: Commit | None = None,
        messages: Sequence[Message] = (),
        dead_letters: Sequence[DeadLetter] = (),
    ) -> WriteBatch:
        token = None if delivery is None else token_of(delivery)
        return WriteBatch(
            worker_id=None if token is None else token.worker_id,
            delivery_id=None if token is None else token.delivery_id,
            delivery=delivery,
            commit=commit,
            messages=tuple(messages),
            dead_letters=tuple(dead_letters),
            claim_own=self.claims.accepts(messages),
            unowned=frozenset(self.claims.limited),
        )

    async def _write(
        self, writer: Writer, batch: WriteBatch, delivery: Delivery | None = None
    ) -> CommitResult:
        def on_done(done: tuple[Written, list[Delivery]]) -> None:
            written, owned = done
            if delivery is not None and isinstance(written.result, Committed | Duplicate | Fenced):
                # The caller first: it caches the record, which the next turn would load otherwise.
                asyncio.get_running_loop().call_soon(self.claims.release, delivery)
                if not isinstance(written.result, Fenced):
                    self.backpressure.add(-1)
            messages = batch.messages if isinstance(written.result, Committed) else ()
            self.deliver(owned, added=len(messages))
            self.claims.notify_of(messages)

        def work(connection: sqlite3.Connection) -> tuple[Written, list[Delivery]]:
            self.maintenance.expect_timers(() if batch.commit is None else batch.commit.timers)
            # Not that of the caller: it may have been replaced since.
            worker_id = self.maintenance.worker_id
            written = write(connection, batch, worker_id, self.now())
            if delivery is not None and isinstance(written.result, Committed | Duplicate):
                self.free(connection, held_ids([delivery]))
            return written, to_deliveries(worker_id, written.rows)

        written, _ = await writing(self.codec, lambda: writer.write(work, on_done))
        return written.result

    def deliver(self, deliveries: Iterable[Delivery], *, added: int) -> None:
        """Count the messages that a write has added, and deliver those that this worker owns."""
        self.backpressure.add(added)
        self.claims.deliver(deliveries)

    def free(self, connection: sqlite3.Connection, held: Sequence[int]) -> None:
        """Free the slots of deliveries, and claim those that this wakes; in the writer's thread."""
        if held and limits.release(connection, held):
            self.on_claimable()

    async def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Call *work* with a connection that only reads, concurrently with the writer."""
        # The reader does not create the file.
        await self.open()
        if self._reader is None:
            self._reader = Reader(self.path, self.codec)
        return await self._reader.read(work)

    async def probe(self) -> None:
        """Write a little; raises `Unavailable` or `Corrupt` where a write would fail."""
        writer = await self.open()
        await writer.write(lambda connection: self.maintenance.probe(connection, self.path))

    async def close(self) -> None:
        """Release the deliveries of this worker, close the file, and end sends that wait."""
        if self._opening is None:
            return
        await self.claims.stop()
        opening, self._opening = self._opening, None
        try:
            with suppress(Unavailable, Corrupt):  # the file was never opened
                await self._close_writer(await opening)
        finally:
            if self._reader is not None:
                self._reader.close()
                self._reader = None
            self.backpressure.close(Unavailable("the backend was closed before it took the event"))

    def on_count(self, count: int) -> None:
        """Update the backpressure with the number of deliveries in the file."""
        # In the event loop, after the callbacks of the writes that came before the count. In the
        # writer's thread it would overtake them, and they would be counted twice.
        self._call_in_loop(partial(self.backpressure.update, count))

    def on_claimable(self) -> None:
        """Claim the unclaimed deliveries in the file."""
        self._call_in_loop(self.claims.notify)

    def on_lost(self) -> None:
        """Drop the deliveries that wait in this process: they have been released in the file."""
        self._call_in_loop(self.claims.drop_ready)
        self._call_in_loop(self.claims.notify)

    async def _close_writer(self, writer: Writer) -> None:
        try:
            # Where this fails, the deliveries are released when the lease expires.
            await writer.write(lambda c: workers.deregister(c, self.maintenance.worker_id))
        finally:
            await writer.stop()

    async def _claim(
        self,
        limits: Mapping[str, int],
        excluded_keys: Sequence[str],  # noqa: ARG002 - always empty, because key_max is infinite
    ) -> tuple[list[Delivery], bool]:
        writer = await self.open()

        def work(connection: sqlite3.Connection) -> list[Delivery]:
            worker_id = self.maintenance.worker_id
            if not workers.is_registered(connection, worker_id):
                return []
            rows = deliveries.claim(connection, worker_id, limits, self.now())
            return to_deliveries(worker_id, rows)

        return await writer.write(work), False

    async def _open(self) -> Writer:
        self._loop = asyncio.get_running_loop()
        # Until the first poll counts the deliveries, which is soon.
        self.backpressure.update(0)
        maintenance = self.maintenance = Maintenance(
            worker_id=str(uuid4()),
            lease=self.lease,
            now=self.now,
            retention=self.retention,
            on_count=self.on_count,
            on_claimable=self.on_claimable,
            on_lost=self.on_lost,
            services=self.services.encode,
        )
        writer = Writer(
            partial(self._connect, maintenance),
            maintenance.tick,
            TICK_SECONDS,
            lambda error: self.claims.queues.fail(error),
            maintenance.seconds_to_timer,
        )
        await writer.start()
        return writer

    def _connect(self, maintenance: Maintenance) -> FileConnection:
        """Open the file and register this worker, in the writer's thread."""
        try:
            connection = open_file(self.path, full_sync=self.full_sync, codec=self.codec)
            try:
                maintenance.register(connection)
            except BaseException:
                connection.close()
                raise
        except sqlite3.Error as error:
            raise translate_error(error) from error
        return connection

    def _call_in_loop(self, function: Callable[[], None]) -> None:
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop is closed
                self._loop.call_soon_threadsafe(function)


def held_ids(settled: Iterable[Delivery]) -> list[int]:
    """Return the rows of those of the deliveries that hold slots of limits."""
    return [delivery_id(delivery) for delivery in settled if delivery.progress.slots]
