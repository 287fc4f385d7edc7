"""Worker: receives a delivery, takes the step, and commits what follows."""

import asyncio
import inspect
import logging
import random
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, Final, TypeAlias, final

from attrs import define, evolve, field

from arvo.core.commit import Commit
from arvo.core.events.event import Event
from arvo.core.events.protocol import timer_event_type
from arvo.core.record import Record
from arvo.core.violations.violation import (
    ExecutionViolation,
    TransactionViolation,
    Violated,
    Violation,
)
from arvo.engine.step.admit import admit_made
from arvo.engine.step.route import ToCaller, ToDomain, ToHandler, Unroutable, route
from arvo.engine.step.step import take
from arvo.engine.system.system import System
from arvo.handlers.effect import Perform, Performed, Retry
from arvo.interpreters.delivery.clock import fresh_stamp, whole_millisecond
from arvo.interpreters.ports.backend import (
    Backend,
    Committed,
    Conflict,
    Corrupt,
    DeadLetter,
    Delivery,
    Destination,
    Duplicate,
    Fenced,
    Message,
    Unavailable,
)
from arvo.interpreters.runtime.effects import is_cancelled, perform
from arvo.interpreters.runtime.record_cache import Recent
from arvo.interpreters.runtime.stats import Stats
from arvo.interpreters.runtime.tally import Tally

logger: Final = logging.getLogger("arvo")
# Whoever wants to hear it sets logging up; without that, Python would print warnings by itself.
logger.addHandler(logging.NullHandler())

Listener: TypeAlias = Callable[[Event[Any]], Awaitable[None] | None]

# Lost races in a row before a delivery is handed back: whoever has the newest record wins sooner.
CONFLICTS_MAX: Final = 10
# What comes to nothing and is kept for an operator.
_BURIED: Final = ("workflow_failed", "unknown_workflow", "wrong_handler")
# A clock that was set back may be set forward again: a timer that came early looks this often.
EARLY_SECONDS_MAX: Final = 30.0


@final
@define
class Worker:
    """What the tasks of a runtime share, and what each of them does.

    *listeners* map domains to functions, None to the one that takes all others. *answered* takes an
    event that went home; *refused* is told of an event to which no answer will come, and why.
    *perform* carries out what handlers ask for.
    """

    system: System
    backend: Backend
    retry: Retry
    now: Callable[[], datetime]
    stats: Stats
    listeners: dict[str | None, Listener]
    answered: Callable[[Event[Any]], None]
    refused: Callable[[Event[Any], Exception], None]
    seen: Callable[[Event[Any]], None]
    perform: Callable[[Perform[Any]], Awaitable[Performed]] = perform
    recent: Recent = field(factory=Recent, init=False)
    idle: set["asyncio.Task[None]"] = field(factory=set, init=False)
    stopped: set[str] = field(factory=set, init=False)
    _tally: Tally = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._tally = Tally(self.stats, self.refused, self.seen)

    async def work(self, queue: str) -> None:
        """Take deliveries of a lane one after the other until the runtime stops."""
        task = asyncio.current_task()
        assert task is not None
        while queue not in self.stopped:
            self.idle.add(task)
            try:
                delivery = await self.backend.receive(queue)
            except Unavailable as error:
                await self._pause(error)
                continue
            finally:
                self.idle.discard(task)
            await self._settle(delivery)

    async def _settle(self, delivery: Delivery) -> None:
        """Carry a delivery through; hand it back where waiting may help, and bury it in the end."""
        try:
            match delivery.message.to:
                case ToHandler():
                    await self._step(delivery)
                case ToDomain() as to:
                    await self._leave(delivery, to)
                case ToCaller():
                    self.answered(delivery.message.event)
                    await self.backend.ack(delivery)
                    self.stats.answered += 1
        except Corrupt:
            raise
        except asyncio.CancelledError:
            if is_cancelled():
                raise
            # A handler or a listener let out a cancellation of its own: no reason to stop working.
            await self._later(delivery, "what was waited for was cancelled")
        except Exception as error:
            # A backend's outage or a bug of ours: either way the event must not be lost.
            if not isinstance(error, Unavailable):
                logger.exception("event %s could not be carried through", delivery.message.event.id)
            await self._later(delivery, f"{type(error).__name__}: {error}")

    async def _step(self, delivery: Delivery) -> None:
        """Take one step from load to commit; again with the newest record where a race was lost."""
        event = delivery.message.event
        for _ in range(CONFLICTS_MAX):
            decided = await self._decided(delivery)
            if not isinstance(decided, Commit):
                await self._refuse(delivery, decided)
                return
            if decided.outcome in _BURIED:
                note = decided.note or decided.outcome
                await self._bury(delivery, note)
                violation = ExecutionViolation(f"event {event.id!r} came to nothing: {note}")
                self.refused(event, Violated(violation))
                return
            messages, dead_letters = self._routed(decided)
            match await self.backend.commit(delivery, decided, messages, dead_letters):
                case Committed():
                    if decided.record is not None:
                        self.recent.keep(decided.record)
                    self._tally.committed(decided, messages, dead_letters)
                    return
                case Duplicate():
                    self.stats.duplicates += 1
                    self.seen(event)
                    return
                case Fenced():
                    self.stats.fenced += 1
                    return
                case Conflict():
                    self.recent.forget(event.subject)
        lost = f"event {event.id!r} lost {CONFLICTS_MAX} races for its record"
        await self._refuse(delivery, TransactionViolation(lost, cause="conflict"))

    async def _decided(self, delivery: Delivery) -> Commit | Violation:
        """Decide on the record as it was left here, or else on the one in the store."""
        event, to = delivery.message.event, delivery.message.to
        if not isinstance(to, ToHandler) or to.key is None:
            return await self._decide(event, None)
        recent = self.recent.get(event.subject)
        if recent is not None:
            decided = await self._decide(event, recent)
            # A commit is refused where the record has moved on; anything else nobody would notice.
            if isinstance(decided, Commit) and decided.outcome not in _BURIED:
                return decided
        return await self._decide(event, await self.backend.load(event.subject))

    async def _decide(self, event: Event[Any], record: Record | None) -> Commit | Violation:
        performed: list[Performed] = []
        while True:
            now = whole_millisecond(self.now())
            stepped = take(self.system, event, record, now=now, performed=performed)
            if not isinstance(stepped, Perform):
                return stepped
            performed.append(await self.perform(stepped))

    def _routed(self, commit: Commit) -> tuple[list[Message], list[DeadLetter]]:
        messages: list[Message] = []
        dead_letters: list[DeadLetter] = []
        for event in commit.events:
            match route(self.system, event, commit.event):
                case Unroutable(reason=reason):
                    dead_letters.append(self._letter(event, reason, 0, None))
                case ToHandler() | ToDomain() | ToCaller() as to:
                    messages.append(Message(event, to))
        return messages, dead_letters

    async def _leave(self, delivery: Delivery, to: ToDomain) -> None:
        """Hand an event to the listener of its domain; an error of theirs loses nothing (B34)."""
        listener = self.listeners.get(to.domain) or self.listeners.get(None)
        if listener is None:
            await self._bury(delivery, f"nobody listens to domain {to.domain!r} (see on_domain)")
            return
        try:
            # It may have come over a wire, where a payload is JSON.
            waiting = listener(admit_made(self.system, delivery.message.event))
            if inspect.isawaitable(waiting):
                await waiting
        except Violated as refused:
            # A promise is broken: nobody waits for that to mend itself.
            await self._refuse(delivery, refused.violation)
            return
        except Exception as error:  # noqa: BLE001 - a listener may raise anything
            after = error.after if isinstance(error, Unavailable) else 0.0
            await self._later(delivery, f"the listener of {to.domain} raised {error!r}", after)
            return
        await self.backend.ack(delivery)
        self.stats.sent_out += 1

    async def _refuse(self, delivery: Delivery, violation: Violation) -> None:
        early = self._early(delivery, violation)
        if early is not None:
            # Only time is missing, however often a clock is set back: never buried for that.
            await self.backend.nack(delivery, early)
            self.stats.retried += 1
            return
        if isinstance(violation, TransactionViolation) and delivery.attempt < self.retry.attempts:
            await self._later(delivery, str(violation))
            return
        await self._bury(delivery, f"{type(violation).__name__}: {violation}", violation)
        self.refused(delivery.message.event, Violated(violation))

    def _early(self, delivery: Delivery, violation: Violation) -> float | None:
        """Say how many seconds a timer still has to wait, where it was handed out too early."""
        event, to = delivery.message.event, delivery.message.to
        if not isinstance(violation, TransactionViolation) or violation.cause != "early":
            return None
        if not isinstance(to, ToHandler) or event.type != timer_event_type(to.address):
            return None
        left = (datetime.fromisoformat(event.raw["at"]) - self.now()).total_seconds()
        return min(max(left, 0.001), EARLY_SECONDS_MAX)

    async def _later(self, delivery: Delivery, reason: str, after: float = 0.0) -> None:
        """Hand a delivery back, to be tried again by the retry policy or buried.

        *after*: seconds that it waits at least.
        """
        try:
            if delivery.attempt >= self.retry.attempts:
                await self._bury(delivery, reason)
                self.refused(delivery.message.event, Violated(TransactionViolation(reason)))
                return
        except Unavailable as error:
            # It cannot be buried now, and nobody else will hand it out again: it stays under way.
            await self._pause(error)
        try:
            chance = random.random()  # noqa: S311 - spreads retries; no secret
            wait = max(after, self.retry.wait_after(delivery.attempt, chance))
            await self.backend.nack(delivery, wait)
            self.stats.retried += 1
        except Unavailable as error:
            await self._pause(error)

    async def _bury(
        self, delivery: Delivery, reason: str, violation: Violation | None = None
    ) -> None:
        event, to = delivery.message.event, delivery.message.to
        dead_letter = self._letter(event, reason, delivery.attempt, to)
        await self.backend.dead_letter(delivery, evolve(dead_letter, violation=violation))
        self.stats.dead_lettered += 1
        logger.warning("event %s (%s) is a dead letter: %s", event.id, event.type, reason)

    def _letter(
        self, event: Event[Any], reason: str, attempts: int, to: Destination | None
    ) -> DeadLetter:
        at = self.now().isoformat(timespec="milliseconds")
        return DeadLetter(
            id=fresh_stamp().id, event=event, reason=reason, attempts=attempts, at=at, to=to
        )

    async def _pause(self, error: Unavailable) -> None:
        logger.warning("the backend is unavailable, trying again: %s", error)
        await asyncio.sleep(self.retry.wait_after(1, random.random()))  # noqa: S311
