"""Early signals: bounds the signals from outside whose workflows have not started."""

import time
from collections.abc import Callable
from typing import Any, Final, final

from attrs import define, field, frozen

from arvo.core.events.event import Event
from arvo.core.violations.issue import Issue
from arvo.core.violations.violation import ExecutionViolation
from arvo.interpreters.ports.backend import Backend
from arvo.interpreters.ports.errors import TooEarly

# Signals that one sender, and all senders together, may have waiting for workflows of one type.
# A signal is early for the moment that its workflow takes to start; one batch over HTTP has 100.
SENDER_SIGNALS_MAX: Final = 100
WORKFLOW_SIGNALS_MAX: Final = 1_000
# A signal whose workflow never starts becomes a dead letter, and counts for an hour: then one type
# of workflow makes at most 24,000 of these dead letters a day in one process.
EARLY_SECONDS: Final = 3_600.0
# When there is no room, so many of the longest waiting workflows are read, at most once a second:
# a refused signal must not cost more than an accepted one.
RECORDS_READ_MAX: Final = 20
READ_SECONDS: Final = 1.0


@final
@frozen
class _Held:
    """A signal for a workflow that had not started at the time *at*."""

    subject: str
    at: float


@final
@define(eq=False)
class _Waiting:
    """The early signals for one type of workflow, by source and id, those read least first."""

    signals: dict[tuple[str, str], _Held] = field(factory=dict)
    read_at: float = float("-inf")

    def has_room(self, source: str) -> bool:
        """Return whether one more signal of this sender is within both limits."""
        if len(self.signals) >= WORKFLOW_SIGNALS_MAX:
            return False
        return sum(sender == source for sender, _ in self.signals) < SENDER_SIGNALS_MAX


@final
@define(eq=False)
class EarlySignals:
    """The early signals that this process has let in, for a limited time and in a limited number.

    A signal leaves when its workflow has started. *clock*: seconds that only go forward.
    """

    backend: Callable[[], Backend]
    clock: Callable[[], float] = time.monotonic
    _by_address: dict[str | None, _Waiting] = field(factory=dict, init=False)

    async def admit(self, event: Event[Any], *, counts: bool = True) -> None:
        """Count a signal whose workflow has not started; raises `TooEarly` if there is no room.

        Without *counts* it is only checked: its sender may still be forbidden to send it.

        The same event counts once, however often it is checked.
        """
        waiting = self._by_address.setdefault(event.to, _Waiting())
        key = event.source, event.id
        if key in waiting.signals:
            return
        if not waiting.has_room(event.source):
            await self._make_room(waiting)
        if not waiting.has_room(event.source):
            raise _too_early(event)
        if counts:
            waiting.signals[key] = _Held(event.subject, self.clock())

    async def _make_room(self, waiting: _Waiting) -> None:
        now = self.clock()
        for key, held in list(waiting.signals.items()):
            if now - held.at >= EARLY_SECONDS:
                del waiting.signals[key]
        if now - waiting.read_at < READ_SECONDS:
            return
        waiting.read_at = now
        for key, held in list(waiting.signals.items())[:RECORDS_READ_MAX]:
            record = await self.backend().load(held.subject)
            waiting.signals.pop(key, None)
            if record is None or not record.init:
                # To the end: the next time others are read.
                waiting.signals[key] = held


def _too_early(event: Event[Any]) -> TooEarly:
    limits = f"{SENDER_SIGNALS_MAX} of one sender, {WORKFLOW_SIGNALS_MAX} of all"
    issue = Issue("subject", "the subject of a workflow that has started", repr(event.subject))
    text = f"too many signals wait for workflows of {event.to} that have not started ({limits})"
    remedy = "begin the workflow first, or send the signal again later"
    return TooEarly(ExecutionViolation(f"{text}: {remedy}", issue))
