"""Dead letters: makes and stores the dead letters of a worker."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, final

from attrs import frozen

from arvo.core.events.event import Event
from arvo.core.violations.violation import Violation
from arvo.interpreters.delivery.clock import fresh_stamp
from arvo.interpreters.delivery.log import log_dead_letter
from arvo.interpreters.ports.backend import Backend
from arvo.interpreters.ports.messages import DeadLetter, Delivery, Destination
from arvo.interpreters.ports.observation import Settled
from arvo.interpreters.ports.observer import doing, settle
from arvo.interpreters.ports.results import Committed, Duplicate, Fenced
from arvo.interpreters.worker.stats import Stats


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
        id_: str = "",
    ) -> DeadLetter:
        """Make a dead letter. *attempts*, *to*, *violation*: see `DeadLetter`. *id_*: if it
        needs a certain one.
        """
        return DeadLetter(
            id=id_ or fresh_stamp().id,
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
        outcome: Settled = "dead_lettered",
    ) -> bool:
        """Store a delivery's event as a dead letter, and acknowledge the delivery.

        Return False where another worker has the delivery by now, or has consumed its event.
        *attempts*: by default this delivery is the last attempt. *outcome*: what an observer gets.
        """
        message = delivery.message
        event, is_text = message.event, bool(message.unreadable)
        if message.pending is not None and message.lacks_data:
            # Its reference, which a redrive needs.
            event, is_text = message.pending.stand_in(), True
        dead_letter = self.make(
            event,
            reason,
            attempts=delivery.attempt if attempts is None else attempts,
            to=message.to,
            violation=violation,
            id_=event.id if is_text else "",
        )
        with doing(delivery, "dead_letter"):
            written = await self.backend.dead_letter(delivery, dead_letter)
        match written:
            case Committed():
                self.stats.dead_lettered += 1
                log_dead_letter(dead_letter)
                settle(delivery, outcome, violation=violation, reason=reason)
                return True
            case Duplicate():
                self.stats.duplicates += 1
                settle(delivery, "duplicate")
            case Fenced():
                self.stats.fenced += 1
                settle(delivery, "fenced")
        return False
