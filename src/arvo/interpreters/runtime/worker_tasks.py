"""Worker tasks: the tasks of a runtime, which receive deliveries and process them."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, final

from attrs import define, field

from arvo.core.violations.issue import Issue
from arvo.core.violations.violation import ConfigViolation, Violated
from arvo.interpreters.delivery.tasks import supervise
from arvo.interpreters.memory.backend import MemoryBackend
from arvo.interpreters.ports.backend import Backend
from arvo.interpreters.ports.errors import Corrupt, Unavailable
from arvo.interpreters.ports.messages import OUTBOUND_QUEUE, REPLY_QUEUE
from arvo.interpreters.runtime.operations import wait_until_idle
from arvo.interpreters.runtime.worker import Worker
from arvo.interpreters.services.handover import GRACE_SECONDS

# Deliveries that one handler processes at the same time, by default.
PREFETCH: Final = 16
# The pause before it is checked again whether all outcomes are recorded.
RECORD_SECONDS: Final = 0.001


@final
@define(eq=False)
class WorkerTasks:
    """The tasks of *worker*, from `start` until `stop`. *on_failure* gets the exception of a task
    that breaks.
    """

    worker: Worker
    on_failure: Callable[[Exception], None]
    _tasks: dict["asyncio.Task[None]", str] = field(factory=dict, init=False)

    async def start(self, queues: Mapping[str, int]) -> None:
        """Start the given number of tasks for each queue."""
        self.worker.stopped.clear()
        if isinstance(self.worker.backend, MemoryBackend):
            # There is no grace period, so it is registered before any event can be sent.
            await self.worker.directory.register()
        self._start(self.worker.bulkheads.watch(), "arvo bulkheads", OUTBOUND_QUEUE)
        # `stop` need not wait for that one.
        self.worker.idle.update(self._tasks)
        for queue, number in queues.items():
            for each in range(number):
                self._start(self.worker.work(queue), f"arvo {queue} {each}", queue)
        self.serve_listeners()

    async def stop(self, queues: Sequence[str], deadline: float) -> None:
        """Let the tasks of these queues finish their deliveries, and end.

        *deadline*: the time of the loop's clock at which they are cancelled.
        """
        self.worker.stopped.update(queues)
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
        for task in self._tasks:
            if task.done() and not task.cancelled() and (error := task.exception()) is not None:
                raise error

    def serve_listeners(self) -> None:
        """Start a task for the queue of each address that has got a listener."""
        for address in self.worker.listeners.addresses if self._tasks else ():
            if address not in self._tasks.values():
                # One is enough: it starts the calls and does not wait for them.
                self._start(self.worker.work(address), f"arvo {address}", address)

    @property
    def all(self) -> tuple["asyncio.Task[None]", ...]:
        """All tasks, those that call listeners included."""
        return (*self._tasks, *self.worker.bulkheads.tasks)

    @property
    def is_started(self) -> bool:
        """Whether there are tasks, at work or broken."""
        return bool(self._tasks)

    @property
    def is_working(self) -> bool:
        """Whether all tasks are at work: none is stopping, and none broke."""
        broken = any(task.done() for task in self._tasks)
        return bool(self._tasks) and not self.worker.stopped and not broken

    def _start(self, work: Coroutine[Any, Any, None], name: str, queue: str) -> None:
        self._tasks[supervise(work, name=name, on_failure=self.on_failure)] = queue


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
    number = prefetch if isinstance(prefetch, int) else prefetch.get(queue, PREFETCH)
    if number < 1:
        issue = Issue("prefetch", "1 or more", repr(number))
        raise Violated(ConfigViolation(f"no worker would serve {queue}", issue))
    return number
