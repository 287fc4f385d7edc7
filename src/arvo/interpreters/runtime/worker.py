"""Worker: the loop that receives a delivery, takes the step, and commits it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, Final

from attrs import define, field

from arvo.core.commit import Commit
from arvo.core.events.event import Event
from arvo.core.violations.violation import TransactionViolation, Violation
from arvo.engine.step.route import ToCaller, ToDomain, ToHandler, Unroutable, route
from arvo.engine.step.step import StepResult, step_plain
from arvo.engine.system.system import System
from arvo.handlers.effect import Perform, Performed, Retry
from arvo.interpreters.calls.bulkheads import Bulkheads
from arvo.interpreters.calls.effects import is_cancelled
from arvo.interpreters.calls.listeners import Listeners
from arvo.interpreters.delivery.log import get_logger
from arvo.interpreters.delivery.record_cache import RecordCache
from arvo.interpreters.ports.backend import Backend
from arvo.interpreters.ports.errors import Corrupt, Unavailable
from arvo.interpreters.ports.messages import DeadLetter, Delivery, Message
from arvo.interpreters.ports.results import (
    CancellationPending,
    Committed,
    Conflict,
    Duplicate,
    Fenced,
)
from arvo.interpreters.runtime.dead_letters import DeadLetterWriter
from arvo.interpreters.runtime.outbound import Outbound, Process
from arvo.interpreters.runtime.retry import DeliveryRetry
from arvo.interpreters.runtime.stats import OutcomeRecorder, Stats
from arvo.interpreters.runtime.suspects import Suspects
from arvo.interpreters.services.directory import ServiceDirectory
from arvo.interpreters.services.doors import refuse_outside
from arvo.interpreters.services.handover import GRACE_SECONDS, Handover
from arvo.interpreters.turns.step_runner import Decided, StepRunner, is_committable
from arvo.interrupts import is_interrupt

logger: Final = get_logger()
# The application configures logging. Without a handler Python would print our warnings itself.
logger.addHandler(logging.NullHandler())

# Conflicts in a row before a delivery is returned: by then another worker holds a newer record and
# will be done sooner.
CONFLICTS_MAX: Final = 10


@define
class Worker:
    """The work that all tasks of a runtime do, and the state that they share.

    *listeners* receive the events that leave the system. *on_answered* is called with each event
    that returns to its caller, and returns True if a request takes it. *on_refused* is called with
    each event that will get no answer and the reason, *on_duplicate* with each event that was
    consumed before. *perform* carries out the effects that the handler of an address asks for.
    *grace*: see `Runtime`. *step* is the pure step.
    """

    system: System
    backend: Backend
    retry: Retry
    now: Callable[[], datetime]
    stats: Stats
    listeners: Listeners
    on_answered: Callable[[Event[Any]], bool]
    on_refused: Callable[[Event[Any], Exception], None]
    on_duplicate: Callable[[Event[Any]], None]
    perform: Callable[[str, Perform[Any]], Awaitable[Performed]]
    grace: float = GRACE_SECONDS
    step: Callable[..., StepResult] = step_plain
    records: RecordCache = field(factory=RecordCache, init=False)
    # The tasks that wait for a delivery, and the queues that no task should serve any more.
    idle: set["asyncio.Task[None]"] = field(factory=set, init=False)
    stopped: set[str] = field(factory=set, init=False)
    directory: ServiceDirectory = field(init=False)
    bulkheads: Bulkheads = field(init=False)
    _recorder: OutcomeRecorder = field(init=False)
    _dead_letters: DeadLetterWriter = field(init=False)
    _retry: DeliveryRetry = field(init=False)
    _suspects: Suspects = field(init=False)
    _turns: StepRunner = field(init=False)
    _outbound: Outbound = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._turns = StepRunner(
            system=self.system,
            backend=self.backend,
            records=self.records,
            now=self.now,
            perform=self.perform,
            step=self.step,
        )
        self._recorder = OutcomeRecorder(self.stats, self.on_refused, self.on_duplicate)
        self._dead_letters = DeadLetterWriter(self.backend, self.now, self.stats)
        self.directory = ServiceDirectory(self.system, self.backend, self.listeners)
        self._retry = DeliveryRetry(
            backend=self.backend,
            policy=self.retry,
            now=self.now,
            stats=self.stats,
            dead_letters=self._dead_letters,
            directory=self.directory,
            handover=Handover(self.grace, lambda: asyncio.get_running_loop().time()),
            on_refused=self.on_refused,
        )
        self._suspects = Suspects(self.backend, self.retry.attempts, self._retry, self.stats)
        self.bulkheads = Bulkheads(self.listeners.concurrent_max)
        self._outbound = Outbound(
            system=self.system,
            backend=self.backend,
            retry=self._retry,
            dead_letters=self._dead_letters,
            stats=self.stats,
            listeners=self.listeners,
            bulkheads=self.bulkheads,
            directory=self.directory,
            on_answered=self.on_answered,
            process=self._process_guarded,
        )

    async def work(self, queue: str) -> None:
        """Process the deliveries of a queue one by one until the runtime stops."""
        task = asyncio.current_task()
        assert task is not None
        while queue not in self.stopped:
            self.idle.add(task)
            try:
                await self.directory.register()
                delivery = await self.backend.receive(queue)
            except Unavailable as error:
                await self._retry.pause(error)
                continue
            finally:
                self.idle.discard(task)
            await self._guard(delivery, self._dispatch)

    async def _dispatch(self, delivery: Delivery) -> None:
        match delivery.message.to:
            case ToHandler(address=address) if address in self.listeners.addresses:
                await self._outbound.answer(delivery, ToCaller(address))
            case ToHandler():
                process = self._admit if delivery.message.outside else self._step
                await self._process(delivery, process)
            case ToDomain() as to:
                await self._outbound.send_out(delivery, to)
            case ToCaller() as to:
                await self._outbound.answer(delivery, to)

    async def _process_guarded(self, delivery: Delivery, process: Process) -> None:
        await self._guard(delivery, lambda each: self._process(each, process))

    async def _process(self, delivery: Delivery, process: Process) -> None:
        if delivery.deaths:
            await self._suspects.process(delivery, process)
        else:
            await process(delivery)

    async def _guard(self, delivery: Delivery, process: Process) -> None:
        """Process a delivery, and return it to the backend if that fails."""
        try:
            await process(delivery)
        except Corrupt:
            raise
        except asyncio.CancelledError:
            if is_cancelled():
                raise
            # Something that a handler or a listener awaited was cancelled; this task was not.
            await self._retry.retry_later(delivery, "a future that it awaited was cancelled")
        except BaseException as error:
            if is_interrupt(error):
                raise
            # An outage of the backend, a bug of ours, or user code that is called outside of a
            # handler's function, such as a validator. In all cases the event must not be lost.
            if not isinstance(error, Unavailable):
                logger.exception("event %s could not be processed", delivery.message.event.id)
            after = error.after if isinstance(error, Unavailable) else 0.0
            await self._retry.retry_later(delivery, f"{type(error).__name__}: {error}", after)

    async def _admit(self, delivery: Delivery) -> None:
        """Take the step of an event that another program put into the broker, if it may enter."""
        event = delivery.message.event
        # The step decides on a version that is not known here.
        violation = await refuse_outside(self.system, self.backend, event, unserved=True)
        if violation is None:
            await self._step(delivery)
        else:
            await self._refuse(delivery, violation)

    async def _step(self, delivery: Delivery) -> None:
        """Take one step, from load to commit; after a conflict, again with the newest record.

        If a cancellation of the workflow is pending, its step is taken in place of the event's.
        """
        event = delivery.message.event
        cancellation: Event[Any] | None = None
        for _ in range(CONFLICTS_MAX):
            result: Decided | Conflict | None = await self._decide(delivery, cancellation)
            if isinstance(result, Commit) and is_committable(result, cancellation):
                result = await self._commit(delivery, result)
            match result:
                case None:
                    return
                case CancellationPending(event=pending):
                    cancellation = pending
                case Conflict():
                    pass
                case Fenced():
                    self.stats.fenced += 1
                    return
                case _ if cancellation is not None:
                    # Its own delivery shows what becomes of it: a dead letter, or it is late.
                    delivery.progress.passed_over.add(cancellation.id)
                    cancellation = None
                case Commit():
                    await self._retry.refuse_unhandled(delivery, result)
                    return
                case violation:
                    await self._turns.forget(delivery)
                    await self._refuse(delivery, violation)
                    return
        text = f"event {event.id!r} met {CONFLICTS_MAX} conflicts in a row"
        await self._refuse(delivery, TransactionViolation(text, cause="conflict"))

    async def _commit(
        self, delivery: Delivery, commit: Commit
    ) -> CancellationPending | Conflict | Fenced | None:
        """Commit a step; None if it is applied, or was before."""
        messages, dead_letters = await self._route(commit)
        # Another task may take the next event sooner than this one goes on; it has to load the
        # record. The new one must not be cached before: another worker's may have its revision.
        self.records.discard(delivery.message.event.subject)
        match await self.backend.commit(delivery, commit, messages, dead_letters):
            case Committed():
                if commit.record is not None:
                    self.records.put(commit.record)
                self._recorder.record_commit(commit, messages, dead_letters)
                if commit.event.id != delivery.message.event.id:
                    self._recorder.record_replaced(delivery.message.event, commit)
            case Duplicate():
                self.stats.duplicates += 1
                self.on_duplicate(delivery.message.event)
            case Fenced() | Conflict() | CancellationPending() as refused:
                return refused
        return None

    async def _decide(self, delivery: Delivery, cancellation: Event[Any] | None = None) -> Decided:
        return await self._turns.decide(delivery, cancellation)

    async def _route(self, commit: Commit) -> tuple[list[Message], list[DeadLetter]]:
        """Address the events of a commit; those without a destination become dead letters."""
        messages: list[Message] = []
        dead_letters: list[DeadLetter] = []
        for event in commit.events:
            to = route(self.system, event, commit.event)
            match await self.directory.route_elsewhere(event, to):
                case Unroutable() | ToCaller() if event.to in self.listeners.addresses:
                    # Its own queue, which only the workers with the listener serve.
                    messages.append(Message(event, ToHandler(event.to, None)))
                case Unroutable(reason=reason):
                    dead_letters.append(self._dead_letters.make(event, reason))
                case ToHandler() | ToDomain() | ToCaller() as to:
                    messages.append(Message(event, to))
        return messages, dead_letters

    async def _refuse(self, delivery: Delivery, violation: Violation) -> None:
        await self._retry.refuse(delivery, violation)
