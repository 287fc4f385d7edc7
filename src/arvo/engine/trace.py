"""Trace: everything that happened while a system came to rest."""

from collections.abc import Mapping
from typing import Any, TypeAlias, final

from attrs import frozen

from arvo.core.commit import Commit
from arvo.core.event import Event
from arvo.core.record import Record
from arvo.core.violation import Violation
from arvo.engine.draw import draw_sequence
from arvo.engine.route import Home, Inside, Nowhere, Outside


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
    """

    root: Event[Any]
    happened: tuple[Happened, ...]
    sent: tuple[tuple[Event[Any], Inside | Outside | Home | Nowhere], ...]
    records: Mapping[str, Record]
    pending: tuple[Event[Any], ...] = ()

    @property
    def events(self) -> tuple[Event[Any], ...]:
        """Every event, the root first."""
        return tuple(event for event, _ in self.sent)

    @property
    def answers(self) -> tuple[Event[Any], ...]:
        """The events that went back to whoever asked."""
        return tuple(event for event, where in self.sent if isinstance(where, Home))

    @property
    def answer(self) -> Event[Any] | None:
        """The first event that went back to whoever asked: what `Runtime.request` returns."""
        return next(iter(self.answers), None)

    @property
    def outside(self) -> tuple[Event[Any], ...]:
        """The events that left by a domain."""
        return tuple(event for event, where in self.sent if isinstance(where, Outside))

    @property
    def unroutable(self) -> tuple[tuple[Event[Any], str], ...]:
        """The events that nobody has the address of, and why."""
        return tuple((event, to.reason) for event, to in self.sent if isinstance(to, Nowhere))

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

    def draw(self) -> str:
        """Draw it as a sequence diagram in plain text."""
        return draw_sequence(self.events)
