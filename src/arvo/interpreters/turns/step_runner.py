"""Step runner: takes the step of a delivery, and performs the effects that the step asks for."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import partial
from typing import Any, Final, TypeAlias, final

from attrs import frozen

from arvo.core.commit import Commit
from arvo.core.contracts.versioned_workflow import PARENT_SUBJECT
from arvo.core.events.event import Event
from arvo.core.record import Record
from arvo.core.trace_context import TraceContext, with_trace
from arvo.core.violations.issue import Issue
from arvo.core.violations.violation import TransactionViolation, Violation
from arvo.engine.step.advance import cancel_first_turn
from arvo.engine.step.route import ToHandler
from arvo.engine.step.step import Step, StepResult, decide_taken_id, step_plain
from arvo.engine.system.handler import is_workflow
from arvo.engine.system.outcomes import with_outcomes
from arvo.engine.system.system import System
from arvo.handlers.effect import Perform, Performed
from arvo.handlers.flow.handler import FlowHandler
from arvo.interpreters.calls.reports import TurnReports
from arvo.interpreters.delivery.clock import whole_millisecond
from arvo.interpreters.delivery.record_cache import RecordCache
from arvo.interpreters.ports.backend import Backend, FindsRefusals
from arvo.interpreters.ports.messages import Delivery, is_cancellation, key_of, queue_of
from arvo.interpreters.ports.observation import EFFECT, Observation
from arvo.interpreters.ports.observer import doing
from arvo.interpreters.ports.results import (
    CancellationPending,
    Conflict,
    Duplicate,
    Fenced,
    IdReused,
)
from arvo.interpreters.reports.channel import ReportChannel
from arvo.interpreters.turns.interruption import Interruption
from arvo.interpreters.turns.open_effects import OpenEffects
from arvo.interpreters.turns.progress import TurnProgress

# Outcomes whose event becomes a dead letter: no handler consumed it.
UNHANDLED: Final = ("workflow_failed", "unknown_workflow", "wrong_handler")

# The result of a step with its effects.
Decided: TypeAlias = Commit | Violation | Fenced | CancellationPending


@final
@frozen(kw_only=True)
class StepRunner:
    """Takes steps with their effects. *step* is the pure step, *records* the newest records.

    *perform* carries out an effect that the handler of an address asks for. *reports*: carries what
    effects report; None if the backend does not.
    """

    system: System
    backend: Backend
    records: RecordCache
    now: Callable[[], datetime]
    perform: Callable[[str, Perform[Any]], Awaitable[Performed]]
    step: Step = step_plain
    reports: ReportChannel | None = None

    async def decide(self, delivery: Delivery, cancellation: Event[Any] | None) -> Decided:
        """Take the step of a delivery on the cached record if there is one, else on the stored one.

        *cancellation*: see `take`; its step is always taken on the stored record.
        """
        event = delivery.message.event
        if key_of(delivery.message.to) is None:
            return await self.take(delivery, None)
        cached = self.records.get(event.subject)
        if cached is not None and cancellation is None:
            decided = await self.take(delivery, cached)
            # A commit conflicts if the cached record is stale. No other outcome would reveal that,
            # so it is decided again on the stored record.
            if isinstance(decided, Fenced | CancellationPending) or (
                isinstance(decided, Commit) and decided.outcome not in UNHANDLED
            ):
                return decided
        return await self.take(delivery, await self._load(delivery), cancellation)

    async def _load(self, delivery: Delivery) -> Record | None:
        with doing(delivery, "load"):
            return await self.backend.load(delivery.message.event.subject)

    async def take(
        self,
        delivery: Delivery,
        record: Record | None,
        cancellation: Event[Any] | None = None,
    ) -> Decided:
        """Take the step of a delivery on *record*; each effect is performed once.

        The result of an effect is stored with the delivery before the step is taken again, so that
        a redelivery, or a step after a conflict, continues behind it. Returns `Fenced` where the
        delivery belongs to another worker by now, and `CancellationPending` where the workflow was
        cancelled before an effect ended.

        *cancellation*: take its step in place of that of the delivery's event.
        """
        event, to = delivery.message.event, delivery.message.to
        observation = delivery.progress.observation
        trace = None if observation is None else observation.trace
        if cancellation is not None:
            if record is None or not record.init:
                return self._cancel_first_turn(event, cancellation, record, trace)
            event = cancellation
        progress = self._progress(delivery, cancellation)
        performed: list[Performed] = []
        # The turn of a cancellation is always decided on the stored record.
        is_checked = cancellation is not None
        perform: Callable[[Perform[Any]], Awaitable[Performed]]
        perform = self._performer(queue_of(to))
        step = self.step
        if observation is not None:
            perform = partial(_perform_observed, observation, perform)
            step = partial(_step_observed, observation, step)
        reports = TurnReports(self.reports, delivery, event.id)
        effects = OpenEffects(partial(reports.perform, perform))
        interruption = self._interruption(delivery, cancellation)
        try:
            while True:
                now = whole_millisecond(self.now())
                result = step(self.system, event, record, now=now, performed=performed, trace=trace)
                if not isinstance(result, Perform):
                    return result
                done = await progress.next(result, len(performed))
                if isinstance(done, Perform):
                    if not is_checked:
                        refused = await self._find_refusal(delivery, record)
                        if refused is not None:
                            return refused
                        is_checked = True
                    if isinstance(await progress.store(), Fenced):
                        return Fenced()
                    ended = await interruption.guard(partial(effects.next, done))
                    if isinstance(ended, CancellationPending):
                        return ended
                    if isinstance(await progress.record(ended), Fenced):
                        return Fenced()
                    done = ended
                performed.append(done)
        finally:
            await effects.close()
            reports.close()

    def decide_taken_id(
        self, delivery: Delivery, holder: Record, expected: int
    ) -> Commit | Violation:
        """Decide a begin whose workflow id the run of *holder* has, in place of its turn.

        *expected*: the revision that the turn was decided on.
        """
        observation = delivery.progress.observation
        trace = None if observation is None else observation.trace
        event, now = delivery.message.event, whole_millisecond(self.now())
        return decide_taken_id(self.system, event, holder, expected, now=now, trace=trace)

    async def forget(self, delivery: Delivery) -> None:
        """Delete the results on which a step was decided: the next step performs them again.

        A step that used none, such as one of a version that only another worker has, leaves them.
        """
        await self._progress(delivery).clear()

    async def forget_failed(self, delivery: Delivery) -> None:
        """Delete the results from the first effect that failed on: it is performed again."""
        await self._progress(delivery).clear_failed()

    async def _find_refusal(
        self, delivery: Delivery, record: Record | None
    ) -> Commit | Violation | Fenced | None:
        """Return the end of a step whose commit would be refused, None for every other step.

        A duplicate, or another event with the id of one that was consumed, is a commit that changes
        nothing. A step on an outdated record is a violation, after which it is taken again.
        """
        message, expected = delivery.message, 0 if record is None else record.revision
        if not isinstance(self.backend, FindsRefusals):
            return None
        has_record = key_of(message.to) is not None
        match await self.backend.find_refusal(delivery, expected if has_record else None):
            case None:
                return None
            case Fenced() as fenced:
                return fenced
            case Duplicate() | IdReused():
                # Committed, because a pair then sends again what a crash may have left unsent.
                return Commit(
                    handler=queue_of(message.to),
                    event=message.event,
                    outcome="duplicate",
                    expected=expected,
                )
            case Conflict(revision=revision):
                issue = Issue("revision", str(revision), str(expected))
                text = f"event {message.event.id!r} was decided on an outdated record"
                return TransactionViolation(text, "conflict", issue)

    def _cancel_first_turn(
        self,
        begin: Event[Any],
        cancellation: Event[Any],
        stored: Record | None,
        trace: TraceContext | None,
    ) -> Commit | Violation:
        handler = self.system.handler_at(begin.to)
        # Only the event that starts a workflow changes the record of one that has not started.
        assert is_workflow(handler)
        parent, now = begin.raw.get(PARENT_SUBJECT), whole_millisecond(self.now())
        last = cancel_first_turn(handler, cancellation, stored, now, init=begin.id, parent=parent)
        last = with_outcomes(self.system, last)
        return with_trace(last, trace) if trace is not None and isinstance(last, Commit) else last

    def _performer(self, address: str) -> Callable[[Perform[Any]], Awaitable[Performed]]:
        """Return what performs the effects of one attempt, within the timeout of the handler."""
        perform = partial(self.perform, address)
        handler = self.system.handler_at(address)
        if handler is None or handler.policy.timeout is None:
            return perform
        deadline = asyncio.get_running_loop().time() + handler.policy.timeout
        return partial(_perform_until, deadline, handler.policy.timeout, perform)

    def _progress(self, delivery: Delivery, cancellation: Event[Any] | None = None) -> TurnProgress:
        to = delivery.message.to
        assert isinstance(to, ToHandler)
        is_flow = isinstance(self.system.handler_at(to.address), FlowHandler)
        return TurnProgress(self.backend, delivery, is_flow, cancellation)

    def _interruption(self, delivery: Delivery, cancellation: Event[Any] | None) -> Interruption:
        """Return what interrupts a turn; nothing does where it is that of a cancellation."""
        message = delivery.message
        is_last = cancellation is not None or is_cancellation(message)
        is_workflow_turn = key_of(message.to) is not None
        return Interruption(self.backend, delivery, is_workflow_turn and not is_last)


def _step_observed(
    observation: Observation, step: Step, *arguments: Any, **options: Any
) -> StepResult:
    began = time.perf_counter()
    try:
        return step(*arguments, **options)
    finally:
        observation.stepped(time.perf_counter() - began)


async def _perform_until(
    deadline: float,
    timeout: float,
    perform: Callable[[Perform[Any]], Awaitable[Performed]],
    effect: Perform[Any],
) -> Performed:
    """Perform an effect; at the *deadline*, a time of the loop's clock, it has failed."""
    late = TimeoutError(f"{effect} was not done within the {timeout} s of its handler")
    if asyncio.get_running_loop().time() >= deadline:
        # Not called at all: a timeout in the past would let it run to its first `await`.
        return Performed(effect, error=late)
    try:
        async with asyncio.timeout_at(deadline) as limit:
            return await perform(effect)
    except TimeoutError:
        if not limit.expired():
            raise
        return Performed(effect, error=late)


async def _perform_observed(
    observation: Observation,
    perform: Callable[[Perform[Any]], Awaitable[Performed]],
    effect: Perform[Any],
) -> Performed:
    """Perform an effect, in the task that is made for it."""
    with observation.performing(effect) as observed:
        EFFECT.set(observed)
        done = await perform(effect)
        observed.performed(done)
        return done


def is_committable(commit: Commit, cancellation: Event[Any] | None) -> bool:
    """Return whether a step is committed; a *cancellation* replaces another turn only if it ends
    the workflow.
    """
    if cancellation is not None:
        return commit.record is not None
    return commit.outcome not in UNHANDLED
