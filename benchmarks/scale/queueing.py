"""Queueing: a simulation of workers, senders and a store, from the cost of each operation.

A process runs on one core at a time. Its writes wait and go out in groups, as the writer of the
Postgres backend makes them. The store syncs its log for one flush at a time, and each flush covers
all transactions that wait for it.
"""

from collections import deque
from collections.abc import Callable
from typing import Final, final

from attrs import define, field, frozen

from arvo.interpreters.postgres.backend import PREFETCH as ROWS_PER_TASK
from arvo.interpreters.postgres.session.writer import CONCURRENCY, GROUP_MAX
from benchmarks.scale.resources import Callback, Machine, Process

# The deliveries that a worker process of the benchmark prefetches for each handler.
PREFETCH: Final = 64
# The queues of one workflow in a worker: its start, the service, the reply, the answer.
QUEUES: Final = ("order", "charge", "order", "reply")
STAGES: Final = len(QUEUES)
# Round trips to the server in a transaction: begin, claim, write, commit.
ROUND_TRIPS: Final = 4


@final
@frozen(kw_only=True)
class Prices:
    """The cost of one unit (one written event) and of one transaction, in milliseconds.

    *worker_…*, *sender_…* and *store_…*: CPU time of that process. *sync_ms*: time of one flush.
    *trip_ms*: time of one round trip between a process and the store.
    """

    worker_unit: float
    worker_transaction: float
    sender_unit: float
    store_unit: float
    store_transaction: float
    sync_ms: float
    trip_ms: float


@final
@define(eq=False)
class Store:
    """A database server: CPU time for each transaction, one flush at a time, and unclaimed work.

    *queue*: the start times of the workflows that no worker has claimed.
    """

    machine: Machine
    prices: Prices
    queue: deque[float] = field(factory=deque)
    transactions: int = 0
    _is_flushing: bool = False
    _unsynced: list[Callback] = field(factory=list)
    # Transactions with NOTIFY commit one at a time: Postgres holds one lock for all of them.
    _notifying: deque[Callback] = field(factory=deque)

    def transact(self, units: int, callback: Callback, *, notifies: bool = False) -> None:
        """Write *units* in one transaction, and call *callback* when they are durable."""
        self.transactions += 1
        prices = self.prices

        def commit() -> None:
            if notifies:
                self._notifying.append(callback)
                if len(self._notifying) == 1:
                    self._flush(self._finish_notify)
            else:
                self._flush(callback)

        cost = prices.store_transaction + units * prices.store_unit
        delay = ROUND_TRIPS * prices.trip_ms
        self.machine.clock.call_later(delay, lambda: self.machine.use_core(cost, commit))

    def _finish_notify(self) -> None:
        self._notifying.popleft()()
        if self._notifying:
            self._flush(self._finish_notify)

    def _flush(self, callback: Callback) -> None:
        self._unsynced.append(callback)
        if not self._is_flushing:
            self._sync()

    def _sync(self) -> None:
        self._is_flushing, covered = True, self._unsynced
        self._unsynced = []

        def finish() -> None:
            self._is_flushing = False
            if self._unsynced:
                self._sync()
            for callback in covered:
                callback()

        self.machine.clock.call_later(self.prices.sync_ms, finish)


@final
@define(eq=False)
class Writer:
    """The writes of one process, sent in groups, with at most CONCURRENCY groups in progress."""

    process: Process
    store: Store
    notifies: bool = False
    _waiting: deque[Callback] = field(factory=deque)
    _in_progress: int = 0

    def write(self, callback: Callback) -> None:
        """Write one unit, and call *callback* when it is durable."""
        self._waiting.append(callback)
        self._start_group()

    def _start_group(self) -> None:
        if self._in_progress == CONCURRENCY or not self._waiting:
            return
        self._in_progress += 1
        # The group is filled when the process gets to it: more writes may wait by then.
        self.process.compute(self.store.prices.worker_transaction, self._send_group)

    def _send_group(self) -> None:
        group = [self._waiting.popleft() for _ in range(min(GROUP_MAX, len(self._waiting)))]
        if not group:
            self._in_progress -= 1
            return

        def finish() -> None:
            self._in_progress -= 1
            for callback in group:
                callback()
            self._start_group()

        self.store.transact(len(group), finish, notifies=self.notifies)


@final
@define(eq=False)
class Worker:
    """A process that claims workflows and takes each of them through its stages.

    *on_finished* gets the start time of a finished workflow.
    """

    process: Process
    store: Store
    on_finished: Callable[[float], None]
    _writer: Writer = field(init=False)
    _ready: dict[str, deque[tuple[float, int]]] = field(init=False)
    _free: dict[str, int] = field(init=False)
    _is_claiming: bool = False

    def __attrs_post_init__(self) -> None:
        self._writer = Writer(self.process, self.store)
        self._ready = {queue: deque() for queue in QUEUES}
        self._free = dict.fromkeys(QUEUES, PREFETCH)

    def claim(self) -> None:
        """Claim workflows if the store has some, a task is free and none is ready."""
        first = QUEUES[0]
        if self._is_claiming or self._ready[first] or not self._free[first] or not self.store.queue:
            return
        self._is_claiming = True
        number = min(len(self.store.queue), self._free[first] * ROWS_PER_TASK)
        claimed = [self.store.queue.popleft() for _ in range(number)]

        def finish() -> None:
            self._is_claiming = False
            for started in claimed:
                self._enqueue(started, 0)
            self.claim()

        # A claim costs one transaction; the cost of each row is part of the price of a unit.
        cost = self.store.prices.worker_transaction
        self.process.compute(cost, lambda: self.store.transact(0, finish))

    def _enqueue(self, started: float, stage: int) -> None:
        self._ready[QUEUES[stage]].append((started, stage))
        self._fill(QUEUES[stage])

    def _fill(self, queue: str) -> None:
        """Handle what is ready in *queue* with the tasks that are free."""
        while self._ready[queue] and self._free[queue]:
            self._free[queue] -= 1
            started, stage = self._ready[queue].popleft()
            self._handle(queue, started, stage)

    def _handle(self, queue: str, started: float, stage: int) -> None:
        def finish() -> None:
            self._free[queue] += 1
            if stage + 1 < STAGES:
                self._enqueue(started, stage + 1)
            else:
                self.on_finished(started)
            self._fill(queue)
            self.claim()

        cost = self.store.prices.worker_unit
        self.process.compute(cost, lambda: self._writer.write(finish))
