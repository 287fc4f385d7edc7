"""Retry: decides when a failed delivery is tried again, and when it becomes a dead letter."""

import asyncio
import random
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final, final

from attrs import field, frozen

from arvo.core.commit import Commit
from arvo.core.events.event import Event
from arvo.core.events.protocol import timer_event_type
from arvo.core.violations.violation import (
    ConfigViolation,
    ExecutionViolation,
    TransactionViolation,
    Violated,
    Violation,
)
from arvo.engine.step.route import ToCaller, ToHandler
from arvo.engine.system.missing import ServiceVersion, missing_service
from arvo.handlers.effect import Retry
from arvo.interpreters.delivery.log import LineLimit, fields, get_logger
from arvo.interpreters.ports.backend import Backend
from arvo.interpreters.ports.errors import BlobUnavailable, Unavailable
from arvo.interpreters.ports.messages import Delivery
from arvo.interpreters.ports.observer import doing, settle
from arvo.interpreters.ports.services import ReleasesDeliveries
from arvo.interpreters.services.directory import ServiceDirectory
from arvo.interpreters.services.handover import Handover
from arvo.interpreters.worker.dead_letters import DeadLetterWriter
from arvo.interpreters.worker.stats import Stats

logger: Final = get_logger("worker")

# The longest delay of a timer that was delivered too early. A clock that was set back may be set
# forward again, so the timer is tried at least this often.
EARLY_SECONDS_MAX: Final = 30.0
EARLY_SECONDS_MIN: Final = 0.001


@final
@frozen
class DeliveryRetry:
    """Returns failed deliveries to the backend, by the retry policy of the handler, else *default*.

    *directory* and *handover*: for deliveries that this process lacks the version for, and another
    worker may have. *on_refused* is called with each event that became a dead letter, and the
    reason, *on_unavailable* with each outage of the backend.
    """

    backend: Backend
    default: Retry
    now: Callable[[], datetime]
    stats: Stats
    dead_letters: DeadLetterWriter
    directory: ServiceDirectory
    handover: Handover
    on_refused: Callable[[Event[Any], Exception], None]
    on_unavailable: Callable[[Unavailable], None]
    # All tasks of the process meet the same outage.
    _outage: LineLimit = field(factory=LineLimit, init=False)

    async def refuse(self, delivery: Delivery, violation: Violation) -> None:
        """Retry a delivery that a violation stopped, if time or another worker can help; else
        dead-letter it.
        """
        reason = f"{type(violation).__name__}: {violation}"
        if await self._hand_over(delivery, reason, violation):
            return
        delay = self._timer_delay(delivery, violation)
        if delay is not None:
            # Not counted as an attempt that failed: a timer never becomes a dead letter because the
            # clock was set back.
            await self._defer(delivery, delay, violation)
            return
        if isinstance(violation, TransactionViolation) and self.is_retryable(delivery):
            if violation.cause == "early":
                await self.defer(delivery, violation)
            else:
                await self.retry_later(delivery, str(violation), violation=violation)
            return
        if await self.dead_letters.write(delivery, reason, violation):
            self.on_refused(delivery.message.event, Violated(violation))

    def is_retryable(self, delivery: Delivery) -> bool:
        """Return whether the policy allows another attempt."""
        return delivery.attempt < self.policy_of(delivery).attempts

    def policy_of(self, delivery: Delivery) -> Retry:
        """Return the retry policy of the handler that a delivery is for."""
        to = delivery.message.to
        handler = None
        if isinstance(to, ToHandler):
            handler = self.directory.system.handler_at(to.address)
        return self.default if handler is None else handler.policy.retry or self.default

    async def defer(self, delivery: Delivery, violation: Violation) -> None:
        """Return an event that came before its workflow started; what is behind it goes first."""
        await self._defer(delivery, self._delay(delivery), violation)

    async def refuse_unhandled(self, delivery: Delivery, decided: Commit) -> None:
        """Dead-letter an event that changes nothing, unless its workflow may still start, or
        another worker may know the workflow.
        """
        event, note = delivery.message.event, decided.note or decided.outcome
        violation = ExecutionViolation(f"no handler consumed event {event.id!r}: {note}")
        if await self._hand_over(delivery, note, violation):
            return
        if decided.outcome == "unknown_workflow" and self.is_retryable(delivery):
            await self.defer(delivery, violation)
            return
        if await self.dead_letters.write(delivery, note, outcome=decided.outcome):
            self.on_refused(event, Violated(violation))

    async def retry_later(
        self,
        delivery: Delivery,
        reason: str,
        after: float = 0.0,
        violation: Violation | None = None,
    ) -> None:
        """Return a delivery to the backend by the retry policy, or dead-letter it at the end.

        *after*: the shortest delay in seconds.
        """
        try:
            if not self.is_retryable(delivery):
                if await self.dead_letters.write(delivery, reason):
                    refused = Violated(TransactionViolation(reason))
                    self.on_refused(delivery.message.event, refused)
                return
        except Unavailable as error:
            # No dead letter could be stored. The delivery is returned below instead: no other
            # worker would deliver it again while this one owns it.
            await self.pause(error)
        await self._return(delivery, reason, after)
        settle(delivery, "retried", violation=violation, reason=reason)

    async def wait_for_blobs(self, delivery: Delivery, error: BlobUnavailable) -> None:
        """Return a delivery that needs a blob store, however often: no outage makes a dead letter.

        It is no `pause`: what needs no blob goes on.
        """
        if self._outage.is_due():
            extra = fields(reason=error, unlogged=self._outage.unlogged)
            logger.warning("the blob store is unavailable, trying again", extra=extra)
        self.on_unavailable(error)
        await self._return(delivery, str(error), error.after)
        settle(delivery, "retried", reason=str(error))

    async def end(self, delivery: Delivery) -> None:
        """Dead-letter a delivery whose workers died, without another attempt."""
        reason = f"its worker died {delivery.deaths} times"
        try:
            is_stored = await self.dead_letters.write(
                delivery, reason, attempts=delivery.attempt - 1
            )
        except Unavailable as error:
            await self.pause(error)
            await self._return(delivery, reason)
            settle(delivery, "retried", reason=reason)
            return
        if is_stored:
            self.on_refused(delivery.message.event, Violated(ExecutionViolation(reason)))

    async def _return(self, delivery: Delivery, reason: str, after: float = 0.0) -> None:
        try:
            delay = max(after, self._delay(delivery))
            with doing(delivery, "nack"):
                await self.backend.nack(delivery, delay)
            self._record_retry(delivery, reason, delay)
        except Unavailable as error:
            await self.pause(error)

    def _delay(self, delivery: Delivery) -> float:
        return self.policy_of(delivery).wait_after(delivery.attempt, _jitter())

    async def _defer(self, delivery: Delivery, delay: float, violation: Violation) -> None:
        try:
            with doing(delivery, "nack"):
                await self.backend.defer(delivery, delay)
            self._record_retry(delivery, str(violation), delay)
        except Unavailable as error:
            # As after `nack`: the message is delivered again, and this delivery is settled.
            await self.pause(error)
        settle(delivery, "retried", violation=violation)

    def _record_retry(self, delivery: Delivery, reason: str, delay: float) -> None:
        self.stats.retried += 1
        extra = fields(
            delivery.message.event,
            attempt=delivery.attempt,
            attempts_max=self.policy_of(delivery).attempts,
            wait=round(delay, 3),
            reason=reason,
        )
        logger.info("delivery retried", extra=extra)

    async def wait_for_listener(self, delivery: Delivery, to: ToCaller) -> None:
        """Return an answer whose listener is gone, or dead-letter it after the grace period."""
        match self.handover.decide(delivery, to, ()):
            case str(absence):
                reason = f"answered to an address that is not known: {to.address}; {absence}"
                await self.dead_letters.write(delivery, reason)
            case float(delay):
                await self._release(delivery, delay)

    async def return_unattempted(self, delivery: Delivery, after: float) -> None:
        """Return a delivery that could not be tried, for any worker; this uses up no attempt.

        *after*: the shortest delay in seconds. It grows each time.
        """
        await self._release(delivery, max(after, self.handover.delay(delivery)))

    async def pause(self, error: Unavailable) -> None:
        """Wait for the first delay of the policy, because the backend is unavailable."""
        if self._outage.is_due():
            extra = fields(reason=error, unlogged=self._outage.unlogged)
            logger.warning("the backend is unavailable, trying again", extra=extra)
        self.on_unavailable(error)
        await asyncio.sleep(self.default.wait_after(1, _jitter()))

    async def _hand_over(self, delivery: Delivery, reason: str, violation: Violation) -> bool:
        """Settle a delivery that this process lacks the handler or the version for; else False.

        It is released for other workers while one of them may serve it, and then dead-lettered.
        """
        missing = await self._missing(delivery, violation)
        if missing is None:
            return False
        try:
            registered = await self.directory.registered()
        except Unavailable:
            # Which workers are live is unknown, so the event must not become a dead letter.
            await self._release(delivery, self.handover.delay(delivery))
            return True
        match self.handover.decide(delivery, missing, registered):
            case str(absence):
                if await self.dead_letters.write(delivery, f"{reason}; {absence}", violation):
                    self.on_refused(delivery.message.event, Violated(violation))
            case float(delay):
                await self._release(delivery, delay)
        return True

    async def _missing(self, delivery: Delivery, violation: Violation) -> ServiceVersion | None:
        event, to, record = delivery.message.event, delivery.message.to, None
        if not isinstance(to, ToHandler) or to.address in self.directory.listeners.addresses:
            return None
        if to.key is not None and isinstance(violation, ConfigViolation):
            # It may have been moved to another version than its subject names.
            record = await self.backend.load(event.subject)
        return missing_service(self.directory.system, event, record)

    async def _release(self, delivery: Delivery, delay: float) -> None:
        """Return a delivery for any worker, without an attempt where the backend can do that."""
        try:
            with doing(delivery, "nack"):
                if isinstance(self.backend, ReleasesDeliveries):
                    await self.backend.release(delivery, delay)
                else:
                    await self.backend.nack(delivery, delay)
            self.stats.released += 1
            extra = fields(delivery.message.event, wait=round(delay, 3))
            logger.debug("delivery released for another worker", extra=extra)
        except Unavailable as error:
            # As after `nack`: the message is delivered again.
            await self.pause(error)
        settle(delivery, "released")

    def _timer_delay(self, delivery: Delivery, violation: Violation) -> float | None:
        """Return the seconds until a timer that was delivered early is due; None for all others."""
        event, to = delivery.message.event, delivery.message.to
        if not isinstance(violation, TransactionViolation) or violation.cause != "early":
            return None
        if not isinstance(to, ToHandler) or event.type != timer_event_type(to.address):
            return None
        left = (datetime.fromisoformat(event.raw["at"]) - self.now()).total_seconds()
        return min(max(left, EARLY_SECONDS_MIN), EARLY_SECONDS_MAX)


def _jitter() -> float:
    return random.random()  # noqa: S311 - spreads retries, not a secret
