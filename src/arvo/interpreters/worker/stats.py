"""Stats: counts the outcomes of events, logs them, and reports them to pending requests."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any, Final, final

from attrs import define, frozen

from arvo.core.command import Log
from arvo.core.commit import Commit
from arvo.core.events.event import Event
from arvo.core.events.protocol import SystemFault
from arvo.core.record import Record
from arvo.core.violations.violation import ConfigViolation, ExecutionViolation, Violated
from arvo.interpreters.delivery.log import attribute_fields, fields, get_logger, log_dead_letter
from arvo.interpreters.ports.errors import NoReply
from arvo.interpreters.ports.messages import DeadLetter, Message
from arvo.interrupts import is_interrupt

logger: Final = get_logger("worker")
# What handlers log by the command `Log`, apart from what the worker does.
handler_logger: Final = get_logger("handlers")


@final
@define
class Stats:
    """The number of deliveries since the runtime started, by outcome. Every delivery is counted.

    *handled*: the handler returned. *failed*: it failed with a system error. *cancelled*: the last
    turn of a cancelled workflow, also where it replaced the turn of the event. *duplicates*:
    consumed before. *late*: for a workflow that has ended, or a timer that is no longer pending.
    *dead_lettered*: stored as a dead letter with a reason. *sent_out*: processed by the listener of
    its domain. *answered*: taken by the pending request or the listener of its caller. *unclaimed*:
    an answer to a caller that has neither. *retried*: returned to the backend for another attempt.
    *released*: returned without an attempt: it waits for a slot of its limits, or for the workers
    that serve it. *fenced*: reassigned to another worker, after the lease of this one expired.
    """

    handled: int = 0
    failed: int = 0
    cancelled: int = 0
    duplicates: int = 0
    late: int = 0
    dead_lettered: int = 0
    sent_out: int = 0
    answered: int = 0
    unclaimed: int = 0
    retried: int = 0
    released: int = 0
    fenced: int = 0


@final
@frozen
class OutcomeRecorder:
    """Records each commit: in *stats*, in the log, and for the requests that wait for it.

    *on_refused* and *on_duplicate*: see `Worker`.
    """

    stats: Stats
    on_refused: Callable[[Event[Any], Exception], None]
    on_duplicate: Callable[[Event[Any]], None]

    def record_commit(
        self, commit: Commit, messages: Sequence[Message], dead_letters: Sequence[DeadLetter]
    ) -> None:
        """Record a commit. Never raises, because the commit is applied already."""
        try:
            self._count(commit, dead_letters)
            _log_commit(commit)
            for dead_letter in dead_letters:
                log_dead_letter(dead_letter, commit.handler)
            self._notify(commit, messages, dead_letters)
        except BaseException as error:
            if is_interrupt(error):
                raise
            # A log filter of the user may raise. Then our logger would raise again, so the error
            # goes to the event loop's exception handler.
            text = f"event {commit.event.id} was handled, but its outcome could not be reported"
            asyncio.get_running_loop().call_exception_handler({"message": text, "exception": error})

    def record_replaced(self, event: Event[Any], commit: Commit) -> None:
        """Record that the cancellation of *commit* was handled in place of *event*.

        The delivery is counted with the commit, and that of the cancellation is a duplicate.
        """
        note = "its workflow was cancelled before its turn was committed"
        extra = fields(event, handler=commit.handler, cancellation=commit.event.id)
        logger.info("a turn was replaced by a cancellation", extra=extra)
        if commit.record is not None and commit.record.init != event.id:
            # The sender of the event that would have started the workflow gets the system error.
            late = f"event {event.id!r} came too late: {note}"
            self.on_refused(event, Violated(ExecutionViolation(late)))

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
                raise AssertionError(f"{commit.outcome} is dead-lettered, not committed")
        self.stats.dead_lettered += len(dead_letters)

    def _notify(
        self, commit: Commit, messages: Sequence[Message], dead_letters: Sequence[DeadLetter]
    ) -> None:
        """Fail the request of this event, if the commit means that no answer will come."""
        event = commit.event
        if dead_letters and not messages:
            reason = f"the answer to {event.id!r} is a dead letter: {dead_letters[0].reason}"
            self.on_refused(event, Violated(ConfigViolation(reason)))
        elif commit.outcome == "duplicate":
            self.on_duplicate(event)
        elif commit.outcome == "late":
            late = f"event {event.id!r} came too late: {commit.note}"
            self.on_refused(event, Violated(ExecutionViolation(late)))
        elif commit.record is None and not commit.events and commit.outcome == "handled":
            text = f"event {event.id!r} was handled by {commit.handler}, which answers nothing"
            self.on_refused(event, NoReply(text))


_LEVELS: Final = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "critical": logging.CRITICAL,
}


def _log_commit(commit: Commit) -> None:
    """Log what a commit that is durable reports: the handler's `Log` commands, and a failure."""
    record = commit.record
    for log in commit.logs:
        _log(log, commit)
    if commit.outcome == "failed":
        if record is None:
            _log_failed_handler(commit)
        elif record.failure is not None:
            _log_failed_workflow(commit, record, record.failure)


def _log(log: Log, commit: Commit) -> None:
    level = _LEVELS.get(log.level, logging.INFO)
    # Most of it is below the level of the logger.
    if handler_logger.isEnabledFor(level):
        record = commit.record
        revision = (commit.expected or None) if record is None else record.revision
        known = fields(commit.event, handler=commit.handler, revision=revision)
        handler_logger.log(level, log.message, extra=attribute_fields(log.attributes) | known)


def _log_failed_handler(commit: Commit) -> None:
    # The caller of an event handler gets the system error; it decides what that means.
    faults = (event.data for event in commit.events if isinstance(event.data, SystemFault))
    for fault in faults:
        extra = fields(commit.event, handler=commit.handler, error=fault.name, reason=fault.message)
        logger.info("a handler failed", extra=extra)
        return


def _log_failed_workflow(commit: Commit, record: Record, failure: SystemFault) -> None:
    extra = fields(
        commit.event,
        handler=commit.handler,
        revision=record.revision,
        error=failure.name,
        reason=failure.message,
        remedy="remove the cause, then: arvo revive SYSTEM SUBJECT",
    )
    logger.warning("a workflow failed", extra=extra)
