"""Backend: the default one, which stores everything in one SQLite file."""

import sqlite3
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any, ClassVar, Final, Unpack, final

from attrs import define, evolve, field

from arvo.core.commit import Commit, PendingTimer
from arvo.core.events.event import Event
from arvo.core.history import HistoryEntry
from arvo.core.record import Record
from arvo.engine.step.route import ToHandler
from arvo.interpreters.codecs.codec import Codec
from arvo.interpreters.codecs.offloaded import data_bytes_max
from arvo.interpreters.codecs.waiting import decoding, writing
from arvo.interpreters.delivery.audit import AuditQuery, oldest_audit
from arvo.interpreters.delivery.claims import to_deliveries, token_of
from arvo.interpreters.delivery.clock import utc_now
from arvo.interpreters.delivery.codec import original_messages, to_milliseconds
from arvo.interpreters.delivery.operations import DeadLetterQuery, Replacement, WorkflowQuery
from arvo.interpreters.delivery.retention import Retention
from arvo.interpreters.delivery.tasks import poll_until_idle
from arvo.interpreters.limits.port import SlotRequest
from arvo.interpreters.ports.audit import AuditEntry
from arvo.interpreters.ports.chains import CommitChain
from arvo.interpreters.ports.errors import Unavailable
from arvo.interpreters.ports.messages import DeadLetter, Delivery, Message
from arvo.interpreters.ports.results import (
    HISTORY_PAGE_MAX,
    PAGE_MAX,
    CheckpointResult,
    CommitResult,
    Committed,
    Conflict,
    DeadLetterFilters,
    DeadLetterGroup,
    Depth,
    DueTimer,
    Duplicate,
    Fenced,
    IdReused,
    StoredWorkflow,
    VersionUse,
    WorkflowFilters,
)
from arvo.interpreters.ports.size import check_sizes
from arvo.interpreters.reports.encoded import EncodedReports
from arvo.interpreters.sqlite.reports.channel import SqliteReports
from arvo.interpreters.sqlite.session.checkpoints import checkpoint, find_refusal
from arvo.interpreters.sqlite.session.limits import acquire_slots
from arvo.interpreters.sqlite.session.maintenance import LEASE_SECONDS
from arvo.interpreters.sqlite.session.services import SqliteServices
from arvo.interpreters.sqlite.session.session import Session, held_ids
from arvo.interpreters.sqlite.statements import (
    dead_letters,
    deliveries,
    operations,
    queries,
    refusals,
)
from arvo.interpreters.sqlite.statements import timers as timer_rows
from arvo.interpreters.sqlite.statements.cancellations import pending_cancellation

# Messages that may be under way before `send` waits.
QUEUE_MAX: Final = 100_000
DEFAULT_RETENTION: Final = Retention()


@final
@define(eq=False)
class SqliteBackend:
    """Records, queues, timers and dead letters in one SQLite file, for one or more processes.

    *path*: the file; it is created if it does not exist. *full_sync*: True if a commit shall
    survive a power failure; False if it need only survive the end of the process, which is faster.
    *queue_max*: the number of messages under way from which `send` waits. *now*: the clock of
    timers and leases. *lease*: how many seconds a worker keeps its deliveries without renewing its
    lease; after that they are released to other workers. *retention*: how long finished work is
    stored. *codec*: encodes payloads, records and checkpoints.

    One thread writes, and concurrent writes share a transaction. A delivery belongs to one worker;
    a commit for a delivery that the worker has lost is refused.
    """

    commits_apart: ClassVar[bool] = False
    path: str
    full_sync: bool = True
    queue_max: int = QUEUE_MAX
    now: Callable[[], datetime] = utc_now
    lease: float = LEASE_SECONDS
    retention: Retention = DEFAULT_RETENTION
    codec: Codec | None = None
    services: SqliteServices = field(init=False)
    reports: EncodedReports = field(init=False)
    _session: Session = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._session = Session(
            self.path,
            self.full_sync,
            self.queue_max,
            self._now,
            self.lease,
            self.retention,
            self.codec,
        )
        self.services = SqliteServices(self._session, self._now)
        self.reports = EncodedReports(SqliteReports(self._session, self._now), self.codec)

    def with_codec(self, codec: Codec) -> "SqliteBackend":
        """Return this backend, which was not used yet, with a codec."""
        return evolve(self, codec=codec)

    @property
    def worker_id(self) -> str:
        """The id under which this process owns deliveries, once the file is open; another one when
        it is opened again, and after it was taken for dead.
        """
        return self._session.maintenance.worker_id

    async def send(self, message: Message) -> None:
        """Accept a message from outside; waits while `queue_max` messages are under way."""
        check_sizes([message], data_bytes_max(self.codec))
        await self._session.send(message)

    async def wait_for_room(self) -> None:
        """Wait while `queue_max` messages are under way."""
        await self._session.backpressure.wait()

    async def receive(self, queue: str) -> Delivery:
        """Return the next delivery of a queue whose ordering key is free; waits for one."""
        await self._session.open()
        return await self._session.claims.receive(queue)

    async def load(self, subject: str) -> Record | None:
        """Read the record of a workflow, None if there is none."""
        return await self._session.read(lambda c: queries.load(c, subject))

    async def commit(
        self,
        delivery: Delivery,
        commit: Commit,
        messages: Sequence[Message],
        dead_letters: Sequence[DeadLetter],
    ) -> CommitResult:
        """Apply a commit, send its messages and acknowledge the delivery, all or nothing."""
        return await self._session.write(delivery, commit, messages, dead_letters)

    def subscribe(self, queues: Mapping[str, int], on_ready: Callable[[], None]) -> None:
        """Call *on_ready* when a message of *queues* is ready."""
        self._session.claims.subscribe(queues, on_ready)

    def unsubscribe(self, on_ready: Callable[[], None]) -> None:
        """End a subscription."""
        self._session.claims.unsubscribe(on_ready)

    async def poll(self, queues: Mapping[str, int], limit: int) -> list[Delivery]:
        """Return the deliveries of *queues* that are ready and whose key is free."""
        await self._session.open()
        return self._session.claims.poll(queues, limit)

    def followers(self, delivery: Delivery) -> Iterator[Delivery]:
        """Yield the deliveries of this process that wait behind another one of their key."""
        return self._session.claims.queues.followers(delivery)

    def is_busy(self, key: str, deliveries: Sequence[Delivery]) -> bool:
        """Return whether this process has a delivery of a key besides *deliveries*."""
        return self._session.claims.queues.is_busy(key, deliveries)

    async def load_all(self, subjects: Sequence[str]) -> dict[str, Record]:
        """Read the records of workflows."""
        return await self._session.read(lambda c: queries.load_all(c, subjects))

    async def commit_chains(self, chains: Sequence[CommitChain]) -> list[bool]:
        """Apply chains in one transaction, each of them all or nothing."""
        return await self._session.commit_chains(chains)

    def limit(self, queues: Collection[str]) -> None:
        """Own no more messages of *queues* than this process has room for."""
        self._session.claims.limited.update(queues)

    async def acquire(self, requests: Sequence[SlotRequest]) -> list[bool]:
        """Let deliveries take their slots, or park them."""
        return await acquire_slots(self._session, requests)

    async def pending_cancellation(self, delivery: Delivery) -> Event[Any] | None:
        """Read the oldest cancellation that a delivery has to yield to."""
        return await self._session.read(lambda c: pending_cancellation(c, delivery))

    async def checkpoint(self, delivery: Delivery, progress: bytes) -> CheckpointResult:
        """Store the results of a step's effects in the row of its delivery."""
        return await checkpoint(self._session, delivery, progress)

    async def find_refusal(
        self, delivery: Delivery, expected: int | None
    ) -> Conflict | Duplicate | IdReused | Fenced | None:
        """Return why a turn of this delivery would be refused, None if it would not."""
        return await find_refusal(self._session, delivery, expected)

    async def find_consumption(self, message: Message) -> Duplicate | IdReused | None:
        """Return the refusal of an event that was consumed before."""
        return await self._session.read(lambda c: refusals.find_consumption(c, message))

    async def workflows(
        self,
        *,
        handler: str | None = None,
        after: StoredWorkflow | None = None,
        limit: int = PAGE_MAX,
        **filters: Unpack[WorkflowFilters],
    ) -> tuple[StoredWorkflow, ...]:
        """List workflows, the most recently changed first."""
        query = WorkflowQuery(handler, after, limit, **filters)
        return await self._session.read(lambda c: queries.workflows(c, query))

    async def versions(self) -> tuple[VersionUse, ...]:
        """Count the active and the failed workflows by handler and version."""
        return await self._session.read(queries.versions)

    async def timers(
        self, *, handler: str | None = None, after: DueTimer | None = None, limit: int = PAGE_MAX
    ) -> tuple[DueTimer, ...]:
        """List the timers that have not fired, the next one first."""
        return await self._session.read(lambda c: timer_rows.page(c, handler, after, limit))

    async def workflow(self, subject: str) -> StoredWorkflow | None:
        """Read one workflow as `workflows` would list it, None if there is none."""
        return await self._session.read(lambda c: queries.workflow(c, subject))

    async def history(
        self, subject: str, *, before: int | None = None, limit: int = HISTORY_PAGE_MAX
    ) -> tuple[HistoryEntry, ...]:
        """Read the newest entries of a workflow's history, in order."""
        return await self._session.read(lambda c: queries.history(c, subject, before, limit))

    async def replace_record(
        self,
        record: Record,
        expected: int,
        *,
        timers: Sequence[PendingTimer] = (),
        redeliver: Sequence[Event[Any]] = (),
    ) -> Committed | Conflict:
        """Replace a record if its revision is *expected*."""
        writer = await self._session.open()
        replacement = Replacement(record, expected, timers, redeliver)
        to = ToHandler(record.handler, record.subject)
        messages = [Message(event, to) for event in redeliver]
        claim_own = self._session.claims.accepts(messages)

        def on_done(written: tuple[Committed | Conflict, list[Delivery]]) -> None:
            result, owned = written
            sent = messages if isinstance(result, Committed) else []
            self._session.deliver(owned, added=len(sent))
            self._session.claims.notify_of(sent)

        def work(connection: sqlite3.Connection) -> tuple[Committed | Conflict, list[Delivery]]:
            maintenance = self._session.maintenance
            maintenance.expect_timers(timers)
            owner = maintenance.worker_id if claim_own else None
            result, rows = operations.replace_record(connection, replacement, owner, self._now())
            return result, to_deliveries(maintenance.worker_id, rows)

        result, _ = await writing(self.codec, lambda: writer.write(work, on_done))
        return result

    async def ack(self, delivery: Delivery) -> None:
        """Remove a delivery that needs no commit."""
        await self._session.write(delivery)

    async def nack(self, delivery: Delivery, delay: float) -> None:
        """Deliver a delivery again after *delay* seconds, before the others of its key."""
        claims = self._session.claims
        try:
            is_owned = await self._return(delivery, delay, deliveries.nack)
        except Unavailable:
            # This worker still owns it in the file, so no other process would deliver it.
            claims.postpone(delivery, delivery, delay)
            raise
        if is_owned:
            claims.postpone(delivery, delivery.retried, delay)
        else:
            claims.release(delivery)

    async def defer(self, delivery: Delivery, delay: float) -> None:
        """Deliver a delivery again after *delay* seconds; the others of its key pass it."""
        claims = self._session.claims
        try:
            await self._return(delivery, delay, deliveries.defer)
        except Unavailable:
            claims.release(delivery)
            claims.queues.put_delayed(delivery, delay)
            raise
        claims.release(delivery)
        # The file has it unclaimed, so that no process holds its key meanwhile.
        claims.notify_after(delay)

    async def mark_started(self, delivery: Delivery) -> bool:
        """Record that this worker processes a delivery that had a death before."""
        writer, token = await self._session.open(), token_of(delivery)
        is_owned = await writer.write(
            lambda c: deliveries.mark_started(c, token.delivery_id, token.worker_id)
        )
        if not is_owned:
            self._session.claims.release(delivery)
        return is_owned

    async def release(self, delivery: Delivery, delay: float) -> None:
        """Deliver a delivery again after *delay* seconds, to any worker, as the same attempt."""
        token, due = token_of(delivery), self._now() + int(delay * 1000)
        held = _give_up(delivery)

        def work(connection: sqlite3.Connection) -> None:
            if deliveries.release(connection, token.delivery_id, token.worker_id, due):
                self._session.free(connection, held)

        try:
            writer = await self._session.open()
            await writer.write(work)
        except Unavailable:
            # This worker still owns it in the file.
            self._session.claims.postpone(delivery, delivery, delay)
            raise
        self._session.claims.drop(delivery)

    async def dead_letter(
        self, delivery: Delivery | None, dead_letter: DeadLetter
    ) -> Committed | Fenced:
        """Store a dead letter, and remove its delivery if there is one."""
        result = await self._session.write(delivery, dead_letters=[dead_letter])
        assert isinstance(result, Committed | Fenced)
        return result

    async def dead_letters(
        self,
        *,
        after: DeadLetter | None = None,
        limit: int = PAGE_MAX,
        **filters: Unpack[DeadLetterFilters],
    ) -> tuple[DeadLetter, ...]:
        """List the dead letters, oldest first."""
        query = DeadLetterQuery(after, limit, **filters)
        return await self._session.read(lambda c: dead_letters.page(c, query))

    async def dead_letter_groups(
        self, *, limit: int = PAGE_MAX, **filters: Unpack[DeadLetterFilters]
    ) -> tuple[DeadLetterGroup, ...]:
        """Count the dead letters in groups, the largest first."""
        query = DeadLetterQuery(limit=limit, **filters)
        return await self._session.read(lambda c: dead_letters.groups(c, query))

    async def find_dead_letter(self, id: str) -> DeadLetter | None:  # noqa: A002 - the port's word
        """Return the dead letter with that id."""
        return await self._session.read(lambda c: dead_letters.find(c, id))

    async def redrive(self, id: str, messages: Sequence[Message]) -> bool:  # noqa: A002 - the port's word
        """Remove a dead letter and send *messages*; False if there is none of this id."""
        check_sizes(messages, data_bytes_max(self.codec))
        writer = await self._session.open()
        claim_own = self._session.claims.accepts(messages)
        original = partial(original_messages, messages, id, self.codec)
        messages = await decoding(self.codec, original)

        def on_done(owned: list[Delivery] | None) -> None:
            if owned is not None:
                self._session.deliver(owned, added=len(messages))
                self._session.claims.notify_of(messages)

        def work(connection: sqlite3.Connection) -> list[Delivery] | None:
            worker_id = self._session.maintenance.worker_id
            owner = worker_id if claim_own else None
            rows = operations.redrive(connection, id, messages, owner, self._now())
            return None if rows is None else to_deliveries(worker_id, rows)

        rows = await writing(self.codec, lambda: writer.write(work, on_done))
        return rows is not None

    async def referenced(self, keys: Sequence[str]) -> frozenset[str]:
        """Return those of the *keys* of blobs to which anything in the file refers."""
        return await self._session.read(lambda c: queries.referenced(c, keys))

    async def blob_owner(self) -> str:
        """Return the id of the file, to which its blobs belong."""
        return await self._session.read(queries.blob_owner)

    async def record_act(self, entry: AuditEntry) -> None:
        """Store the act that an operator is about to do."""
        writer, oldest = await self._session.open(), oldest_audit(self.retention.audit, self._now())
        await writer.write(lambda c: operations.record_act(c, entry, oldest))

    async def audit_log(
        self, *, after: AuditEntry | None = None, limit: int = PAGE_MAX, subject: str | None = None
    ) -> tuple[AuditEntry, ...]:
        """List the acts of operators, newest first."""
        oldest = oldest_audit(self.retention.audit, self._now())
        query = AuditQuery(after, limit, subject, oldest)
        return await self._session.read(lambda c: operations.audit_log(c, query))

    async def depth(self) -> Depth:
        """Count the messages under way, in all processes."""
        total, delayed, timers = await self._session.read(
            lambda c: deliveries.depth(c, self._now())
        )
        return self._session.claims.depth(total, delayed, timers)

    async def ping(self) -> None:
        """Write a little, as every send does: a file on a full disk can still be read."""
        await self._session.probe()

    async def wait_until_idle(self) -> None:
        """Wait until no message is under way, in any process."""
        await poll_until_idle(lambda: self._session.read(deliveries.is_busy))

    async def close(self) -> None:
        """Release the deliveries of this process, close the file, and end calls that wait."""
        await self._session.close()

    async def _return(
        self,
        delivery: Delivery,
        delay: float,
        change: Callable[[sqlite3.Connection, int, str, int, int], bool],
    ) -> bool:
        """Write the next attempt of a delivery; False if this worker no longer owns it."""
        writer, token = await self._session.open(), token_of(delivery)
        attempt, due = delivery.retried.attempt, self._now() + int(delay * 1000)
        held = _give_up(delivery)

        def work(connection: sqlite3.Connection) -> bool:
            is_owned = change(connection, token.delivery_id, token.worker_id, attempt, due)
            if is_owned:
                self._session.free(connection, held)
            return is_owned

        return await writer.write(work)

    def _now(self) -> int:
        return to_milliseconds(self.now())


def _give_up(delivery: Delivery) -> list[int]:
    """Return the row of a delivery that holds slots of limits: from now on it holds none.

    Where the answer is lost, the next attempt acquires them anew.
    """
    held, delivery.progress.slots = held_ids([delivery]), None
    return held
