"""Trace: everything that happened in a run."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypeAlias, final

from attrs import frozen

from arvo.core.commit import Commit
from arvo.core.events.event import Event
from arvo.core.events.protocol import SystemFault
from arvo.core.record import Record
from arvo.core.violations.violation import Violation
from arvo.engine.sequence_diagram import WIDTH, Arrow, draw_sequence
from arvo.engine.step.route import Route, ToCaller, ToDomain, ToHandler, Unroutable


@final
@frozen
class StepTaken:
    """One step of a run: the *event*, the record *before* the step, and the commit."""

    event: Event[Any]
    before: Record | None
    commit: Commit


@final
@frozen
class Refused:
    """An event that was a violation; it changed nothing."""

    event: Event[Any]
    violation: Violation


TraceEntry: TypeAlias = StepTaken | Refused


@final
@frozen(kw_only=True)
class Trace:
    """The result of `run`. All collections are in the order of the run.

    *root*: the first event. *entries*: the steps and the refused events. *sent*: every event with
    its destination, the root first. *records*: the final record of each workflow, by subject.
    *pending*: the events that were still to deliver when the run reached its limit; empty if the
    system became idle. *remote*: those for handlers that run in other processes. *now*: the virtual
    time at the end.
    """

    root: Event[Any]
    entries: tuple[TraceEntry, ...]
    sent: tuple[tuple[Event[Any], Route], ...]
    records: Mapping[str, Record]
    pending: tuple[Event[Any], ...] = ()
    remote: tuple[Event[Any], ...] = ()
    now: datetime

    @property
    def events(self) -> tuple[Event[Any], ...]:
        """Every event, the root first."""
        return tuple(event for event, _ in self.sent)

    @property
    def answers(self) -> tuple[Event[Any], ...]:
        """The events that went back to the caller."""
        return tuple(event for event, to in self.sent if isinstance(to, ToCaller))

    @property
    def answer(self) -> Event[Any] | None:
        """The first event that went back to the caller; `Runtime.request` returns it."""
        return next(iter(self.answers), None)

    @property
    def outside(self) -> tuple[Event[Any], ...]:
        """The events that left the system by a domain."""
        return tuple(event for event, to in self.sent if isinstance(to, ToDomain))

    @property
    def unroutable(self) -> tuple[tuple[Event[Any], str], ...]:
        """The events without a destination, each with the reason."""
        return tuple((event, to.reason) for event, to in self.sent if isinstance(to, Unroutable))

    @property
    def commits(self) -> tuple[Commit, ...]:
        """The commit of each step."""
        return tuple(entry.commit for entry in self.entries if isinstance(entry, StepTaken))

    @property
    def violations(self) -> tuple[Violation, ...]:
        """The violation of each refused event."""
        return tuple(entry.violation for entry in self.entries if isinstance(entry, Refused))

    @property
    def at_rest(self) -> bool:
        """Whether every event was delivered."""
        return not self.pending

    def draw(self, *, width: int = WIDTH) -> str:
        """Return a sequence diagram in plain text, at most *width* columns wide where possible.

        Under an event that failed or was refused it has a line with the reason.
        """
        notes = {_identity(entry.event): _entry_note(entry) for entry in self.entries}
        arrows = (
            Arrow(
                event.source,
                _lifeline(to),
                event.type,
                _event_note(event, to) or notes.get(_identity(event)),
            )
            for event, to in self.sent
        )
        return draw_sequence(arrows, width=width)


def _identity(event: Event[Any]) -> tuple[str, str, str]:
    return event.source, event.id, event.subject


def _lifeline(to: Route) -> str:
    match to:
        case ToHandler(address=address) | ToCaller(address=address):
            return address
        case ToDomain(domain=domain):
            return f"({domain})"
        case Unroutable():
            return "(none)"


def _event_note(event: Event[Any], to: Route) -> str | None:
    if isinstance(to, Unroutable):
        return to.reason
    return event.data.message if isinstance(event.data, SystemFault) else None


def _entry_note(entry: TraceEntry) -> str | None:
    match entry:
        case StepTaken(commit=commit):
            return commit.note
        case Refused(violation=violation):
            return f"{type(violation).__name__}: {violation}"
