"""Dead letters: makes and stores the dead letters of a worker."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final, final

from attrs import frozen

from arvo.core.events.event import Event
from arvo.core.violations.violation import Violation
from arvo.interpreters.delivery.clock import fresh_stamp
from arvo.interpreters.delivery.log import get_logger
from arvo.interpreters.ports.backend import Backend
from arvo.interpreters.ports.messages import DeadLetter, Delivery, Destination
from arvo.interpreters.runtime.stats import Stats

logger: Final = get_logger()


@final
@frozen
class DeadLetterWriter:
    """Makes dead letters by the clock *now*, stores them in *backend*, counts and logs them."""

    backend: Backend
    now: Callable[[], datetime]
    stats: Stats

    def make(
        self,
        event: Event[Any],
        reason: str,
        *,
        attempts: int = 0,
        to: Destination | None = None,
        violation: Violation | None = None,
    ) -> DeadLetter:
        """Make a dead letter. *attempts*, *to*, *violation*: see `DeadLetter`."""
        return DeadLetter(
            id=fresh_stamp().id,
            event=event,
            reason=reason,
            attempts=attempts,
            at=self.now().isoformat(timespec="milliseconds"),
            to=to,
            violation=violation,
        )

    async def write(
        self,
        delivery: Delivery,
        reason: str,
        violation: Violation | None = None,
        *,
        attempts: int | None = None,
    ) -> None:
        """Store a delivery's event as a dead letter, and acknowledge the delivery.

        *attempts*: by default this delivery is the last attempt.
        """
        event = delivery.message.event
        dead_letter = self.make(
            event,
            reason,
            attempts=delivery.attempt if attempts is None else attempts,
            to=delivery.message.to,
            violation=violation,
        )
        await self.backend.dead_letter(delivery, dead_letter)
        self.stats.dead_lettered += 1
        logger.warning("event %s (%s) is a dead letter: %s", event.id, event.type, reason)
