"""Runtime: a system on a backend, for real."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from types import TracebackType
from typing import Any, Final, Self, final

from attrs import evolve

from arvo.core.event import Event
from arvo.core.issue import Issue
from arvo.core.record import Record
from arvo.core.violation import ConfigViolation, ExecutionViolation, Violated
from arvo.engine.query import query
from arvo.engine.route import Home, Inside, Nowhere, Outside, askers, route
from arvo.engine.system import System
from arvo.engine.tree import Tree
from arvo.handlers.effect import Retry
from arvo.interpreters.clock import utc_now
from arvo.interpreters.connect import connect
from arvo.interpreters.control import cancellation, grown, migrated, remembered
from arvo.interpreters.ports import HOME, OUTSIDE, Backend, DeadLetter, Post, Reachable, Unanswered
from arvo.interpreters.request import Request, answer_subject
from arvo.interpreters.stats import Stats
from arvo.interpreters.worker import Listener, Worker

# Deliveries that one handler works on at a time, where nothing else is said.
PREFETCH: Final = 16
# Tries before an event for which waiting may help is buried.
PATIENCE: Final = Retry(attempts=5, delay=0.05, factor=2.0, jitter=0.5, longest=30.0)
# How long `request` waits and a stop lets handlers finish, where nothing else is said.
TIMEOUT_SECONDS: Final = 30.0


@final
class Runtime:
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
        self.system = system
        self._backend = connect(backend)
        self._lanes = {
            lane: _prefetch_of(lane, prefetch) for lane in (*system.addresses, OUTSIDE, HOME)
        }
        self._requests: dict[tuple[str, str], Request] = {}
        self._tasks: dict[asyncio.Task[None], str] = {}
        self._stats = Stats()
        self._worker = Worker(
            system=system,
            backend=self._backend,
            retry=retry,
            now=now,
            stats=self._stats,
            listeners={},
            answered=self._answered,
            refused=self._refused,
            seen=self._seen,
        )

    async def __aenter__(self) -> Self:
        self._worker.stopped.clear()
        for lane, prefetch in self._lanes.items():
            for number in range(prefetch):
                task = asyncio.create_task(self._worker.work(lane), name=f"arvo {lane} {number}")
                self._tasks[task] = lane
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.stop()

    async def stop(self, timeout: float = TIMEOUT_SECONDS) -> None:
        """Take nothing new, finish what is in hand, and close the backend.

        What is not finished after *timeout* seconds is cancelled: it was not committed, so a
        backend that survives delivers it again.
        """
        deadline = asyncio.get_running_loop().time() + timeout
        # Handlers first: what they finish now still has to go home.
        await self._end(self.system.addresses, deadline)
        await asyncio.sleep(0)
        await self._end((OUTSIDE, HOME), deadline)
        self._tasks.clear()
        for request in self._requests.values():
            if not request.answer.done():
                said = f"the runtime stopped before event {request.event.id!r} was answered"
                request.answer.set_exception(Unanswered(said))
                # Nobody may be left to hear it, and an exception that is never heard is printed.
                request.answer.exception()
        await self._backend.close()

    async def _end(self, lanes: Sequence[str], deadline: float) -> None:
        """Let the tasks of these lanes finish what is in hand, and end."""
        self._worker.stopped.update(lanes)
        ending = {task for task, lane in self._tasks.items() if lane in lanes}
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

        Waits while the queue is full. Raises `Violated` where nobody has its address.
        """
        self._check_running()
        await self._backend.send(Post(event, self._reachable(event)))

    async def request(self, event: Event[Any], timeout: float = TIMEOUT_SECONDS) -> Event[Any]:
        """Send an event and wait for its answer: the first event that goes back to whoever asked.

        Raises `Violated` where the event is refused, `Unanswered` where it was taken and nothing
        comes back (the handler answers nothing, the runtime stops), and `TimeoutError`, which tells
        how far it came, after *timeout* seconds; the work goes on all the same.
        """
        key = event.id, answer_subject(event)
        if key in self._requests:
            issue = Issue("id", "an id that nobody waits for yet", repr(event.id))
            raise Violated(ExecutionViolation("this event is being requested already", issue))
        request = Request(event, asyncio.get_running_loop().create_future())
        self._requests[key] = request
        try:
            async with asyncio.timeout(timeout):
                await self.send(event)
                return await request.answer
        except TimeoutError:
            raise TimeoutError(await self._how_far(event, timeout)) from None
        finally:
            del self._requests[key]

    def on_domain(self, domain: str | None = None) -> Callable[[Listener], Listener]:
        """Hand the events that leave by *domain* to a function; None takes those of all others.

        Used as a decorator, which leaves the function as it was. It may be `async`. An event counts
        as gone when the function returns; when it raises, the event is handed out again by the
        retry policy, and buried in the end. What comes back goes in by `send`.
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
        resting = asyncio.create_task(self._backend.rest())
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

    async def record(self, subject: str) -> Record | None:
        """Give what is remembered of a workflow."""
        return await self._backend.load(subject)

    async def query(self, subject: str) -> Any:
        """Say what a workflow remembers, in the form that its handler gives it (see `arvo.query`).

        Raises `Violated` where nothing is remembered of it, or what is does not fit any more.
        """
        return query(self.system, await remembered(self._backend, subject))

    async def tree(self, subject: str) -> Tree:
        """Give the whole tree of workflows that one belongs to (see `arvo.tree`)."""
        return await grown(self._backend, subject)

    async def cancel(self, subject: str, reason: str) -> None:
        """Cancel a workflow: its last turn, in which it undoes what it did, and cancels its
        children. Whoever began it is told by a system error named `Cancelled`.

        Raises `Violated` where *subject* names no workflow of this system; one that has ended stays
        as it is.
        """
        await self.send(cancellation(self.system, subject, reason))

    async def migrate(
        self, subject: str, *, to: str, state: Callable[[Any], Any] | None = None
    ) -> Record:
        """Move a workflow that is under way to another version (see `arvo.migrate`).

        It acts between two turns: one that is in hand meanwhile is taken again on what it then
        finds. Gives the record as it is now; raises `Violated` where it cannot move.
        """
        return await migrated(self.system, self._backend, subject, to=to, state=state)

    async def dead_letters(self) -> tuple[DeadLetter, ...]:
        """List the events that nobody could take, oldest first."""
        return await self._backend.dead_letters()

    async def retry(self, id: str) -> None:  # noqa: A002 - the letter's name
        """Send a dead letter's event again; raises `Violated` where there is no such letter."""
        letter = next((each for each in await self.dead_letters() if each.id == id), None)
        if letter is None:
            raise _no_letter(id)
        to = letter.to or self._reachable(letter.event)
        if not await self._backend.unbury(id, [Post(letter.event, to)]):
            raise _no_letter(id)

    async def drop(self, id: str) -> None:  # noqa: A002 - the letter's name
        """Forget a dead letter; raises `Violated` where there is no such letter."""
        if not await self._backend.unbury(id, []):
            raise _no_letter(id)

    def _reachable(self, event: Event[Any]) -> Reachable:
        match route(self.system, event, None):
            case Inside() | Outside() | Home() as to:
                return to
            case Nowhere():
                known = ", ".join(self.system.addresses) or "none"
                issue = Issue("to", f"the address of a handler ({known})", repr(event.to))
                raise Violated(ConfigViolation(f"nobody can take event {event.id!r}", issue))

    def _check_running(self) -> None:
        """Raise what broke a worker (a corrupt store): going on would hide it."""
        if not self._tasks:
            issue = Issue("runtime", "`async with Runtime(...)`", "one that is not running")
            raise Violated(ConfigViolation("the runtime takes nothing now", issue))
        for task in self._tasks:
            if task.done() and not task.cancelled() and (error := task.exception()) is not None:
                raise error

    def _answered(self, event: Event[Any]) -> None:
        request = self._requests.get((event.parentid or "", event.subject))
        # Another sender may have given its own event the same id.
        if request is not None and event.to in askers(request.event):
            request.settle(event)

    def _refused(self, event: Event[Any], why: Exception) -> None:
        request = self._requests.get((event.id, answer_subject(event)))
        if request is not None and request.event.source == event.source:
            request.settle(why)

    def _seen(self, event: Event[Any]) -> None:
        """Tell a request of what was consumed before; a mere redelivery is no news to it."""
        request = self._requests.get((event.id, answer_subject(event)))
        if request is not None and request.event is event:
            request.settle(Unanswered(f"event {event.id!r} was consumed before"))

    async def _how_far(self, event: Event[Any], timeout: float) -> str:
        record = await self._backend.load(event.subject)
        said = f"event {event.id!r} was not answered within {timeout} s"
        letters = [
            each for each in await self.dead_letters() if each.event.subject == event.subject
        ]
        if letters:
            # What broke is more to the point than what is still waited for.
            said += (
                f"; {len(letters)} of its events are dead letters, the last: {letters[-1].reason}"
            )
        if record is None:
            return f"{said}; nothing is remembered of its subject"
        open_ = [id_ for id_, replies in record.awaited.items() if not replies]
        return f"{said}; its workflow is {record.status} and waits for answers to {open_}"


def _prefetch_of(lane: str, wanted: int | Mapping[str, int]) -> int:
    number = wanted if isinstance(wanted, int) else wanted.get(lane, PREFETCH)
    if number < 1:
        issue = Issue("prefetch", "1 or more", repr(number))
        raise Violated(ConfigViolation(f"{lane} would never be worked on", issue))
    return number


def _no_letter(id_: str) -> Violated:
    issue = Issue("id", "the id of a dead letter (see dead_letters)", repr(id_))
    return Violated(ConfigViolation("there is no such dead letter", issue))
