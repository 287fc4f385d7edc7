"""Trace: everything that happened while a system came to rest."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypeAlias, final

from attrs import frozen

from arvo.core.commit import Commit
from arvo.core.events.event import Event
from arvo.core.events.fault import SystemFault
from arvo.core.record import Record
from arvo.core.violations.violation import Violation
from arvo.engine.sequence_diagram import WIDTH, Arrow, draw_sequence
from arvo.engine.step.route import Route, ToCaller, ToDomain, ToHandler, Unroutable


@final
@frozen
class Stepped:
    """One step that was taken: what *event* met, and what came of it.

    *before* is the record it was decided on.
    """

    event: Event[Any]
    before: Record | None
    commit: Commit


@final
@frozen
class Refused:
    """An event that broke a promise: nothing changed."""

    event: Event[Any]
    violation: Violation


Happened: TypeAlias = Stepped | Refused


@final
@frozen(kw_only=True)
class Trace:
    """What `run` saw, in order (all collections are).

    *root*: the event it began with. *happened*: steps and refusals. *sent*: every event with where
    it went, the root first. *records*: what each workflow remembers, by subject. *pending*: events
    that were still to be delivered when the bound was reached; empty when the system came to rest.
    *now*: the virtual time at the end.
    """

    root: Event[Any]
    happened: tuple[Happened, ...]
    sent: tuple[tuple[Event[Any], Route], ...]
    records: Mapping[str, Record]
    pending: tuple[Event[Any], ...] = ()
    now: datetime

    @property
    def events(self) -> tuple[Event[Any], ...]:
        """Every event, the root first."""
        return tuple(event for event, _ in self.sent)

    @property
    def answers(self) -> tuple[Event[Any], ...]:
        """The events that went back to whoever asked."""
        return tuple(event for event, where in self.sent if isinstance(where, ToCaller))

    @property
    def answer(self) -> Event[Any] | None:
        """The first event that went back to whoever asked: what `Runtime.request` returns."""
        return next(iter(self.answers), None)

    @property
    def outside(self) -> tuple[Event[Any], ...]:
        """The events that left by a domain."""
        return tuple(event for event, where in self.sent if isinstance(where, ToDomain))

    @property
    def unroutable(self) -> tuple[tuple[Event[Any], str], ...]:
        """The events that nobody has the address of, and why."""
        return tuple((event, to.reason) for event, to in self.sent if isinstance(to, Unroutable))

    @property
    def commits(self) -> tuple[Commit, ...]:
        """What each step changed."""
        return tuple(each.commit for each in self.happened if isinstance(each, Stepped))

    @property
    def violations(self) -> tuple[Violation, ...]:
        """The promises that were broken."""
        return tuple(each.violation for each in self.happened if isinstance(each, Refused))

    @property
    def at_rest(self) -> bool:
        """Whether everything was delivered."""
        return not self.pending

    def draw(self, *, width: int = WIDTH) -> str:
        """Draw it as a sequence diagram in plain text that fits into *width* columns.

        Below an event stands what went wrong, where something did.
        """
        refused = {_identity(each.event): _note(each) for each in self.happened}
        arrows = (
            Arrow(
                event.source,
                _lane(to),
                event.type,
                _why(event, to) or refused.get(_identity(event)),
            )
            for event, to in self.sent
        )
        return draw_sequence(arrows, width=width)


def _identity(event: Event[Any]) -> tuple[str, str, str]:
    return event.source, event.id, event.subject


def _lane(where: Route) -> str:
    match where:
        case ToHandler(address=address) | ToCaller(address=address):
            return address
        case ToDomain(domain=domain):
            return f"({domain})"
        case Unroutable():
            return "(nobody)"


def _why(event: Event[Any], where: Route) -> str | None:
    if isinstance(where, Unroutable):
        return where.reason
    return event.data.message if isinstance(event.data, SystemFault) else None


def _note(happened: Happened) -> str | None:
    match happened:
        case Stepped(commit=commit):
            return commit.note
        case Refused(violation=violation):
            return f"{type(violation).__name__}: {violation}"
