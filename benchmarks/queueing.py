"""Queueing: a simulation of workers, a sender and a store, from what each piece of work costs.

Discrete events in virtual milliseconds. Machines have cores, and a process is on one core at a
time; what is to be written waits in its process and goes out in groups, as the Postgres backend's
writer makes them; the store's log is synced by one flush at a time, for all who wait for it.
"""

import heapq
from collections import deque
from collections.abc import Callable
from itertools import count
from typing import Final, TypeAlias, final

from attrs import define, field, frozen

from arvo.interpreters.postgres.backend import AHEAD
from arvo.interpreters.postgres.session.writer import AT_ONCE, GROUP_MAX

Then: TypeAlias = Callable[[], None]
# What a worker process of the benchmark takes in hand at once for each handler.
PREFETCH: Final = 64
# Where what a worker handles of one workflow waits: its start, the service, the reply, the answer.
LANES: Final = ("order", "charge", "order", "home")
STAGES: Final = len(LANES)
# Ways to the server and back in a transaction: begin, take, write, commit.
TRIPS: Final = 4


@final
@frozen(kw_only=True)
class Prices:
    """Milliseconds of CPU for a unit (one event written) and for a transaction, of the process that
    asks and of the store; *sync_ms* of a flush, *trip_ms* of a way there and back.
    """

    worker_unit: float
    worker_transaction: float
    sender_unit: float
    store_unit: float
    store_transaction: float
    sync_ms: float
    trip_ms: float


@final
@frozen(kw_only=True)
class Found:
    """What a simulation came to: workflows and transactions, cores in use, milliseconds taken."""

    a_second: float
    transactions: float
    store_cores: float
    median_ms: float
    late_ms: float


@final
@define(eq=False)
class Time:
    """What happens when."""

    now: float = 0.0
    _due: list[tuple[float, int, Then]] = field(factory=list)
    _order: "count[int]" = field(factory=count)

    def after(self, delay: float, then: Then) -> None:
        """Have something happen."""
        heapq.heappush(self._due, (self.now + delay, next(self._order), then))

    def run(self, until: Callable[[], bool]) -> None:
        """Go on until it is so, or nothing happens any more."""
        while self._due and not until():
            self.now, _, then = heapq.heappop(self._due)
            then()


@final
@define(eq=False)
class Machine:
    """Cores, first come, first served; *speed* is what others leave of each of them."""

    time: Time
    cores: int
    speed: float = 1.0
    busy_ms: float = 0.0
    _busy: int = 0
    _waiting: deque[tuple[float, Then]] = field(factory=deque)

    def burst(self, ms: float, then: Then) -> None:
        """Use a core for so long."""
        if self._busy == self.cores:
            self._waiting.append((ms, then))
            return
        self._busy += 1
        self.busy_ms += ms
        self.time.after(ms / self.speed, lambda: self._end(then))

    def _end(self, then: Then) -> None:
        self._busy -= 1
        if self._waiting:
            self.burst(*self._waiting.popleft())
        then()


@final
@define(eq=False)
class Process:
    """A process of one thread: one thing after another, on any core of its machine."""

    machine: Machine
    _is_busy: bool = False
    _waiting: deque[tuple[float, Then]] = field(factory=deque)

    def burst(self, ms: float, then: Then) -> None:
        """Do something."""
        if self._is_busy:
            self._waiting.append((ms, then))
            return
        self._is_busy = True
        self.machine.burst(ms, lambda: self._end(then))

    def _end(self, then: Then) -> None:
        self._is_busy = False
        then()
        if self._waiting and not self._is_busy:
            self.burst(*self._waiting.popleft())


@final
@define(eq=False)
class Store:
    """A server: CPU for each transaction, one flush at a time, and what nobody has claimed."""

    machine: Machine
    prices: Prices
    queue: deque[float] = field(factory=deque)
    transactions: int = 0
    _flushing: bool = False
    _unsynced: list[Then] = field(factory=list)
    # Those who notify commit one at a time: Postgres holds one lock for all of them until then.
    _notifying: deque[Then] = field(factory=deque)

    def transact(self, units: int, then: Then, *, notifies: bool = False) -> None:
        """Write so many units, and say when they are safe."""
        self.transactions += 1
        prices = self.prices

        def commit() -> None:
            if notifies:
                self._notifying.append(then)
                if len(self._notifying) == 1:
                    self._flush(self._notified)
            else:
                self._flush(then)

        cost = prices.store_transaction + units * prices.store_unit
        self.machine.time.after(TRIPS * prices.trip_ms, lambda: self.machine.burst(cost, commit))

    def _notified(self) -> None:
        self._notifying.popleft()()
        if self._notifying:
            self._flush(self._notified)

    def _flush(self, then: Then) -> None:
        self._unsynced.append(then)
        if not self._flushing:
            self._sync()

    def _sync(self) -> None:
        self._flushing, covered = True, self._unsynced
        self._unsynced = []

        def done() -> None:
            self._flushing = False
            if self._unsynced:
                self._sync()
            for then in covered:
                then()

        self.machine.time.after(self.prices.sync_ms, done)


@final
@define(eq=False)
class Writer:
    """What waits in a process to be written, in groups, two of them at once."""

    process: Process
    store: Store
    notifies: bool = False
    _waiting: deque[Then] = field(factory=deque)
    _under_way: int = 0

    def write(self, then: Then) -> None:
        """Write one unit."""
        self._waiting.append(then)
        self._next()

    def _next(self) -> None:
        if self._under_way == AT_ONCE or not self._waiting:
            return
        self._under_way += 1
        # The group is made when its turn to run has come: until then more may have come to wait.
        self.process.burst(self.store.prices.worker_transaction, self._send)

    def _send(self) -> None:
        group = [self._waiting.popleft() for _ in range(min(GROUP_MAX, len(self._waiting)))]
        if not group:
            self._under_way -= 1
            return

        def done() -> None:
            self._under_way -= 1
            for then in group:
                then()
            self._next()

        self.store.transact(len(group), done, notifies=self.notifies)


@final
@define(eq=False)
class Worker:
    """A process that claims workflows, and takes each through its stages."""

    process: Process
    store: Store
    finished: Callable[[float], None]
    _writer: Writer = field(init=False)
    _ready: dict[str, deque[tuple[float, int]]] = field(init=False)
    _free: dict[str, int] = field(init=False)
    _claiming: bool = False

    def __attrs_post_init__(self) -> None:
        self._writer = Writer(self.process, self.store)
        self._ready = {queue: deque() for queue in LANES}
        self._free = dict.fromkeys(LANES, PREFETCH)

    def news(self) -> None:
        """Claim what there is, where somebody waits for it and nothing is ready."""
        first = LANES[0]
        if self._claiming or self._ready[first] or not self._free[first] or not self.store.queue:
            return
        self._claiming = True
        many = min(len(self.store.queue), self._free[first] * AHEAD)
        claimed = [self.store.queue.popleft() for _ in range(many)]

        def done() -> None:
            self._claiming = False
            for began in claimed:
                self._handle(began, 0)
            self.news()

        # A claim costs a transaction; what it costs for each row is in the units' price.
        asked = self.store.prices.worker_transaction
        self.process.burst(asked, lambda: self.store.transact(0, done))

    def _handle(self, began: float, stage: int) -> None:
        self._ready[LANES[stage]].append((began, stage))
        self._next(LANES[stage])

    def _next(self, queue: str) -> None:
        """Do what is ready, in the tasks that are free."""
        while self._ready[queue] and self._free[queue]:
            self._free[queue] -= 1
            began, stage = self._ready[queue].popleft()
            self._do(queue, began, stage)

    def _do(self, queue: str, began: float, stage: int) -> None:
        def written() -> None:
            self._free[queue] += 1
            if stage + 1 < STAGES:
                self._handle(began, stage + 1)
            else:
                self.finished(began)
            self._next(queue)
            self.news()

        unit = self.store.prices.worker_unit
        self.process.burst(unit, lambda: self._writer.write(written))
