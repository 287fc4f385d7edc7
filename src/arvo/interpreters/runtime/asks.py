"""Asks: makes the signals that a client sends, and finds the answers of their workflows."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Final, final

from attrs import define, field

from arvo.core.contracts.versioned import VersionedContract
from arvo.core.events.event import Event
from arvo.core.events.subject import Subject
from arvo.core.record import Record
from arvo.core.violations.issue import Issue, short_repr
from arvo.core.violations.violation import ConfigViolation, ContractViolation, Violated
from arvo.engine.system.handler import is_workflow
from arvo.engine.system.system import System
from arvo.handlers.services import Services
from arvo.interpreters.ports.backend import Backend, find_outputs
from arvo.interpreters.ports.errors import NoReply, Unavailable
from arvo.interpreters.runtime.operations import history_entries, workflow_handler

# The source of the signals of a client that names none.
CLIENT_SOURCE: Final = "arvo.client"
# The first and the longest pause between two reads of a workflow whose answer a caller awaits.
POLL_SECONDS_MIN: Final = 0.02
POLL_SECONDS_MAX: Final = 1.0
# How many reads a second all callers of a process make together, until each makes one a second.
READS_PER_SECOND: Final = 500
# How long a caller waits for an answer, by default.
TIMEOUT_SECONDS: Final = 30.0


def make_signal(
    system: System,
    subject: str,
    record: Record | None,
    payload: object,
    *,
    type: str | None,  # noqa: A002 - the wire's name
    options: Mapping[str, Any],
) -> Event[Any]:
    """Make the event that signals a workflow.

    *record*: its record, or None if it has not begun. *options*: those of the event factory, the
    source among them. Raises `Violated` if the workflow takes no such signal.
    """
    handler = workflow_handler(system, subject)
    version = Subject.parse(subject).orchestrator.version if record is None else record.version
    signal = _find_signal(handler.source, handler.signals_of(version), payload, type)
    return signal.accepts(payload, **{**options, "to": handler.source, "subject": subject})


def _find_signal(
    workflow: str, signals: Services, payload: object, event_type: str | None
) -> VersionedContract[Any]:
    if event_type is not None:
        if event_type in signals.by_type:
            return signals.by_type[event_type]
    elif (signal := signals.request_of.get(type(payload))) is not None:
        return signal
    known = ", ".join(signals.by_type) or "none"
    got = short_repr(payload) if event_type is None else repr(event_type)
    path = "payload" if event_type is None else "type"
    hint = ", or a mapping with `type=`" if path == "payload" else ""
    issue = Issue(path, f"that of one signal of the workflow ({known}){hint}", got)
    raise Violated(ContractViolation(f"{workflow} takes no such signal", issue))


def require_answer(system: System, event: Event[Any]) -> None:
    """Raise `Violated` for a signal whose contract has no answer: nothing would ever come."""
    if has_answer(system, event):
        return
    issue = Issue("type", "a signal whose contract emits an answer; else use `signal`", event.type)
    raise Violated(ConfigViolation(f"{event.to} answers no such signal", issue))


def has_answer(system: System, event: Event[Any]) -> bool:
    """Return whether *event* is a signal whose contract has an answer."""
    handler = system.handler_at(event.to)
    if not is_workflow(handler):
        return False
    signals = [handler.signals_of(version).by_type.get(event.type) for version in handler.versions]
    return any(signal is not None and signal.emitted for signal in signals)


def is_asked(system: System, event: Event[Any]) -> bool:
    """Return whether *event* is a signal, whose answer the history of its workflow has."""
    handler = system.handler_at(event.to)
    return is_workflow(handler) and any(
        event.type in handler.signals_of(version).by_type for version in handler.versions
    )


async def poll_for_signal_answer(
    backend: Backend, event: Event[Any], callers: Callable[[], int]
) -> Event[Any]:
    """Read a workflow until it has answered the signal *event*, and return the answer.

    Any process may take the signal, and may have done so before. *callers*: how many callers of
    this process read now; with many of them each pauses longer. Raises `NoReply` if the workflow
    has ended without an answer.
    """
    pause, search = POLL_SECONDS_MIN, _Search(backend, event)
    while True:
        try:
            # Before the answer is looked for: a workflow may answer in its last turn.
            record = await backend.load(event.subject)
            answer = await search.find()
        except Unavailable:
            record = answer = None
        if answer is not None:
            return answer
        if record is not None and record.init and record.status != "active":
            text = f"the workflow is {record.status}, and has not answered signal {event.id!r}"
            raise NoReply(text)
        await asyncio.sleep(max(pause, shortest_pause(callers())))
        pause = min(2 * pause, POLL_SECONDS_MAX)


def shortest_pause(callers: int) -> float:
    """Return the shortest pause between two reads of a workflow, in seconds.

    With many callers that wait, most answers come by themselves, but late: the reads for them must
    not take the time of the work.
    """
    return min(callers / READS_PER_SECOND, POLL_SECONDS_MAX)


@final
@define(eq=False)
class _Search:
    """The search for the answer to a *signal*; each reads only what is new in the history."""

    backend: Backend
    signal: Event[Any]
    # The newest entry that an earlier search has read.
    _read: int = field(default=-1, init=False)

    async def find(self) -> Event[Any] | None:
        """Return the answer, or None if the workflow has not produced it."""
        if (retaining := find_outputs(self.backend)) is not None:
            outputs = await retaining.answers(self.signal.subject, self.signal.id)
            return next((event for event in outputs if self._is_answer(event)), None)
        newest = self._read
        async for entry in history_entries(self.backend, self.signal.subject):
            newest = max(newest, entry.position)
            if entry.position <= self._read:
                break
            if entry.kind == "produced" and entry.event and self._is_answer(entry.event):
                return entry.event
        self._read = newest
        return None

    def _is_answer(self, event: Event[Any]) -> bool:
        to = self.signal.redirectto or self.signal.source
        return event.parentid == self.signal.id and event.to == to
