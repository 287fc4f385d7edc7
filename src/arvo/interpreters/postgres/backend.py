"""Backend: records, queues, timers and dead letters in Postgres, for any number of processes."""

from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any, ClassVar, Final, TypeVar, Unpack, final

from attrs import define, evolve, field

from arvo.core.commit import Commit, PendingTimer
from arvo.core.events.event import Event
from arvo.core.history import HistoryEntry
from arvo.core.record import Record
from arvo.interpreters.codecs.codec import Codec
from arvo.interpreters.codecs.offloaded import data_bytes_max
from arvo.interpreters.codecs.waiting import decoding, encoding, writing
from arvo.interpreters.delivery.audit import AuditQuery, oldest_audit
from arvo.interpreters.delivery.backpressure import Backpressure
from arvo.interpreters.delivery.claims import ClaimLoop, to_deliveries, token_of
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
from arvo.interpreters.postgres.connection.dsn import Connection, Dsn
from arvo.interpreters.postgres.reports.channel import PostgresReports
from arvo.interpreters.postgres.session.batches import BatchWriter, rows_of
from arvo.interpreters.postgres.session.commits import CommitWriter
from arvo.interpreters.postgres.session.limits import SlotAcquirer
from arvo.interpreters.postgres.session.reconnect import SessionManager
from arvo.interpreters.postgres.session.returns import DeliveryReturns
from arvo.interpreters.postgres.session.services import PostgresServices
from arvo.interpreters.postgres.statements import (
    dead_letters,
    deliveries,
    operations,
    queries,
)
from arvo.interpreters.postgres.statements import timers as timer_rows
from arvo.interpreters.postgres.statements.cancellations import pending_cancellation
from arvo.interpreters.postgres.statements.dead_letters import dead_letter_rows
from arvo.interpreters.postgres.statements.write_batch import WriteBatch, delivery_row
from arvo.interpreters.reports.encoded import EncodedReports

T = TypeVar("T")

# Messages that may be under way before `send` waits.
QUEUE_MAX: Final = 100_000
# How long a worker keeps its deliveries without renewing its lease. After that they are released.
LEASE_SECONDS: Final = 30.0
# The limits of `ClaimLoop`.
PREFETCH: Final = 4
KEEP_MAX: Final = 500
KEY_MAX: Final = 100
DEFAULT_RETENTION: Final = Retention()


@final
@define(eq=False)
class PostgresBackend:
    """A backend in one schema of a Postgres database.

    *url*: in the form of libpq. Its query may also hold `schema=...` (`arvo` by default),
    `migrate=no` (the tables exist and are not changed), `pooler=yes` (a proxy such as PgBouncer
    gives each transaction another connection), `lease`, `queue_max` (instead of the parameters),
    `dead_letters_max` and `dead_letters_days` (see `Retention`).
    *queue_max*: the number of messages under way from which `send` waits. *now*: the clock of
    timers; leases go by the server's clock. *lease*: how many seconds a worker keeps its deliveries
    without renewing its lease; those of a process whose connection has ended are released at once.
    *retention*: how long finished work is stored. *codec*: encodes payloads, records and
    checkpoints.

    Concurrent writes share a transaction. A delivery belongs to one worker; a commit for a delivery
    that the worker has lost is refused.
    """

    commits_apart: ClassVar[bool] = False
    url: str = field(repr=False)
    queue_max: int = QUEUE_MAX
    now: Callable[[], datetime] = utc_now
    lease: float = LEASE_SECONDS
    retention: Retention = DEFAULT_RETENTION
    codec: Codec | None = None
    dsn: Dsn = field(init=False)
    services: PostgresServices = field(init=False)
    reports: EncodedReports = field(init=False)
    _claims: ClaimLoop = field(init=False)
    _backpressure: Backpressure = field(init=False)
    _sessions: SessionManager = field(init=False)
    _batches: BatchWriter = field(init=False)
    _commits: CommitWriter = field(init=False)
    _returns: DeliveryReturns = field(init=False)
    _slots: SlotAcquirer = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.dsn = evolve(Dsn.parse(self.url), codec=self.codec)
        self.lease = self.dsn.lease or self.lease
        self.queue_max = self.dsn.queue_max or self.queue_max
        self.retention = self.dsn.limit(self.retention)
        self._claims = ClaimLoop(
            self._claim,
            prefetch=PREFETCH,
            keep_max=KEEP_MAX,
            key_max=KEY_MAX,
            order_of=lambda delivery: token_of(delivery).delivery_id,
        )
        self._backpressure = Backpressure(self.queue_max)
        self._sessions = SessionManager(
            self.dsn, self._claims, self._backpressure, self.now, self.lease, self.retention
        )
        self._batches = BatchWriter(self._sessions, self._claims, self._backpressure)
        self._commits = CommitWriter(self._sessions, self._claims, self._batches, self.now)
        self._returns = DeliveryReturns(self._sessions, self._claims, self.now)
        self._slots = SlotAcquirer(self._sessions, self._claims, self.now)
        self.services = PostgresServices(self._sessions)
        self.reports = EncodedReports(PostgresReports(self._sessions), self.codec)

    def with_codec(self, codec: Codec) -> "PostgresBackend":
        """Return this backend, which was not used yet, with a codec."""
        return evolve(self, codec=codec)

    async def send(self, message: Message) -> None:
        """Accept a message from outside; waits while `queue_max` messages are under way."""
        check_sizes([message], data_bytes_max(self.codec))
        await self.wait_for_room()
        with self._backpressure.reserve():
            row = await encoding(self.codec, partial(delivery_row, message, self.dsn))
            await self._batches.write(
                WriteBatch(deliveries=(row,), claim_own=self._claims.accepts([message]))
            )

    async def wait_for_room(self) -> None:
        """Wait while `queue_max` messages are under way."""
        if self._backpressure.depth is None:
            await self._backpressure.recount(
                lambda: self._read(lambda c: deliveries.count(c, self.dsn))
            )
        await self._backpressure.wait()

    async def receive(self, queue: str) -> Delivery:
        """Return the next delivery of a queue whose ordering key is free; waits for one."""
        await self._sessions.open()
        return await self._claims.receive(queue)

    async def load(self, subject: str) -> Record | None:
        """Read the record of a workflow, None if there is none."""
        return await self._decoded(lambda c: queries.load(c, self.dsn, subject))

    async def commit(
        self,
        delivery: Delivery,
        commit: Commit,
        messages: Sequence[Message],
        dead_letters: Sequence[DeadLetter],
    ) -> CommitResult:
        """Apply a commit, send its messages and acknowledge the delivery, all or nothing."""
        return await self._commits.commit(delivery, commit, messages, dead_letters)

    def subscribe(self, queues: Mapping[str, int], on_ready: Callable[[], None]) -> None:
        """Call *on_ready* when a message of *queues* is ready."""
        self._claims.subscribe(queues, on_ready)

    def unsubscribe(self, on_ready: Callable[[], None]) -> None:
        """End a subscription."""
        self._claims.unsubscribe(on_ready)

    async def poll(self, queues: Mapping[str, int], limit: int) -> list[Delivery]:
        """Return the deliveries of *queues* that are ready and whose key is free."""
        await self._sessions.open()
        return self._claims.poll(queues, limit)

    def followers(self, delivery: Delivery) -> Iterator[Delivery]:
        """Yield the deliveries of this process that wait behind another one of their key."""
        return self._claims.queues.followers(delivery)

    def is_busy(self, key: str, deliveries: Sequence[Delivery]) -> bool:
        """Return whether this process has a delivery of a key besides *deliveries*."""
        return self._claims.queues.is_busy(key, deliveries)

    async def load_all(self, subjects: Sequence[str]) -> dict[str, Record]:
        """Read the records of workflows."""
        return await self._decoded(lambda c: queries.load_all(c, self.dsn, subjects))

    async def commit_chains(self, chains: Sequence[CommitChain]) -> list[bool]:
        """Apply chains in as few transactions as their size allows, each of them all or nothing."""
        return await self._commits.commit_chains(chains)

    def limit(self, queues: Collection[str]) -> None:
        """Own no more messages of *queues* than this process has room for."""
        self._claims.limited.update(queues)

    async def acquire(self, requests: Sequence[SlotRequest]) -> list[bool]:
        """Let deliveries take their slots, or park them."""
        return await self._slots.acquire(requests)

    async def pending_cancellation(self, delivery: Delivery) -> Event[Any] | None:
        """Read the oldest cancellation that a delivery has to yield to."""
        return await self._read(lambda c: pending_cancellation(c, self.dsn, delivery))

    async def checkpoint(self, delivery: Delivery, progress: bytes) -> CheckpointResult:
        """Store the results of a step's effects in the row of its delivery."""
        return await self._batches.checkpoint(delivery, progress)

    async def find_refusal(
        self, delivery: Delivery, expected: int | None
    ) -> Conflict | Duplicate | IdReused | Fenced | None:
        """Return why a turn of this delivery would be refused, None if it would not."""
        return await self._batches.find_refusal(delivery, expected)

    async def find_consumption(self, message: Message) -> Duplicate | IdReused | None:
        """Return the refusal of an event that was consumed before."""
        return await self._batches.find_consumption(message)

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
        return await self._decoded(lambda c: queries.workflows(c, self.dsn, query))

    async def versions(self) -> tuple[VersionUse, ...]:
        """Count the active and the failed workflows by handler and version."""
        return await self._read(lambda c: queries.versions(c, self.dsn))

    async def timers(
        self, *, handler: str | None = None, after: DueTimer | None = None, limit: int = PAGE_MAX
    ) -> tuple[DueTimer, ...]:
        """List the timers that have not fired, the next one first."""
        return await self._decoded(lambda c: timer_rows.page(c, self.dsn, handler, after, limit))

    async def workflow(self, subject: str) -> StoredWorkflow | None:
        """Read one workflow as `workflows` would list it, None if there is none."""
        return await self._decoded(lambda c: queries.workflow(c, self.dsn, subject))

    async def history(
        self, subject: str, *, before: int | None = None, limit: int = HISTORY_PAGE_MAX
    ) -> tuple[HistoryEntry, ...]:
        """Read the newest entries of a workflow's history, in order."""
        return await self._decoded(lambda c: queries.history(c, self.dsn, subject, before, limit))

    async def replace_record(
        self,
        record: Record,
        expected: int,
        *,
        timers: Sequence[PendingTimer] = (),
        redeliver: Sequence[Event[Any]] = (),
    ) -> Committed | Conflict:
        """Replace a record if its revision is *expected*."""
        session, now = await self._sessions.session(), self.now()
        replacement = Replacement(record, expected, timers, redeliver)

        async def replace() -> Committed | Conflict:
            return await session.write(
                lambda c: operations.replace_record(c, self.dsn, replacement, now)
            )

        result = await writing(self.codec, replace)
        self._sessions.schedule(timers)
        if isinstance(result, Committed):
            self._backpressure.add(len(redeliver))
        return result

    async def ack(self, delivery: Delivery) -> None:
        """Remove a delivery that needs no commit."""
        batch = WriteBatch(delivery_ids=rows_of([delivery]), delivery=delivery)
        await self._batches.write(batch, delivery)

    async def nack(self, delivery: Delivery, delay: float) -> None:
        """Deliver a delivery again after *delay* seconds, before the others of its key."""
        await self._returns.nack(delivery, delay)

    async def defer(self, delivery: Delivery, delay: float) -> None:
        """Deliver a delivery again after *delay* seconds; the others of its key pass it."""
        await self._returns.defer(delivery, delay)

    async def mark_started(self, delivery: Delivery) -> bool:
        """Record that this worker processes a delivery that had a death before."""
        return await self._batches.mark_started(delivery)

    async def release(self, delivery: Delivery, delay: float) -> None:
        """Deliver a delivery again after *delay* seconds, to any worker, as the same attempt."""
        await self._returns.release(delivery, delay)

    async def dead_letter(
        self, delivery: Delivery | None, dead_letter: DeadLetter
    ) -> Committed | Fenced:
        """Store a dead letter, and remove its delivery if there is one."""
        delivery_ids = () if delivery is None else rows_of([delivery])
        rows = await encoding(self.codec, partial(dead_letter_rows, [dead_letter], self.dsn))
        batch = WriteBatch(delivery_ids=delivery_ids, delivery=delivery, dead_letters=rows)
        result = await self._batches.write(batch, delivery)
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
        return await self._decoded(lambda c: dead_letters.page(c, self.dsn, query))

    async def dead_letter_groups(
        self, *, limit: int = PAGE_MAX, **filters: Unpack[DeadLetterFilters]
    ) -> tuple[DeadLetterGroup, ...]:
        """Count the dead letters in groups, the largest first."""
        query = DeadLetterQuery(limit=limit, **filters)
        return await self._read(lambda c: dead_letters.groups(c, self.dsn, query))

    async def find_dead_letter(self, id: str) -> DeadLetter | None:  # noqa: A002 - the port's word
        """Return the dead letter with that id."""
        return await self._decoded(lambda c: dead_letters.find(c, self.dsn, id))

    async def redrive(self, id: str, messages: Sequence[Message]) -> bool:  # noqa: A002 - the port's word
        """Remove a dead letter and send *messages*; False if there is none of this id."""
        check_sizes(messages, data_bytes_max(self.codec))
        original = partial(original_messages, messages, id, self.codec)
        messages = await decoding(self.codec, original)
        session = await self._sessions.session()

        async def redrive() -> bool:
            return await session.write(lambda c: operations.redrive(c, self.dsn, id, messages))

        exists = await writing(self.codec, redrive)
        if exists:
            self._backpressure.add(len(messages))
        return exists

    async def referenced(self, keys: Sequence[str]) -> frozenset[str]:
        """Return those of the *keys* of blobs to which anything in the schema refers."""
        return await self._read(lambda c: queries.referenced(c, self.dsn, keys))

    async def blob_owner(self) -> str:
        """Return the id of the schema, to which its blobs belong."""
        return await self._read(lambda c: queries.blob_owner(c, self.dsn))

    async def record_act(self, entry: AuditEntry) -> None:
        """Store what an operator is about to do."""
        session, oldest = await self._sessions.session(), self._oldest_audit()
        await session.write(lambda c: operations.record_act(c, self.dsn, entry, oldest))

    async def audit_log(
        self, *, after: AuditEntry | None = None, limit: int = PAGE_MAX, subject: str | None = None
    ) -> tuple[AuditEntry, ...]:
        """List the acts of operators, newest first."""
        query = AuditQuery(after, limit, subject, self._oldest_audit())
        return await self._read(lambda c: operations.audit_log(c, self.dsn, query))

    async def depth(self) -> Depth:
        """Count the messages under way, in all processes."""
        total, delayed, timers = await self._read(
            lambda c: deliveries.depth(c, self.dsn, self.now())
        )
        return self._claims.depth(total, delayed, timers)

    async def wait_until_idle(self) -> None:
        """Wait until no message is under way, in any process."""
        await poll_until_idle(lambda: self._read(lambda c: deliveries.is_busy(c, self.dsn)))

    async def close(self) -> None:
        """Release the deliveries of this process, close the connections, and end waiting calls."""
        await self._sessions.close()
        self._backpressure.close(Unavailable("the backend was closed before it took the event"))

    def _oldest_audit(self) -> int:
        return oldest_audit(self.retention.audit, to_milliseconds(self.now()))

    async def _claim(
        self, limits: Mapping[str, int], excluded_keys: Sequence[str]
    ) -> tuple[list[Delivery], bool]:
        session, now = await self._sessions.session(), self.now()
        keys = [self.dsn.hash(key) for key in excluded_keys]
        rows, is_contested = await session.write(
            lambda c: deliveries.claim(c, self.dsn, session.worker_id, limits, keys, now)
        )
        return to_deliveries(session.worker_id, rows), is_contested

    async def _decoded(self, work: Callable[[Connection], Awaitable[Callable[[], T]]]) -> T:
        """Read rows, and decode them without their connection: that may wait for a blob."""
        return await decoding(self.codec, await self._read(work))

    async def _read(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        return await (await self._sessions.session()).read(work)
