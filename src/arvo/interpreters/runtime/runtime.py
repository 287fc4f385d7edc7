"""Runtime: a client that also processes events: it runs the workers of a system on a backend."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from types import TracebackType
from typing import Any, Final, Self, final

from attrs import evolve

from arvo.core.events.event import Event
from arvo.core.violations.issue import Issue
from arvo.core.violations.violation import ConfigViolation, Violated
from arvo.engine.system.system import System
from arvo.handlers.effect import Retry
from arvo.interpreters.delivery.clock import utc_now
from arvo.interpreters.delivery.tasks import supervise
from arvo.interpreters.memory.backend import MemoryBackend
from arvo.interpreters.ports.backend import Backend
from arvo.interpreters.ports.errors import Corrupt, Unavailable
from arvo.interpreters.ports.messages import OUTBOUND_QUEUE, REPLY_QUEUE
from arvo.interpreters.runtime.client import Client
from arvo.interpreters.runtime.requests import Requests
from arvo.interpreters.runtime.signals import on_interrupt
from arvo.interpreters.runtime.stats import Stats
from arvo.interpreters.runtime.worker import Listener, Worker
from arvo.interpreters.services.handover import GRACE_SECONDS

# Deliveries that one handler processes at the same time, by default.
PREFETCH: Final = 16
# Attempts before an event that could not be processed becomes a dead letter, by default.
DEFAULT_RETRY: Final = Retry(attempts=5, delay=0.05, factor=2.0, jitter=0.5, longest=30.0)
# How long `request` waits for an answer, and `stop` for handlers to finish, by default.
TIMEOUT_SECONDS: Final = 30.0


@final
class Runtime(Client):
    """Delivers events to the handlers of a system, and the events that they emit to their
    destinations.

    *backend*: a URL (`memory:`) or a `Backend`. *prefetch*: how many deliveries each handler
    processes at the same time, one number or one per address. *retry*: the retry policy for events
    that fail for a temporary reason, before they become dead letters. *now*: the clock. *grace*:
    for how many seconds an event of a version that no live worker serves waits for one, before it
    becomes a dead letter; by default 30, and 0 on `memory:`, where all workers are in this process.
    Use it as `async with Runtime(system) as runtime`; leaving the block finishes the deliveries in
    progress and receives no new ones.
    """

    def __init__(
        self,
        system: System,
        backend: str | Backend = "memory:",
        *,
        prefetch: int | Mapping[str, int] = PREFETCH,
        retry: Retry = DEFAULT_RETRY,
        now: Callable[[], datetime] = utc_now,
        grace: float | None = None,
    ) -> None:
        super().__init__(system, backend)
        self._queues = {
            queue: _prefetch_of(queue, prefetch)
            for queue in (*system.addresses, OUTBOUND_QUEUE, REPLY_QUEUE)
        }
        self._requests = Requests(system, self._backend)
        self._tasks: dict[asyncio.Task[None], str] = {}
        self._stats = Stats()
        self._worker = Worker(
            system=system,
            backend=self._backend,
            retry=retry,
            now=now,
            stats=self._stats,
            listeners={},
            on_answered=self._requests.on_answered,
            on_refused=self._requests.on_refused,
            on_duplicate=self._requests.on_duplicate,
            grace=_default_grace(self._backend) if grace is None else grace,
        )

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        self._worker.stopped.clear()
        if isinstance(self._backend, MemoryBackend):
            # There is no grace period, so it is registered before any event can be sent.
            await self._worker.directory.register()
        for queue, prefetch in self._queues.items():
            for number in range(prefetch):
                work, name = self._worker.work(queue), f"arvo {queue} {number}"
                # After a failure no request can count on an answer.
                self._tasks[supervise(work, name=name, on_failure=self._requests.fail)] = queue
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.stop()

    async def serve(self, timeout: float = TIMEOUT_SECONDS) -> None:
        """Run until the process receives SIGTERM or SIGINT, then stop as `stop` does.

        A second signal cancels the handlers that still run. For the main thread, in place of
        `async with`: `asyncio.run(Runtime(system, url).serve())`. Raises the exception of a worker
        that broke, such as `Corrupt`.
        """
        first, second = asyncio.Event(), asyncio.Event()
        with on_interrupt(lambda: (second if first.is_set() else first).set()):
            async with self:
                await self._wait_for(first)
                stopping = asyncio.create_task(self.stop(timeout))
                hurrying = asyncio.create_task(second.wait())
                await asyncio.wait({stopping, hurrying}, return_when=asyncio.FIRST_COMPLETED)
                for task in self._tasks if hurrying.done() else ():
                    task.cancel()
                hurrying.cancel()
                await stopping

    async def _wait_for(self, signal: asyncio.Event) -> None:
        """Wait for a signal, or raise the exception of a worker that breaks first."""
        waiting = asyncio.create_task(signal.wait())
        try:
            await asyncio.wait({waiting, *self._tasks}, return_when=asyncio.FIRST_COMPLETED)
            self._check_running()
        finally:
            waiting.cancel()

    async def stop(self, timeout: float = TIMEOUT_SECONDS) -> None:
        """Receive no more events, finish the deliveries in progress, and close the backend.

        Deliveries that are not finished after *timeout* seconds are cancelled. They were not
        committed, so a durable backend delivers them again.
        """
        deadline = asyncio.get_running_loop().time() + timeout
        # Handlers first: the answers that they still emit have to be delivered.
        await self._end_workers(self.system.addresses, deadline)
        await asyncio.sleep(0)
        await self._end_workers((OUTBOUND_QUEUE, REPLY_QUEUE), deadline)
        self._tasks.clear()
        self._requests.stop()
        # The registration expires with the lease, and the workers have raised what is corrupt.
        with suppress(Unavailable, Corrupt):
            await self._worker.directory.deregister()
        await self._backend.close()

    async def _end_workers(self, queues: Sequence[str], deadline: float) -> None:
        """Let the workers of these queues finish their deliveries, and end."""
        self._worker.stopped.update(queues)
        ending = {task for task, queue in self._tasks.items() if queue in queues}
        for task in ending & self._worker.idle:
            task.cancel()
        if working := ending - self._worker.idle:
            left = max(0.0, deadline - asyncio.get_running_loop().time())
            _, late = await asyncio.wait(working, timeout=left)
            for task in late:
                task.cancel()
        await asyncio.gather(*ending, return_exceptions=True)

    async def send(self, event: Event[Any]) -> None:
        """Send an event into the system. When this returns, the backend has accepted it.

        Waits while the queue is full. Raises `Violated` if no handler has its address, and
        `TooLarge` for an event above 1 MiB, or one that the broker does not accept.
        """
        self._check_running()
        await super().send(event)

    async def request(self, event: Event[Any], timeout: float = TIMEOUT_SECONDS) -> Event[Any]:
        """Send an event, wait for its answer, and return it: the first event back to its sender.

        The answer of a workflow is found even if another process delivered it, or if the event that
        begins it was sent before. The answer of an event handler returns only to the process that
        delivers it.

        Raises `Violated` if the event is refused, and `NoReply` if it was accepted but no answer
        will come: the handler answers nothing, or the runtime stops. After *timeout* seconds it
        raises

        - `Unavailable` if the event was certainly not accepted: the queue had no room,
          or the backend did not answer;
        - `TimeoutError` otherwise. The text says whether the event was accepted and how far it has
          come; if the send was still in progress, the event may have been accepted. The work
          continues. To send the same event again is safe: it is handled once.
        """
        self._check_running()
        self.check(event)
        return await self._requests.ask(event, timeout, self.send)

    def on_domain(self, domain: str | None = None) -> Callable[[Listener], Listener]:
        """Register a listener for the events that leave the system by *domain*; None registers it
        for all domains without a listener of their own.

        Use it as a decorator, with parentheses: `@runtime.on_domain()`. The listener may be
        `async`. When it returns, the event is acknowledged. When it raises, the event is delivered
        again by the retry policy, and then becomes a dead letter: at once for `Violated`, because a
        retry cannot help, and no earlier than `after` seconds for `Unavailable`. An answer to the
        event enters by `send`.

        Raises `Violated` if the domain has a listener already.
        """
        given: object = domain
        if callable(given):
            # Used as `@runtime.on_domain`: the function would become the name of a domain.
            expected = "a domain or None: write `@runtime.on_domain()` with parentheses"
            issue = Issue("domain", expected, f"an object of type {type(given).__name__}")
            raise Violated(ConfigViolation("a listener needs a domain", issue))

        def register(listener: Listener) -> Listener:
            if domain in self._worker.listeners:
                issue = Issue("domain", "one listener for each domain", repr(domain))
                raise Violated(ConfigViolation("this domain already has a listener", issue))
            self._worker.listeners[domain] = listener
            return listener

        return register

    async def drain(self, timeout: float | None = None) -> Stats:
        """Wait until no message is under way, and return the counts of all outcomes.

        It waits out outages of the backend. Raises `TimeoutError` with the depth after *timeout*
        seconds.
        """
        self._check_running()
        idle = asyncio.create_task(self._worker.wait_until_idle(self._tasks))
        try:
            tasks = {idle, *self._tasks}
            await asyncio.wait(tasks, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
            self._check_running()
            if not idle.done():
                raise TimeoutError(f"not idle after {timeout} s: {await self._backend.depth()}")
            await idle
        finally:
            idle.cancel()
        return self.stats()

    def stats(self) -> Stats:
        """Return the counts of all outcomes so far."""
        return evolve(self._stats)

    @property
    def is_working(self) -> bool:
        """Whether it processes events: it was entered, is not stopping, and no worker broke."""
        broken = any(task.done() for task in self._tasks)
        return bool(self._tasks) and not self._worker.stopped and not broken

    def _check_running(self) -> None:
        """Raise `Violated` if it is not running, or the exception of a worker that broke."""
        if not self._tasks:
            issue = Issue("runtime", "`async with Runtime(...)`", "one that is not running")
            raise Violated(ConfigViolation("the runtime is not running", issue))
        for task in self._tasks:
            if task.done() and not task.cancelled() and (error := task.exception()) is not None:
                raise error


def _default_grace(backend: Backend) -> float:
    return 0.0 if isinstance(backend, MemoryBackend) else GRACE_SECONDS


def _prefetch_of(queue: str, prefetch: int | Mapping[str, int]) -> int:
    number = prefetch if isinstance(prefetch, int) else prefetch.get(queue, PREFETCH)
    if number < 1:
        issue = Issue("prefetch", "1 or more", repr(number))
        raise Violated(ConfigViolation(f"no worker would serve {queue}", issue))
    return number
