"""Outcomes: the events that report the end of a workflow to the subscriptions of its system."""

from collections.abc import Iterable
from typing import Any, Final

from arvo.construct import evolver
from arvo.core.commit import Commit
from arvo.core.events.event import Event
from arvo.core.events.identity import digest_id
from arvo.core.events.protocol import system_error_type
from arvo.core.violations.violation import Violation
from arvo.engine.system.system import System


def with_outcomes(system: System, commit: Commit | Violation) -> Commit | Violation:
    """Add to the commit that ends a workflow one event for each subscription to its contract.

    It is the completion or the system error of the workflow once more, with the workflow's own
    subject, an id of its own, and the subscription as its address. A workflow that its parent has
    cancelled reports its end to no one.
    """
    if not system.subscriptions or not isinstance(commit, Commit):
        return commit
    record = commit.record
    names = system.subscribers(commit.handler)
    if not names or record is None or record.status == "active":
        return commit
    end = next((event for event in commit.events if is_end(event, commit.handler)), None)
    if end is None:
        return commit
    reported: Commit = _with_events(
        commit, (*commit.events, *(_report(end, record.subject, name) for name in names))
    )
    return reported


def is_end(event: Event[Any], workflow: str) -> bool:
    """Return whether *event* is the completion or the system error of a *workflow*."""
    return event.source == workflow and event.type in (
        f"{workflow}.done",
        system_error_type(workflow),
    )


def without_outcomes(events: Iterable[Event[Any]]) -> tuple[Event[Any], ...]:
    """Return the events that one turn has emitted without those for subscriptions.

    A system may have other subscriptions by now.
    """
    listed = tuple(events)
    ends = [event for event in listed if is_end(event, event.source)]
    if len(ends) < 2:
        return listed
    reports = {(_outcome_id(end.id, it.to), it.to) for end in ends for it in ends}
    return tuple(event for event in listed if (event.id, event.to) not in reports)


def _report(end: Event[Any], subject: str, name: str) -> Event[Any]:
    report: Event[Any] = _addressed(end, _outcome_id(end.id, name), subject, name, None)
    return report


def _outcome_id(end: str, name: str | None) -> str:
    return digest_id(f"outcome\0{end}\0{name}")


_with_events: Final = evolver(Commit, "events")
_addressed: Final = evolver(Event, "id", "subject", "to", "domain")
