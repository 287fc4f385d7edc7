"""Reports: collects what the effects of one turn report, and publishes it from time to time."""

import asyncio
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from itertools import count
from typing import Any, Final, TypeAlias, final

from attrs import define, field

from arvo.handlers.effect import Perform, Performed
from arvo.handlers.report import REPORTER
from arvo.interpreters.delivery.tasks import supervise
from arvo.interpreters.ports.errors import Corrupt, TooLarge, Unavailable
from arvo.interpreters.ports.messages import Delivery
from arvo.interpreters.reports.channel import ReportChannel
from arvo.interpreters.reports.report import (
    BATCH_BYTES_MAX,
    HEAD_BYTES_MAX,
    NAME_CHARACTERS_MAX,
    Entry,
    encode_batch,
)

# The pause between two batches of a turn: a reader sees ten in a second as one flow.
PUBLISH_SECONDS: Final = 0.1
# How long the end of an effect waits for its last reports to be published.
LAST_SECONDS_MAX: Final = 1.0

# The number of a call in its turn, and the attempt.
_Attempt: TypeAlias = tuple[int, int]


@final
@define(eq=False)
class TurnReports:
    """The reports of the effects of one turn, on their way to *channel*; None drops them.

    *event*: the id of the event whose turn it is. Where reports come faster than they can be
    published, the oldest are dropped.
    """

    channel: ReportChannel | None
    delivery: Delivery
    event: str
    _calls: "count[int]" = field(factory=lambda: count(1), init=False)
    # The attempts that may report; a thread that was abandoned may run on behind its attempt.
    _open: set[_Attempt] = field(factory=set, init=False)
    _waiting: deque[Entry] = field(factory=deque, init=False)
    _bytes: int = field(default=0, init=False)
    # Plain functions report from their threads.
    _lock: threading.Lock = field(factory=threading.Lock, init=False)
    _loop: asyncio.AbstractEventLoop = field(factory=asyncio.get_running_loop, init=False)
    _publishing: "asyncio.Task[None] | None" = field(default=None, init=False)
    # Batches are published one after the other.
    _turn: asyncio.Lock = field(factory=asyncio.Lock, init=False)

    async def perform(
        self, perform: Callable[[Perform[Any]], Awaitable[Performed]], effect: Perform[Any]
    ) -> Performed:
        """Perform an effect, in the task that is made for it, and publish what it reports."""
        if self.channel is None:
            return await perform(effect)
        call = _Call(self, next(self._calls), effect.name[:NAME_CHARACTERS_MAX])
        _CALL.set(call)
        try:
            done = await perform(effect)
        except BaseException:
            # It was cancelled, or never called: what it has reported leads nowhere.
            self._drop(call.number)
            raise
        if self._waiting or self._publishing is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(LAST_SECONDS_MAX):
                    await self._publish_batch()
        return done

    @contextmanager
    def attempt(self, call: "_Call", attempt: int) -> Iterator[None]:
        """Take the reports of one attempt of a call."""
        key, numbers = (call.number, attempt), count(1)

        def take(content: bytes) -> None:
            self._add(key, (*key, call.effect, next(numbers), content))

        with self._lock:
            self._open.add(key)
        token = REPORTER.set(take)
        try:
            yield
        finally:
            REPORTER.reset(token)
            with self._lock:
                self._open.discard(key)

    def close(self) -> None:
        """Publish nothing more."""
        with self._lock:
            self._open.clear()
            self._replace([])
        if self._publishing is not None:
            self._publishing.cancel()

    def _add(self, key: _Attempt, entry: Entry) -> None:
        """Add a report; any thread may call it."""
        with self._lock:
            if key not in self._open:
                return
            is_first = not self._waiting
            self._waiting.append(entry)
            self._bytes += _size(entry)
            while self._bytes > BATCH_BYTES_MAX:
                self._bytes -= _size(self._waiting.popleft())
        if is_first:
            with suppress(RuntimeError):  # the loop is closed, and no watcher would see it
                self._loop.call_soon_threadsafe(self._start)

    def _drop(self, call: int) -> None:
        with self._lock:
            self._replace([entry for entry in self._waiting if entry[0] != call])

    def _replace(self, entries: list[Entry]) -> None:
        self._waiting = deque(entries)
        self._bytes = sum(map(_size, entries))

    def _start(self) -> None:
        if self._publishing is None and self._waiting:
            work = self._publish()
            self._publishing = supervise(work, name="arvo reports", on_failure=lambda _: None)

    async def _publish(self) -> None:
        """Publish what waits, and what comes meanwhile, batch by batch."""
        try:
            while self._waiting:
                await self._publish_batch()
                await asyncio.sleep(PUBLISH_SECONDS)
        finally:
            self._publishing = None

    async def _publish_batch(self) -> None:
        """Publish what waits, behind the batch that is being published."""
        async with self._turn:
            with self._lock:
                entries = tuple(self._waiting)
                self._replace([])
            if entries and self.channel is not None:
                batch = encode_batch(self.event, self.delivery.attempt, entries)
                # A report is not worth the effect that makes it.
                with suppress(Unavailable, Corrupt, TooLarge):
                    await self.channel.publish(self.delivery, batch)


@final
@define(eq=False)
class _Call:
    """One call of an effect in a turn."""

    turn: TurnReports
    number: int
    effect: str


# The call that the current task performs, where its reports have a channel.
_CALL: Final[ContextVar[_Call | None]] = ContextVar("arvo_call", default=None)


@contextmanager
def reporting(attempt: int) -> Iterator[None]:
    """Pass on what the effect that the current task performs reports in this attempt."""
    call = _CALL.get()
    if call is None:
        yield
        return
    with call.turn.attempt(call, attempt):
        yield


def _size(entry: Entry) -> int:
    return HEAD_BYTES_MAX + len(entry[-1])
