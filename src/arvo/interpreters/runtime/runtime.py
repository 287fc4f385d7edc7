"""Runtime: a system on a backend, for real."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
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
from arvo.interpreters.ports.backend import OUTBOUND_QUEUE, REPLY_QUEUE, Backend
from arvo.interpreters.runtime.client import Client
from arvo.interpreters.runtime.requests import Requests
from arvo.interpreters.runtime.signals import interrupts
from arvo.interpreters.runtime.stats import Stats
from arvo.interpreters.runtime.worker import Listener, Worker

# Deliveries that one handler works on at a time, where nothing else is said.
PREFETCH: Final = 16
# Tries before an event for which waiting may help is buried.
PATIENCE: Final = Retry(attempts=5, delay=0.05, factor=2.0, jitter=0.5, longest=30.0)
# How long `request` waits and a stop lets handlers finish, where nothing else is said.
TIMEOUT_SECONDS: Final = 30.0


@final
class Runtime(Client):
    """Delivers events to the handlers of a system, and what they emit to where it goes.

    *backend*: a URL (`memory:`) or a `Backend`. *prefetch*: how many deliveries each handler works
    on at a time, one number or one for each address. *retry*: what happens where waiting may help,
    before an event is buried. *now*: the clock. Use it as `async with Runtime(system) as runtime`;
    leaving finishes what is in hand and takes nothing new.
    """

    def __init__(
        self,
        system: System,
        backend: str | Backend = "memory:",
        *,
        prefetch: int | Mapping[str, int] = PREFETCH,
        retry: Retry = PATIENCE,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        super().__init__(system, backend)
        self._lanes = {
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
            answered=self._requests.answered,
            refused=self._requests.refused,
            seen=self._requests.seen,
        )

    async def __aenter__(self) -> Self:
        self._worker.stopped.clear()
        for queue, prefetch in self._lanes.items():
            for number in range(prefetch):
                task = asyncio.create_task(self._worker.work(queue), name=f"arvo {queue} {number}")
                self._tasks[task] = queue
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.stop()

    async def serve(self, timeout: float = TIMEOUT_SECONDS) -> None:
        """Work until the process is told to stop (SIGTERM or SIGINT), then stop as `stop` does.

        Told a second time, it waits for no handler any more. For the main thread, in place of
        `async with`: `asyncio.run(Runtime(system, url).serve())`. Raises what breaks a worker.
        """
        asked, hurried = asyncio.Event(), asyncio.Event()
        with interrupts(lambda: (hurried if asked.is_set() else asked).set()):
            async with self:
                await self._until(asked)
                stopping = asyncio.create_task(self.stop(timeout))
                hurry = asyncio.create_task(hurried.wait())
                await asyncio.wait({stopping, hurry}, return_when=asyncio.FIRST_COMPLETED)
                for task in self._tasks if hurry.done() else ():
                    task.cancel()
                hurry.cancel()
                await stopping

    async def _until(self, asked: asyncio.Event) -> None:
        waiting = asyncio.create_task(asked.wait())
        try:
            await asyncio.wait({waiting, *self._tasks}, return_when=asyncio.FIRST_COMPLETED)
            self._check_running()
        finally:
            waiting.cancel()

    async def stop(self, timeout: float = TIMEOUT_SECONDS) -> None:
        """Take nothing new, finish what is in hand, and close the backend.

        What is not finished after *timeout* seconds is cancelled: it was not committed, so a
        backend that survives delivers it again.
        """
        deadline = asyncio.get_running_loop().time() + timeout
        # Handlers first: what they finish now still has to go home.
        await self._end(self.system.addresses, deadline)
        await asyncio.sleep(0)
        await self._end((OUTBOUND_QUEUE, REPLY_QUEUE), deadline)
        self._tasks.clear()
        self._requests.stop()
        await self._backend.close()

    async def _end(self, queues: Sequence[str], deadline: float) -> None:
        """Let the tasks of these lanes finish what is in hand, and end."""
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
        """Take an event from outside; when this returns, it is the backend's.

        Waits while the queue is full. Raises `Violated` where nobody has its address, `TooLarge`
        where the broker takes no event of that size.
        """
        self._check_running()
        await super().send(event)

    async def request(self, event: Event[Any], timeout: float = TIMEOUT_SECONDS) -> Event[Any]:
        """Send an event and wait for its answer: the first event that goes back to whoever asked.

        The answer of a workflow is found also where another process has carried it home, and where
        the event that begins it was sent before. That of a handler without memory comes back only
        to the process that has taken it home.

        Raises `Violated` where the event is refused, `NoReply` where it was taken and nothing
        comes back (the handler answers nothing, the runtime stops), and `TimeoutError`, which tells
        how far it came, after *timeout* seconds; the work goes on all the same. `Unavailable` where
        it was not even taken in that time, for the queue is full.
        """
        return await self._requests.ask(event, timeout, self.send)

    def on_domain(self, domain: str | None = None) -> Callable[[Listener], Listener]:
        """Hand the events that leave by *domain* to a function; None takes those of all others.

        Used as a decorator, which leaves the function as it was. It may be `async`. An event counts
        as gone when the function returns; when it raises, the event is handed out again by the
        retry policy, and buried in the end: at once where it raises `Violated`, for waiting does
        not help; not before `after` seconds where it raises `Unavailable`. What comes back goes in
        by `send`.
        """

        def listen(listener: Listener) -> Listener:
            if domain in self._worker.listeners:
                issue = Issue("domain", "one listener for each domain", repr(domain))
                raise Violated(ConfigViolation("somebody listens to this domain already", issue))
            self._worker.listeners[domain] = listener
            return listener

        return listen

    async def drain(self, timeout: float | None = None) -> Stats:
        """Wait until nothing is under way, and say what became of everything.

        Raises `TimeoutError` with the depth of the queues after *timeout* seconds.
        """
        self._check_running()
        resting = asyncio.create_task(self._backend.wait_until_idle())
        try:
            await asyncio.wait(
                {resting, *self._tasks}, timeout=timeout, return_when=asyncio.FIRST_COMPLETED
            )
            self._check_running()
            if not resting.done():
                raise TimeoutError(f"not at rest after {timeout} s: {await self._backend.depth()}")
        finally:
            resting.cancel()
        return self.stats()

    def stats(self) -> Stats:
        """Say what became of the events so far."""
        return evolve(self._stats)

    @property
    def is_working(self) -> bool:
        """Whether it takes events: it was entered, is not told to stop, and nothing broke it."""
        broken = any(task.done() for task in self._tasks)
        return bool(self._tasks) and not self._worker.stopped and not broken

    def _check_running(self) -> None:
        """Raise what broke a worker (a corrupt store): going on would hide it."""
        if not self._tasks:
            issue = Issue("runtime", "`async with Runtime(...)`", "one that is not running")
            raise Violated(ConfigViolation("the runtime takes nothing now", issue))
        for task in self._tasks:
            if task.done() and not task.cancelled() and (error := task.exception()) is not None:
                raise error


def _prefetch_of(queue: str, wanted: int | Mapping[str, int]) -> int:
    number = wanted if isinstance(wanted, int) else wanted.get(queue, PREFETCH)
    if number < 1:
        issue = Issue("prefetch", "1 or more", repr(number))
        raise Violated(ConfigViolation(f"{queue} would never be worked on", issue))
    return number
