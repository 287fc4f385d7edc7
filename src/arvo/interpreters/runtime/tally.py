"""Tally: what became of events, counted, logged, and told to whoever waits for an answer."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any, Final, final

from attrs import frozen

from arvo.core.command import Log
from arvo.core.commit import Commit
from arvo.core.events.event import Event
from arvo.core.violations.violation import ConfigViolation, ExecutionViolation, Violated
from arvo.interpreters.ports.backend import DeadLetter, Message, NoReply
from arvo.interpreters.runtime.stats import Stats

logger: Final = logging.getLogger("arvo")


@final
@frozen
class Tally:
    """Counts in *stats*; *refused* and *seen* are the runtime's (see `Worker`)."""

    stats: Stats
    refused: Callable[[Event[Any], Exception], None]
    seen: Callable[[Event[Any]], None]

    def committed(
        self, commit: Commit, messages: Sequence[Message], dead_letters: Sequence[DeadLetter]
    ) -> None:
        """Count a commit and tell of it; whatever goes wrong here, it is applied."""
        try:
            self._count(commit, dead_letters)
            for log in commit.logs:
                _say(log, commit)
            self._tell(commit, messages, dead_letters)
        except Exception as error:  # noqa: BLE001
            # A log filter of the user's may raise: not our logger then, the loop's own handler.
            said = f"event {commit.event.id} was handled, and could not be told of"
            asyncio.get_running_loop().call_exception_handler({"message": said, "exception": error})

    def _count(self, commit: Commit, dead_letters: Sequence[DeadLetter]) -> None:
        match commit.outcome:
            case "handled":
                self.stats.handled += 1
            case "failed":
                self.stats.failed += 1
            case "cancelled":
                self.stats.cancelled += 1
            case "duplicate":
                self.stats.duplicates += 1
            case "late":
                self.stats.late += 1
            case "workflow_failed" | "unknown_workflow" | "wrong_handler":
                raise AssertionError(f"{commit.outcome} is buried, not committed")
        self.stats.dead_lettered += len(dead_letters)

    def _tell(
        self, commit: Commit, messages: Sequence[Message], dead_letters: Sequence[DeadLetter]
    ) -> None:
        """Tell whoever waits for an event's answer that none will come any more."""
        event = commit.event
        if dead_letters and not messages:
            reason = f"the answer to {event.id!r} goes nowhere: {dead_letters[0].reason}"
            self.refused(event, Violated(ConfigViolation(reason)))
        elif commit.outcome == "duplicate":
            self.seen(event)
        elif commit.outcome == "late":
            late = f"event {event.id!r} came too late: {commit.note}"
            self.refused(event, Violated(ExecutionViolation(late)))
        elif commit.record is None and not commit.events and commit.outcome == "handled":
            said = f"event {event.id!r} was handled by {commit.handler}, which answers nothing"
            self.refused(event, NoReply(said))


_LEVELS: Final = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "critical": logging.CRITICAL,
}


def _say(log: Log, commit: Commit) -> None:
    logger.log(
        _LEVELS.get(log.level, logging.INFO),
        "%s",
        log.message,
        # Not one by one: logging refuses names of its own, such as `name` and `message`.
        extra={
            "arvo_handler": commit.handler,
            "arvo_event": commit.event.id,
            "arvo_attributes": log.attributes,
        },
    )
