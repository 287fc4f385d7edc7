"""Losses: checks that events end where they must: dead letters, cancellations, and dead workers."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, final

from attrs import define, evolve, field

from arvo.core.events.event import Event
from arvo.core.events.protocol import cancel_type
from arvo.core.record import Record
from arvo.interpreters.ports.messages import DeadLetter, Delivery, Message
from arvo.testing.simulation.checks.report import Report, token_of


@final
@define(eq=False)
class Losses:
    """The dead letters that must be stored, the refused events, and the deaths of workers."""

    report: Report
    _dead_letters: list[DeadLetter] = field(factory=list, init=False)
    _reused: list[Event[Any]] = field(factory=list, init=False)
    _refused: list[Event[Any]] = field(factory=list, init=False)
    _kills: Counter[int] = field(factory=Counter, init=False)

    def add_kill(self, delivery: Delivery) -> None:
        """Record that a delivery ended its worker."""
        self._kills[token_of(delivery)[0]] += 1
        self.report.add_note(delivery, "ended its worker")

    def check_deaths(self, delivery: Delivery) -> None:
        """Check that each worker that a delivery ended was counted (I11)."""
        kills = self._kills[token_of(delivery)[0]]
        if delivery.deaths < kills:
            problem = f"{kills} workers died, and {delivery.deaths} deaths were counted"
            self.report.add_violation("I11", problem, delivery)

    def add_refused(self, message: Message) -> None:
        """Record an event that the broker refuses, because it is too large."""
        self._refused.append(message.event)

    def forget_refused(self, message: Message) -> None:
        """Forget a refused event of which its sender learned."""
        key = event_key(message.event)
        self._reused = [each for each in self._reused if each != message.event]
        self._refused = [each for each in self._refused if event_key(each) != key]

    def add_dead_letters(self, dead_letters: Iterable[DeadLetter]) -> None:
        """Record dead letters that must be stored."""
        self._dead_letters += dead_letters

    def check_dead_letters(
        self, stored: Iterable[DeadLetter], now: datetime
    ) -> Iterator[DeadLetter]:
        """Check that every dead letter is stored, and one of each refused event (I8).

        Yield those of refused events, which no worker has seen.
        """
        by_key = {event_key(dead_letter.event): dead_letter for dead_letter in stored}
        for dead_letter in self._dead_letters:
            if event_key(dead_letter.event) not in by_key:
                problem = f"the dead letter of {dead_letter.event.type} is lost"
                self.report.add_violation("I8", problem, None)
        for number, event in enumerate(self._refused, start=1):
            if (found := by_key.get(event_key(event))) is not None:
                # The pair gave it a random id, and the time of the real clock.
                at = now.isoformat(timespec="milliseconds")
                yield evolve(found, id=f"too-large-{number}", at=at)
            else:
                problem = f"{event.type} was too large, and there is no dead letter of it"
                self.report.add_violation("I8", problem, None)

    def add_reused(self, event: Event[Any]) -> None:
        """Record another event with the id of one that was consumed."""
        self._reused.append(event)

    def check_reused(self, dead_letters: Iterable[DeadLetter]) -> None:
        """Check that each event with the id of one that was consumed is a dead letter (I2)."""
        dead = [dead_letter.event for dead_letter in dead_letters]
        for event in self._reused:
            if event not in dead:
                problem = f"another {event.type} with a known id was taken for the first one"
                self.report.add_violation("I2", problem, None)

    def check_cancellations(
        self, accepted: Iterable[Message], records: Mapping[str, Record]
    ) -> None:
        """Check that no workflow is active whose cancellation was accepted and settled."""
        dead = {event_key(dead_letter.event) for dead_letter in self._dead_letters}
        for message in accepted:
            event, record = message.event, records.get(message.event.subject)
            if record is None or record.status != "active" or event_key(event) in dead:
                continue
            if event.type == cancel_type(record.handler):
                problem = f"{record.handler} is active after its cancellation"
                self.report.add_violation("cancelled", problem, None)


def event_key(event: Event[Any]) -> tuple[str, str, str]:
    """Return the parts of an event that identify it."""
    return event.source, event.id, event.type
