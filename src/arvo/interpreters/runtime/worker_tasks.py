"""Worker tasks: the tasks of a runtime, which receive deliveries and process them."""

import asyncio
from collections import Counter
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, final

from attrs import define, field

from arvo.core.violations.issue import Issue, short_repr
from arvo.core.violations.violation import ConfigViolation, Violated
from arvo.interpreters.delivery.tasks import end_task, supervise
from arvo.interpreters.memory.backend import MemoryBackend
from arvo.interpreters.ports.backend import Backend
from arvo.interpreters.ports.chains import CommitsChains
from arvo.interpreters.ports.errors import Corrupt, Unavailable
from arvo.interpreters.ports.messages import OUTBOUND_QUEUE, REPLY_QUEUE, Message
from arvo.interpreters.runtime.operations import wait_until_idle
from arvo.interpreters.runtime.requests import Requests
from arvo.interpreters.services.handover import GRACE_SECONDS
from arvo.interpreters.services.sweeps import sweeps_of
from arvo.interpreters.worker.single_tasks import SingleTasks
from arvo.interpreters.worker.tick_loop import TickLoop
from arvo.interpreters.worker.watchdog import Watchdog
from arvo.interpreters.worker.worker import Worker

# Deliveries that one handler processes at the same time, by default.
PREFETCH: Final = 16
# The pause before it is checked again whether all outcomes are recorded.
RECORD_SECONDS: Final = 0.001


@final
@define(eq=False)
class WorkerTasks:
    """The tasks of *worker*, from `start` until `end`, for the queues that *prefetch* names.

    On a backend that commits chains a tick loop serves the handlers and the replies, on any other
    one *prefetch* tasks for each queue do. *requests*: those of this process.
    """

    worker: Worker
    requests: Requests
    prefetch: Mapping[str, int]
    _tasks: dict["asyncio.Task[None]", str] = field(factory=dict, init=False)
    _ticks: TickLoop | None = field(default=None, init=False)
    _watchdog: Watchdog | None = field(default=None, init=False)
    _registering: "asyncio.Task[None] | None" = field(default=None, init=False)
    # The exception of the first task that broke.
    _failure: Exception | None = field(default=None, init=False)

    async def start(self) -> None:
        """Start the tasks."""
        self.worker.stopped.clear()
        self._watchdog = Watchdog(asyncio.get_running_loop(), self.worker.timed_step)
        self._watchdog.start()
        if isinstance(self.worker.backend, MemoryBackend):
            # There is no grace period, so it is registered before any event can be sent.
            await self.worker.directory.register()
        self._start(self.worker.bulkheads.watch(), "arvo bulkheads", OUTBOUND_QUEUE)
        if (sweeps := sweeps_of(self.worker.backend)) is not None:
            self._start(sweeps, "arvo sweeps", OUTBOUND_QUEUE)
        # `stop` need not wait for these.
        self.worker.idle.update(self._tasks)
        numbers = self.prefetch
        if isinstance(self.worker.backend, CommitsChains):
            in_ticks = {queue: it for queue, it in numbers.items() if queue != OUTBOUND_QUEUE}
            ticks = self._ticks = self._make_ticks(self.worker.backend, in_ticks)
            self._start(ticks.run(), "arvo tick loop", REPLY_QUEUE)
            # It starts the calls of listeners, and does not wait for them.
            numbers = {OUTBOUND_QUEUE: 1}
        for queue, number in numbers.items():
            for each in range(number):
                self._start(self.worker.work(queue), f"arvo {queue} {each}", queue)
        self._serve_addresses()

    async def send(self, message: Message) -> bool:
        """Commit a message that enters with its turns; False if it has to be sent by itself."""
        return self._ticks is not None and await self._ticks.send(message)

    async def stop(self, queues: Sequence[str], deadline: float) -> None:
        """Let the tasks of these queues finish their deliveries, and end.

        *deadline*: the time of the loop's clock at which they are cancelled.
        """
        self.worker.stopped.update(queues)
        if self._ticks is not None:
            await self._ticks.stop(queues, deadline)
        ending = {task for task, queue in self._tasks.items() if queue in queues}
        for task in ending & self.worker.idle:
            task.cancel()
        if working := ending - self.worker.idle:
            _, late = await asyncio.wait(working, timeout=_seconds_until(deadline))
            for task in late:
                task.cancel()
        await asyncio.gather(*ending, return_exceptions=True)
        if OUTBOUND_QUEUE in queues:
            await self.worker.bulkheads.close(_seconds_until(deadline))

    def cancel(self) -> None:
        """Cancel all tasks at once."""
        for task in self.all:
            task.cancel()

    async def end(self) -> None:
        """Forget all tasks, which have stopped, and what the worker serves."""
        self._tasks.clear()
        if self._watchdog is not None:
            self._watchdog.stop()
        if self._registering is not None:
            await end_task(self._registering)
        self._ticks = self._failure = None
        # The registration expires with the lease, and the workers have raised what is corrupt.
        with suppress(Unavailable, Corrupt):
            await self.worker.directory.deregister()

    async def wait(self, other: "asyncio.Task[Any]", timeout: float | None = None) -> None:
        """Wait until *other* is done or a task breaks, for *timeout* seconds at most."""
        tasks = {other, *self._tasks}
        await asyncio.wait(tasks, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)

    async def wait_until_idle(self) -> None:
        """Wait until no message is under way, and the tasks have recorded the last outcomes."""
        await wait_until_idle(self.worker.backend)
        # A delivery is settled in the backend before its outcome is counted here.
        busy, idle = set(self.all), self.worker.idle
        while busy := {task for task in busy - idle if not task.done()}:  # noqa: ASYNC110 - asyncio has no event for it
            await asyncio.sleep(RECORD_SECONDS)

    def check(self) -> None:
        """Raise the exception of a task that broke, if any did."""
        if self._failure is not None:
            raise self._failure

    def serve_listeners(self) -> None:
        """Register the listeners, of which some are new, and serve their addresses."""
        if self._tasks:
            # Now: a worker that waits registers nothing, and the others must see its domains.
            work, name = self._register(), "arvo register"
            self._registering = supervise(work, name=name, on_failure=self.fail)
            self._serve_addresses()

    def _serve_addresses(self) -> None:
        """Start a task for the queue of each address that has a listener and no task."""
        for address in self.worker.listeners.addresses:
            if address not in self._tasks.values():
                # One is enough: it starts the calls and does not wait for them.
                self._start(self.worker.work(address), f"arvo {address}", address)

    @property
    def all(self) -> tuple["asyncio.Task[None]", ...]:
        """All tasks, those of single deliveries and those that call listeners included."""
        singles = () if self._ticks is None else tuple(self._ticks.singles.tasks)
        return (*self._tasks, *singles, *self.worker.bulkheads.tasks)

    @property
    def slots(self) -> Mapping[str, tuple[int, int]]:
        """For each queue, the deliveries that are processed by themselves, and the most at once."""
        busy = set(self._tasks) - self.worker.idle
        tasks = {task: self._tasks[task] for task in busy}
        if self._ticks is not None:
            tasks = self._ticks.singles.tasks
        used = Counter(queue for task, queue in tasks.items() if not task.done())
        return {queue: (used[queue], size) for queue, size in self.prefetch.items()}

    @property
    def is_started(self) -> bool:
        """Whether there are tasks, at work or broken."""
        return bool(self._tasks)

    @property
    def is_working(self) -> bool:
        """Whether all tasks are at work: none is stopping, and none broke."""
        return bool(self._tasks) and not self.worker.stopped and self._failure is None

    async def _register(self) -> None:
        # If it is unavailable: it is registered before the next event is received.
        with suppress(Unavailable):
            await self.worker.register()

    def _start(self, work: Coroutine[Any, Any, None], name: str, queue: str) -> None:
        self._tasks[supervise(work, name=name, on_failure=self.fail)] = queue

    def fail(self, error: Exception) -> None:
        """Note that a task broke. After that no request can count on an answer."""
        # Not found in the tasks when it is needed: each `send` would look through all of them.
        self._failure = self._failure or error
        self.requests.fail(error)

    def _make_ticks(self, backend: CommitsChains, prefetch: Mapping[str, int]) -> TickLoop:
        def on_failure(error: Exception) -> None:
            ticks.fail(error)

        requests = self.requests
        ticks = TickLoop(
            worker=self.worker,
            backend=backend,
            singles=SingleTasks(self.worker.process, prefetch, on_failure),
            claim_reply=requests.claim,
            on_reply=requests.on_reply,
            on_unanswered=requests.release,
        )
        return ticks


def tasks_by_queue(addresses: Sequence[str], prefetch: int | Mapping[str, int]) -> dict[str, int]:
    """Return the number of tasks for each queue; raises `Violated` if one is below 1."""
    queues = (*addresses, OUTBOUND_QUEUE, REPLY_QUEUE)
    return {queue: _prefetch_of(queue, prefetch) for queue in queues}


def default_grace(backend: Backend) -> float:
    """Return how long an event waits for a worker that serves it (see `Runtime`)."""
    return 0.0 if isinstance(backend, MemoryBackend) else GRACE_SECONDS


def _seconds_until(deadline: float) -> float:
    return max(0.0, deadline - asyncio.get_running_loop().time())


def _prefetch_of(queue: str, prefetch: int | Mapping[str, int]) -> int:
    number = prefetch.get(queue, PREFETCH) if isinstance(prefetch, Mapping) else prefetch
    if type(number) is not int or number < 1:
        issue = Issue("prefetch", "1 or more, or a mapping of addresses to it", short_repr(number))
        raise Violated(ConfigViolation(f"no worker would serve {queue}", issue))
    return number
