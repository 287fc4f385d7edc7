"""Runtime: a client that also processes events: it runs the workers of a system on a backend."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Final, Self, final

from attrs import evolve

from arvo.core.events.event import Event
from arvo.core.violations.issue import Issue, short_repr
from arvo.core.violations.violation import ConfigViolation, Violated
from arvo.engine.step.step import Middleware
from arvo.engine.system.system import System
from arvo.handlers.effect import Retry
from arvo.interpreters.calls.effects import Effects
from arvo.interpreters.calls.listeners import LISTENER_SECONDS, Listener, Listeners
from arvo.interpreters.calls.threads import THREADS_PER_DELIVERY, ThreadPool
from arvo.interpreters.codecs.codec import Codec
from arvo.interpreters.delivery.clock import utc_now
from arvo.interpreters.delivery.tasks import supervise
from arvo.interpreters.ports.backend import Backend
from arvo.interpreters.ports.errors import Unavailable
from arvo.interpreters.ports.messages import OUTBOUND_QUEUE, REPLY_QUEUE, Message
from arvo.interpreters.ports.observer import Observer
from arvo.interpreters.runtime.asks import TIMEOUT_SECONDS
from arvo.interpreters.runtime.client import Client
from arvo.interpreters.runtime.requests import Requests
from arvo.interpreters.runtime.signals import on_interrupt
from arvo.interpreters.runtime.worker_tasks import (
    PREFETCH,
    WorkerTasks,
    default_grace,
    tasks_by_queue,
)
from arvo.interpreters.services.schedules import declare_schedules, retry_declaring
from arvo.interpreters.turns.open_effects import CONCURRENT_MAX
from arvo.interpreters.worker.middleware import wrap_step
from arvo.interpreters.worker.stats import Stats
from arvo.interpreters.worker.waits import CountsWaits
from arvo.interpreters.worker.worker import Worker

# Attempts before an event that could not be processed becomes a dead letter, by default.
DEFAULT_RETRY: Final = Retry(attempts=5, delay=0.05, factor=2.0, jitter=0.5, longest=30.0)


@final
class Runtime(Client):
    """Delivers events to the handlers of a system, and the events that they emit to their
    destinations.

    *backend*: a URL (`memory:`) or a `Backend`. *prefetch*: how many deliveries each handler
    processes at the same time, one number or one per address. *retry*: the retry policy for events
    that fail for a temporary reason, before they become dead letters. *now*: the clock. *grace*:
    for how many seconds an event of a version that no live worker serves waits for one, before it
    becomes a dead letter; by default 30, and 0 on `memory:`, where all workers are in this process.
    *middleware*: functions from step to step around each step, the first one outermost; they must
    be pure, as the step is. *codec*: encodes the contents of the backend of a URL (see
    `arvo.codecs`); every process and client of the backend needs it.
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
        middleware: Sequence[Middleware] = (),
        codec: Codec | None = None,
    ) -> None:
        super().__init__(system, backend, codec=codec)
        system = self.system
        self._queues = tasks_by_queue(system.addresses, prefetch)
        self._effects = Effects(
            {address: _threads(address, self._queues[address]) for address in system.addresses}
        )
        self._listeners = Listeners(self._queues[OUTBOUND_QUEUE])
        self._requests = Requests(system, self._backend)
        self._stats = Stats()
        worker = Worker(
            system=system,
            backend=self._backend,
            retry=retry,
            now=now,
            stats=self._stats,
            listeners=self._listeners,
            on_answered=self._requests.on_answered,
            on_refused=self._requests.on_refused,
            on_duplicate=self._requests.on_duplicate,
            perform=self._effects.perform,
            grace=default_grace(self._backend) if grace is None else grace,
            step=wrap_step(middleware),
        )
        self._tasks = WorkerTasks(worker, self._requests, self._queues)
        self._declaring: asyncio.Task[None] | None = None
        self._listeners.on_added = self._tasks.serve_listeners

    def observe(self, observer: Observer) -> None:
        """Report to *observer* the work of this runtime and its workers; see `Client.observe`."""
        super().observe(observer)
        self._tasks.worker.observer = observer

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        await self._tasks.start()
        try:
            await declare_schedules(self.system, self._backend, self.send)
        except Unavailable:
            # The workers wait for the backend as well.
            work = retry_declaring(self.system, self._backend, self.send)
            self._declaring = supervise(work, name="arvo schedules", on_failure=self._tasks.fail)
        except BaseException:
            await self.stop()
            raise
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
                if hurrying.done():
                    self._tasks.cancel()
                hurrying.cancel()
                await stopping

    async def _wait_for(self, signal: asyncio.Event) -> None:
        """Wait for a signal, or raise the exception of a worker that breaks first."""
        waiting = asyncio.create_task(signal.wait())
        try:
            await self._tasks.wait(waiting)
            self._check_running()
        finally:
            waiting.cancel()

    async def stop(self, timeout: float = TIMEOUT_SECONDS) -> None:
        """Receive no more events, finish the deliveries in progress, and close the backend.

        Deliveries that are not finished after *timeout* seconds are cancelled. They were not
        committed, so a durable backend delivers them again. A plain function that has not returned
        by then is logged; its thread ends with the process.
        """
        deadline = asyncio.get_running_loop().time() + timeout
        if self._declaring is not None:
            self._declaring.cancel()
        # Handlers first: the answers that they still emit have to be delivered.
        await self._tasks.stop(self.system.addresses, deadline)
        await asyncio.sleep(0)
        await self._tasks.stop((OUTBOUND_QUEUE, REPLY_QUEUE, *self._listeners.addresses), deadline)
        await self._tasks.end()
        self._listeners.close()
        self._effects.close()
        self._requests.stop()
        if self._observer is not None:
            await self._observer.close()
        await self._backend.close()

    async def send(self, event: Event[Any]) -> None:
        """Send an event into the system. When this returns, the backend has accepted it.

        Waits while the queue is full. Raises `Violated` as `check` does, and `TooLarge` for an
        event above 1 MiB, or one that the broker does not accept.
        """
        self._check_running()
        await super().send(event)

    async def _send_message(self, message: Message) -> None:
        # A worker that handles the event must see the listener that waits for the answer.
        await self._tasks.worker.register()
        if not await self._tasks.send(message):
            await self._backend.send(message)

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
        try:
            async with asyncio.timeout(timeout):
                await self._admit(event)
        except TimeoutError:
            text = f"event {event.id!r} was not accepted: the backend did not answer in {timeout} s"
            raise Unavailable(text) from None
        return await self._requests.ask(event, timeout, self._send)

    async def _ask(self, event: Event[Any], timeout: float) -> Event[Any]:
        # An answer that is produced here comes before a read would find it.
        return await self.request(event, timeout)

    def on_domain(
        self, domain: str | None = None, *, timeout: float | timedelta = LISTENER_SECONDS
    ) -> Callable[[Listener], Listener]:
        """Register a listener for the events that leave the system by *domain*; None registers it
        for all domains without a listener of their own.

        Use it as a decorator, with parentheses: `@runtime.on_domain()`. The listener may be
        `async`; a plain function runs in a thread. When it returns, the event is acknowledged. When
        it raises or takes longer than *timeout* seconds, the event is delivered again by the retry
        policy, and then becomes a dead letter: at once for `Violated`, because a retry cannot help,
        and no earlier than `after` seconds for `Unavailable`. An answer to the event enters by
        `send`. A listener that hangs stops the events of its own domain only.

        Raises `Violated` if the domain has a listener already.
        """
        return self._listeners.on_domain(domain, timeout)

    def on_address(
        self, address: str, *, timeout: float | timedelta = LISTENER_SECONDS
    ) -> Callable[[Listener], Listener]:
        """Register a listener for the answers to a caller outside the system, by its *address*:
        the `source` or the `redirectto` of the events that it sends. Use it as a decorator:
        `@runtime.on_address("com.shop.web")`. An answer for which a `request` is waiting in this
        process goes to that request, all others go to the listener.
        It also gets other events that handlers emit to this address. It is called as a listener of
        `on_domain` is: at least once, with its timeout, and by the retry policy.

        Raises `Violated` if the address has a listener already, or a handler.
        """
        register = self._listeners.on_address(address, timeout)
        if address in self.system.subscriptions:
            expected = "no subscription: write `@runtime.on_workflow_complete(name)`"
            issue = Issue("address", expected, repr(address))
            raise Violated(ConfigViolation("a subscription has this name", issue))
        if self.system.handler_at(address) is not None or self.system.is_remote(address):
            issue = Issue("address", "an address that no handler has", repr(address))
            raise Violated(ConfigViolation("a handler receives the events to this address", issue))
        return register

    def on_workflow_complete(
        self, subscription: str, *, timeout: float | timedelta = LISTENER_SECONDS
    ) -> Callable[[Listener], Listener]:
        """Register a listener for the outcomes of the workflows that a subscription of the system
        lists: each completion, and each system error by which one failed or was cancelled. Use it
        as a decorator: `@runtime.on_workflow_complete("com.shop.billing")`.

        Each outcome is kept from the commit that ends its workflow until the listener has returned,
        also while no process with the listener runs. Of several processes with it, one takes each
        outcome. It is called as a listener of `on_domain` is: at least once, with its timeout, and
        by the retry policy; a call that is repeated has the same event id. The event's subject is
        that of the workflow, its type says whether it completed.

        Raises `Violated` if the system has no such subscription, or it has a listener already.
        """
        if subscription not in self.system.subscriptions:
            known = ", ".join(map(repr, self.system.subscriptions)) or "none"
            example = 'System(..., subscriptions={"com.shop.billing": [order]})'
            expected = f"a subscription of the system ({known}), as in {example}"
            issue = Issue("subscription", expected, short_repr(subscription))
            raise Violated(ConfigViolation("the system has no such subscription", issue))
        return self._listeners.on_subscription(subscription, timeout)

    async def drain(self, timeout: float | None = None) -> Stats:
        """Wait until no message is under way, and return the counts of all outcomes.

        It waits out outages of the backend. Raises `TimeoutError` with the depth after *timeout*
        seconds.
        """
        self._check_running()
        idle = asyncio.create_task(self._tasks.wait_until_idle())
        try:
            await self._tasks.wait(idle, timeout)
            self._check_running()
            if not idle.done():
                raise TimeoutError(f"not idle after {timeout} s: {await self._backend.depth()}")
            await idle
        finally:
            idle.cancel()
        return self.stats()

    @property
    def slots(self) -> Mapping[str, tuple[int, int]]:
        """For each handler, how many deliveries it processes at the moment, and its `prefetch`.

        What only computes is processed in ticks, takes no time and does not count.
        """
        return self._tasks.slots

    def stats(self) -> Stats:
        """Return the counts of all outcomes so far."""
        return evolve(self._stats)

    def wait_counts(self) -> tuple[int, ...] | None:
        """Return how long messages waited for a worker, where its observer is `CountsWaits`."""
        observer: object = self._observer
        return observer.wait_counts if isinstance(observer, CountsWaits) else None

    @property
    def is_working(self) -> bool:
        """Whether it processes events: it was entered, is not stopping, and no worker broke."""
        return self._tasks.is_working

    def _check_running(self) -> None:
        """Raise `Violated` if it is not running, or the exception of a worker that broke."""
        if not self._tasks.is_started:
            issue = Issue("runtime", "`async with Runtime(...)`", "one that is not running")
            raise Violated(ConfigViolation("the runtime is not running", issue))
        self._tasks.check()


def _threads(address: str, prefetch: int) -> ThreadPool:
    """Return the threads of a handler: a single flow may perform many effects side by side."""
    return ThreadPool(address, max(CONCURRENT_MAX, THREADS_PER_DELIVERY * prefetch))
