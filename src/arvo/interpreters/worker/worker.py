"""Worker: the loop that receives a delivery, takes the step, and commits it."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, Final

from attrs import define, field

from arvo.core.commit import Commit
from arvo.core.events.event import Event
from arvo.core.violations.issue import Issue
from arvo.core.violations.violation import (
    ContractViolation,
    ExecutionViolation,
    TransactionViolation,
    Violation,
)
from arvo.engine.step.doors import is_from_handler, refuse_reused_id
from arvo.engine.step.route import Route, ToCaller, ToDomain, ToHandler, Unroutable, route
from arvo.engine.step.step import Step, step_plain
from arvo.engine.system.system import System
from arvo.handlers.effect import Perform, Performed, Retry
from arvo.interpreters.calls.bulkheads import Bulkheads
from arvo.interpreters.calls.effects import is_cancelled
from arvo.interpreters.calls.listeners import Listeners
from arvo.interpreters.codecs.codec import Undecodable
from arvo.interpreters.delivery.log import HANDLED, get_logger, loop_time
from arvo.interpreters.delivery.record_cache import RecordCache
from arvo.interpreters.limits.limiter import Limiter
from arvo.interpreters.ports.backend import Backend
from arvo.interpreters.ports.errors import BlobMissing, BlobUnavailable, Corrupt, Unavailable
from arvo.interpreters.ports.messages import DeadLetter, Delivery, Message, key_of
from arvo.interpreters.ports.observer import Observer, doing, settle
from arvo.interpreters.ports.results import (
    CancellationPending,
    Committed,
    Conflict,
    Duplicate,
    Fenced,
    IdReused,
    WorkflowIdTaken,
)
from arvo.interpreters.reports.channel import find_channel
from arvo.interpreters.services.directory import ServiceDirectory
from arvo.interpreters.services.doors import refuse_outside
from arvo.interpreters.services.handover import GRACE_SECONDS, Handover
from arvo.interpreters.services.subscribers import LISTENER_ABSENT_SECONDS_MAX, Subscribers
from arvo.interpreters.turns.step_runner import Decided, StepRunner, is_committable
from arvo.interpreters.worker.blocking import TimedStep
from arvo.interpreters.worker.dead_letters import DeadLetterWriter
from arvo.interpreters.worker.outbound import Outbound, Process
from arvo.interpreters.worker.retry import DeliveryRetry
from arvo.interpreters.worker.stats import OutcomeRecorder, Stats
from arvo.interpreters.worker.suspects import Suspects
from arvo.interrupts import is_interrupt

logger: Final = get_logger("worker")

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
    *grace*: see `Runtime`. *step* is the pure step. *observer* watches each attempt at a message.
    *clock*: a monotonic clock, in seconds; by default that of the event loop.
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
    step: Step = step_plain
    observer: Observer | None = None
    clock: Callable[[], float] = loop_time
    records: RecordCache = field(factory=RecordCache, init=False)
    # The tasks that wait for a delivery, and the queues that no task should serve any more.
    idle: set["asyncio.Task[None]"] = field(factory=set, init=False)
    stopped: set[str] = field(factory=set, init=False)
    directory: ServiceDirectory = field(init=False)
    bulkheads: Bulkheads = field(init=False)
    limiter: Limiter = field(init=False)
    _subscribers: Subscribers = field(init=False)
    _recorder: OutcomeRecorder = field(init=False)
    _dead_letters: DeadLetterWriter = field(init=False)
    _retry: DeliveryRetry = field(init=False)
    _suspects: Suspects = field(init=False)
    _turns: StepRunner = field(init=False)
    _outbound: Outbound = field(init=False)
    timed_step: TimedStep = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.step = self.timed_step = TimedStep(self.step, self.clock)
        self._turns = StepRunner(
            system=self.system,
            backend=self.backend,
            records=self.records,
            now=self.now,
            perform=self.perform,
            step=self.step,
            reports=find_channel(self.backend),
        )
        self._recorder = OutcomeRecorder(self.stats, self.on_refused, self.on_duplicate)
        self._dead_letters = DeadLetterWriter(self.backend, self.now, self.stats)
        self.limiter = Limiter(self.system, self.backend)
        self.directory = ServiceDirectory(self.system, self.backend, self.listeners)
        # Without a grace period all workers are in this process, and so would be the listener.
        absent_max = LISTENER_ABSENT_SECONDS_MAX if self.grace else 0.0
        self._subscribers = Subscribers(self.directory, absent_max, self.clock)
        self._retry = DeliveryRetry(
            backend=self.backend,
            default=self.retry,
            now=self.now,
            stats=self.stats,
            dead_letters=self._dead_letters,
            directory=self.directory,
            handover=Handover(self.grace, self.clock),
            on_refused=self.on_refused,
            on_unavailable=self._on_unavailable,
        )
        self._suspects = Suspects(self.backend, self._retry, self.stats)
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

    async def register(self) -> None:
        """Register the services of this worker, unless it is registered; raises `Unavailable`."""
        await self.directory.register()

    async def pause(self, error: Unavailable) -> None:
        """Wait for a moment, because the backend is unavailable."""
        await self._retry.pause(error)

    async def process(self, delivery: Delivery) -> None:
        """Process a delivery by itself, and return it to the backend if that fails."""
        # A tick may have received it, whose commit was refused.
        if self.observer is not None and delivery.progress.observation is None:
            delivery.progress.observation = self.observer.received(delivery.message, delivery)
        with doing(delivery, "process"):
            await self._guard(delivery, self._dispatch)

    def record_commit(self, commit: Commit) -> None:
        """Cache the record of an applied commit without dead letters, and record its outcome."""
        if commit.record is not None:
            self.records.put(commit.record)
        self._recorder.record_commit(commit, (), ())

    def address(self, event: Event[Any], to: Route) -> Message | Unroutable:
        """Make the message of an emitted event; return *to* if it has no destination."""
        match to:
            case Unroutable() | ToCaller() if event.to in self.listeners.addresses:
                # Its own queue, which only the workers with the listener serve.
                return Message(event, ToHandler(event.to, None))
            case Unroutable():
                return to
            case ToHandler() | ToDomain() | ToCaller():
                return Message(event, to)

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
            await self.process(delivery)

    async def _dispatch(self, delivery: Delivery) -> None:
        reason = delivery.message.unreadable or await self._load_data(delivery)
        if reason:
            await self._dead_letters.write(delivery, reason)
            return
        match delivery.message.to:
            case ToHandler(address=address) if address in self.listeners.addresses:
                await self._listen(delivery, address)
            case ToHandler():
                process = self._admit if delivery.message.outside else self._step
                await self._process_within_limits(delivery, process)
            case ToDomain() as to:
                await self._outbound.send_out(delivery, to)
            case ToCaller() as to:
                await self._outbound.answer(delivery, to)

    async def _load_data(self, delivery: Delivery) -> str:
        """Fetch the data of an event that waits in a blob store; return why it cannot be read."""
        try:
            await delivery.message.load_data()
        except (BlobMissing, Undecodable) as error:
            return str(error)
        return ""

    async def _listen(self, delivery: Delivery, address: str) -> None:
        if address not in self.system.subscriptions:
            await self._outbound.answer(delivery, ToCaller(address))
        elif delivery.message.outside:
            issue = Issue("to", "an address that takes events from outside", repr(address))
            text = f"event {delivery.message.event.id!r} is no outcome of a workflow"
            await self._refuse(delivery, ContractViolation(text, issue))
        else:
            await self._outbound.report(delivery, ToCaller(address))

    async def _process_within_limits(self, delivery: Delivery, process: Process) -> None:
        if not self.limiter.has_limits(delivery):
            await self._process(delivery, process)
            return
        with doing(delivery, "acquire"):
            [result] = await self.limiter.acquire([delivery])
        match result:
            case True:
                await self._process(delivery, process)
            case False:
                # It is parked, and comes again when there is room.
                self.stats.released += 1
                settle(delivery, "released")
            case violation:
                await self._refuse(delivery, violation)

    async def _process_guarded(self, delivery: Delivery, process: Process) -> None:
        await self._guard(delivery, lambda each: self._process(each, process))

    async def _process(self, delivery: Delivery, process: Process) -> None:
        if delivery.deaths:
            await self._suspects.process(delivery, process)
        else:
            await process(delivery)

    async def _guard(self, delivery: Delivery, process: Process) -> None:
        """Process a delivery, and return it to the backend if that fails."""
        to = delivery.message.to
        handler = to.address if isinstance(to, ToHandler) else None
        HANDLED.set((delivery.message.event, handler))
        try:
            await process(delivery)
        except BlobMissing as error:
            # Of the record: the other workflows are not affected.
            await self._refuse(delivery, ExecutionViolation(str(error)))
        except BlobUnavailable as error:
            await self._retry.wait_for_blobs(delivery, error)
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
                logger.exception("an event could not be processed")
            after = error.after if isinstance(error, Unavailable) else 0.0
            await self._retry.retry_later(delivery, f"{type(error).__name__}: {error}", after)
        finally:
            HANDLED.set(None)

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
            result: Decided | Conflict | IdReused | None = await self._decide(
                delivery, cancellation
            )
            if isinstance(result, Commit) and result.unhandled is not None:
                result = await self._on_unhandled(delivery, result, result.unhandled)
            if isinstance(result, Commit) and is_committable(result, cancellation):
                result = await self._commit_or_refuse(delivery, result)
            match result:
                case None:
                    return
                case CancellationPending(event=pending):
                    cancellation = pending
                case Conflict(revision=revision):
                    if delivery.progress.observation is not None:
                        delivery.progress.observation.conflicted(revision)
                case Fenced():
                    self.stats.fenced += 1
                    settle(delivery, "fenced")
                    return
                case _ if cancellation is not None:
                    # Its own delivery shows what becomes of it: a dead letter, or it is late.
                    delivery.progress.passed_over.add(cancellation.id)
                    cancellation = None
                case IdReused():
                    await self._refuse_reused_id(delivery)
                    return
                case Commit():
                    await self._retry.refuse_unhandled(delivery, result)
                    return
                case violation:
                    await self._turns.forget(delivery)
                    await self._refuse(delivery, violation)
                    return
        text = f"event {event.id!r} met {CONFLICTS_MAX} conflicts in a row"
        await self._refuse(delivery, TransactionViolation(text, cause="conflict"))

    async def _on_unhandled(
        self, delivery: Delivery, failed: Commit, reason: str
    ) -> Commit | ExecutionViolation | None:
        """Return the consequence of an exception that escaped a handler, by the handler's policy:
        the commit that fails, a violation, or None for another attempt.
        """
        handler = self.system.handler_at(failed.handler)
        assert handler is not None
        match handler.policy.on_error:
            case "fail":
                return failed
            case "retry" if not self._retry.is_retryable(delivery):
                return failed
            case "retry":
                await self._turns.forget_failed(delivery)
                await self._retry.retry_later(delivery, reason)
                return None
            case "dead-letter":
                return ExecutionViolation(f"the handler {failed.handler} raised {reason}")

    async def _commit_or_refuse(
        self, delivery: Delivery, commit: Commit
    ) -> CancellationPending | Conflict | Fenced | IdReused | Violation | None:
        """Commit a step; if it begins a run whose workflow id another run has, refuse that."""
        result = await self._commit(delivery, commit)
        if not isinstance(result, WorkflowIdTaken):
            return result
        refused = self._turns.decide_taken_id(delivery, result.record, commit.expected)
        if not isinstance(refused, Commit):
            return refused
        result = await self._commit(delivery, refused)
        # It begins no run.
        assert not isinstance(result, WorkflowIdTaken)
        return result

    async def _commit(
        self, delivery: Delivery, commit: Commit
    ) -> CancellationPending | Conflict | Fenced | IdReused | WorkflowIdTaken | None:
        """Commit a step; None if it is applied, or was before."""
        messages, dead_letters = await self._route(commit)
        # Another task may take the next event sooner than this one goes on; it has to load the
        # record. The new one must not be cached before: another worker's may have its revision.
        if (key := key_of(delivery.message.to)) is not None:
            self.records.discard(key)
        with doing(delivery, "commit"):
            result = await self.backend.commit(delivery, commit, messages, dead_letters)
        match result:
            case Committed():
                if commit.record is not None:
                    self.records.put(commit.record)
                self._recorder.record_commit(commit, messages, dead_letters)
                settle(delivery, commit.outcome, commit=commit)
                if commit.event.id != delivery.message.event.id:
                    self._recorder.record_replaced(delivery.message.event, commit)
            case Duplicate():
                self.stats.duplicates += 1
                settle(delivery, "duplicate")
                self.on_duplicate(delivery.message.event)
            case (
                Fenced() | Conflict() | CancellationPending() | IdReused() | WorkflowIdTaken()
            ) as refused:
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
            match self.address(event, await self.directory.route_elsewhere(event, to)):
                case Message(to=ToHandler(address=address)) as message if (
                    address in self.system.subscriptions
                ):
                    absence = await self._subscribers.absence(address)
                    if absence is None:
                        messages.append(message)
                    else:
                        dead = self._dead_letters.make(event, absence, to=message.to)
                        dead_letters.append(dead)
                case Message() as message:
                    messages.append(message)
                case Unroutable(reason=reason):
                    dead_letters.append(self._dead_letters.make(event, reason))
        return messages, dead_letters

    async def _refuse_reused_id(self, delivery: Delivery) -> None:
        """Settle an event whose handler has consumed another one with its id.

        Its sender must learn of it, unless that is a handler: after a crash it may be repeated, and
        emit other content by the same id.
        """
        event = delivery.message.event
        if not delivery.message.outside and (
            is_from_handler(self.system, event) or await self.directory.is_served(event.source)
        ):
            with doing(delivery, "ack"):
                await self.backend.ack(delivery)
            self.stats.duplicates += 1
            settle(delivery, "duplicate")
            self.on_duplicate(event)
        else:
            await self._refuse(delivery, refuse_reused_id(event))

    def _on_unavailable(self, error: Unavailable) -> None:
        if self.observer is not None:
            self.observer.unavailable(error)

    async def _refuse(self, delivery: Delivery, violation: Violation) -> None:
        await self._retry.refuse(delivery, violation)
