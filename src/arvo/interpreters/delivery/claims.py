"""Claims: fills the queues of one process with deliveries from a store that processes share."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, Final, Generic, TypeAlias, TypeVar, final

from attrs import define, field, frozen

from arvo.interpreters.delivery.codec import StoredMessage
from arvo.interpreters.delivery.queues import InProcessQueues
from arvo.interpreters.delivery.tasks import end_task, supervise
from arvo.interpreters.ports.errors import Unavailable
from arvo.interpreters.ports.messages import Delivery, Message, Progress, key_of, queue_of
from arvo.interpreters.ports.results import Depth

W = TypeVar("W")

# Rows of one queue, and of all, that are claimed at once.
CLAIM_MAX: Final = 256
ROWS_MAX: Final = 4_096
# The pause before the next claim when another process competed for the same rows.
CONTEST_SECONDS: Final = 0.005
# The event loop's clock may be ahead of the clock by which a row is due, which counts milliseconds.
CLOCK_SECONDS: Final = 0.002

# `claim(limits, excluded_keys)`: the limits map each queue to the most rows to claim from it. It
# returns the claimed deliveries, and whether another process competed for them.
Claim: TypeAlias = Callable[
    [Mapping[str, int], Sequence[str]], Awaitable[tuple[Sequence[Delivery], bool]]
]


@final
@frozen
class Token(Generic[W]):
    """The worker that owned a delivery when it was received, and the id of its row.

    A worker that was taken for dead goes on under another id: a delivery that it received before is
    not its own any more, also where it has claimed the same row again.
    """

    worker_id: W
    delivery_id: int


def token_of(delivery: Delivery) -> Token[Any]:
    """Return the token of a delivery."""
    assert isinstance(delivery.token, Token)
    return delivery.token


def to_deliveries(worker_id: object, rows: Iterable[StoredMessage]) -> list[Delivery]:
    """Make deliveries of rows that a worker owns."""
    return [
        Delivery(
            row.message,
            row.attempt,
            Token(worker_id, row.id),
            row.deaths,
            Progress(row.progress),
        )
        for row in rows
    ]


@final
@define(eq=False)
class ClaimLoop:
    """Delivers the rows that *claim* returns.

    `claim(limits, excluded_keys)` takes a row limit per queue and the ordering keys to skip; it
    returns the rows that this process now owns, and whether another process competed for them.

    *prefetch*: rows to claim for each delivery that a worker waits for. *keep_max*: how many of the
    messages that this process sends itself it may own without a claim; above that it leaves them to
    other processes. *key_max*: how many rows of one key it claims before their turn, so that one
    busy workflow does not fill the memory of the process. *order_of*: the order in which the store
    accepted a delivery.
    """

    claim: Claim
    prefetch: int
    keep_max: int
    key_max: float
    order_of: Callable[[Delivery], int]
    queues: InProcessQueues = field(factory=InProcessQueues, init=False)
    served: set[str] = field(factory=set, init=False)
    # The queues of handlers with limits.
    limited: set[str] = field(factory=set, init=False)
    # What the callers of `poll` take next, by the function that wakes them.
    _polled: dict[Callable[[], None], Mapping[str, int]] = field(factory=dict, init=False)
    # Queues that may hold unclaimed rows in the store.
    _more: set[str] = field(factory=set, init=False)
    # Keys that the last claims skipped.
    _excluded_keys: set[str] = field(factory=set, init=False)
    _filling: "asyncio.Task[None] | None" = field(default=None, init=False)
    # Deliveries that this process came to own while a claim is under way, None while none is.
    _held: list[Delivery] | None = field(default=None, init=False)
    _wakes: set[asyncio.TimerHandle] = field(factory=set, init=False)

    async def receive(self, queue: str) -> Delivery:
        """Wait for the next delivery of a queue whose key is free, and take it."""
        if queue not in self.served:
            self.served.add(queue)
            self._more.add(queue)
        if queue in self._more:
            # Scheduled, not called: the caller has to wait in the queue before it counts.
            asyncio.get_running_loop().call_soon(self.fill)
        return await self.queues.receive(queue)

    def subscribe(self, queues: Mapping[str, int], on_ready: Callable[[], None]) -> None:
        """See `InProcessQueues.subscribe`; rows of *queues* are claimed when none is ready."""
        self._polled[on_ready] = queues
        self.queues.subscribe(queues, on_ready)
        self._more.update(queues.keys() - self.served)
        self.served.update(queues)

    def unsubscribe(self, on_ready: Callable[[], None]) -> None:
        """End a subscription."""
        self._polled.pop(on_ready, None)
        self.queues.unsubscribe(on_ready)

    def poll(self, queues: Mapping[str, int], limit: int) -> list[Delivery]:
        """Take the ready deliveries of *queues*; claim rows for those that have none."""
        deliveries = self.queues.poll(queues, limit)
        if self._more and len(deliveries) < limit:
            self.fill()
        return deliveries

    def deliver(self, deliveries: Iterable[Delivery]) -> None:
        """Make deliveries ready that this process already owns in the store.

        While a claim is under way they wait for it: it may return earlier messages of their keys,
        which this process then owns, too, but does not have yet.
        """
        if self._held is not None:
            self._held.extend(deliveries)
            return
        for delivery in deliveries:
            self.queues.put(delivery)

    def release(self, delivery: Delivery, followers: Sequence[Delivery] = ()) -> None:
        """Remove a delivery and the first of its followers. One that was received before a `stop`
        is ignored.
        """
        if id(delivery) not in self.queues.taken:
            return
        self.queues.release(delivery, followers)
        self._include_key(delivery)

    def drop(self, delivery: Delivery) -> None:
        """Remove a delivery and all of its followers, which this process does not own any more."""
        if id(delivery) in self.queues.taken:
            self.queues.drop(delivery)
            self._include_key(delivery)

    def _include_key(self, delivery: Delivery) -> None:
        """Claim rows of a key that was skipped, if no delivery of it waits here any more."""
        key = key_of(delivery.message.to)
        if key in self._excluded_keys and not self.queues.blocked_count(key):
            self._excluded_keys.discard(key)
            self._more.add(queue_of(delivery.message.to))
            self.fill()

    def postpone(self, delivery: Delivery, retried: Delivery, delay: float) -> None:
        """Replace a delivery by *retried*, which keeps its key and is ready after *delay* seconds.

        One that was received before a `stop` is ignored.
        """
        if id(delivery) in self.queues.taken:
            self.queues.postpone(delivery, retried, delay)

    def accepts(self, messages: Sequence[Message]) -> bool:
        """Return whether this process should own new messages at once, without a claim.

        True if it serves all of their queues and has room. If False, it will claim them, or leave
        them to another process. Those of *limited* queues it never owns without a claim.
        """
        own = [each for each in messages if queue_of(each.to) not in self.limited]
        has_own = bool(own) or not messages
        if (
            has_own
            and self.queues.ready < self.keep_max
            and all(
                queue_of(message.to) in self.served
                and self.queues.blocked_count(key_of(message.to)) < self.key_max
                for message in own
            )
        ):
            return True
        self._more.update(self.served)
        return False

    def notify(self) -> None:
        """Check all served queues: another process may have stored messages."""
        self._more.update(self.served)
        self.fill()

    def notify_of(self, messages: Iterable[Message]) -> None:
        """Claim new messages of limited handlers: no process owns them."""
        if self.limited and not self.limited.isdisjoint(queue_of(it.to) for it in messages):
            self.notify()

    def notify_after(self, delay: float) -> None:
        """Call `notify` when a row is due that no process owns until then."""

        def on_due() -> None:
            self._wakes.discard(wake)
            self.notify()

        wake = asyncio.get_running_loop().call_later(delay + CLOCK_SECONDS, on_due)
        self._wakes.add(wake)

    def fill(self) -> None:
        """Start to claim rows if a worker waits for one."""
        if self._filling is None and self._claim_limits():
            self._filling = supervise(
                self._claim_loop(), name="arvo claim loop", on_failure=self.queues.fail
            )

    def _claim_limits(self) -> dict[str, int]:
        """Return the row limit for each queue that has waiting workers and may have rows."""
        wanted = self.queues.starving_queues()
        for queues in self._polled.values():
            for queue in self._more & queues.keys():
                if queues[queue] and not self.queues.is_filled(queue):
                    wanted[queue] = wanted.get(queue, 0) + queues[queue]
        names = [queue for queue in wanted if queue in self._more]
        # Of many queues a few rows each: more would fill the memory of the process.
        most = max(1, min(CLAIM_MAX, ROWS_MAX // max(1, len(names))))
        return {
            # A message that waits in this process cannot take the slot that is free in another.
            queue: min(wanted[queue] * (1 if queue in self.limited else self.prefetch), most)
            for queue in names
        }

    async def _claim_loop(self) -> None:
        limits: dict[str, int] = {}
        try:
            while limits := self._claim_limits():
                # Before the claim: a notification that arrives during it asks for another one.
                self._more -= limits.keys()
                excluded_keys = self.queues.crowded_keys(self.key_max)
                self._excluded_keys.update(excluded_keys)
                claimed, is_contested = await self._claim_in_order(limits, excluded_keys)
                # A queue that had rows may have more.
                self._more.update(queue_of(delivery.message.to) for delivery in claimed)
                if is_contested:
                    self._more |= limits.keys()
                # Let the waiting workers take the first rows.
                await asyncio.sleep(CONTEST_SECONDS if is_contested else 0)
        except Exception as error:
            # The next `notify` or `receive` claims again; after a fault it fails again, visibly.
            self._more |= limits.keys()
            if not isinstance(error, Unavailable):
                raise
        finally:
            self._filling = None

    async def _claim_in_order(
        self, limits: Mapping[str, int], excluded_keys: Sequence[str]
    ) -> tuple[Sequence[Delivery], bool]:
        claimed: Sequence[Delivery] = ()
        held = self._held = []
        try:
            claimed, is_contested = await self.claim(limits, excluded_keys)
        finally:
            self._held = None
            self.deliver(sorted([*claimed, *held], key=self.order_of) if held else claimed)
        return claimed, is_contested

    def depth(self, total: int, delayed: int, timers: int) -> Depth:
        """Return the depth, given the counts in the store and the deliveries taken here."""
        taken = len(self.queues.taken)
        ready = max(0, total - taken - delayed)
        return Depth(ready=ready, taken=taken, delayed=delayed, timers=timers)

    def drop_ready(self) -> None:
        """Remove every delivery that is not taken: this process does not own them any more."""
        self.queues.cancel_delays()
        self.queues.clear_ready()
        if self._held is not None:
            self._held.clear()
        self._excluded_keys.clear()
        self._more.update(self.served)

    async def stop(self) -> None:
        """Stop claiming, and forget all deliveries."""
        self._more.clear()
        if self._filling is not None:
            await end_task(self._filling)
        self.queues.cancel_delays()
        self.queues = InProcessQueues()
        self._polled.clear()
        self.served.clear()
        self._more.clear()
        self._excluded_keys.clear()
        for wake in self._wakes:
            wake.cancel()
        self._wakes.clear()
