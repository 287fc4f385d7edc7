"""Histories: the history entries that a backend would write for a pure run."""

from typing import Any

from arvo import Commit, Event, HistoryEntry, Record, Trace
from tests.shop import NOW


def histories_of(trace: Trace) -> dict[str, tuple[HistoryEntry, ...]]:
    """Return the history of each workflow of a run, by subject."""
    steps: dict[str, list[Commit | Record]] = {}
    for commit in trace.commits:
        if commit.record is not None:
            steps.setdefault(commit.record.subject, []).append(commit)
    return {subject: write_history(*changes) for subject, changes in steps.items()}


def write_history(*steps: Commit | Record) -> tuple[HistoryEntry, ...]:
    """Return the history of one workflow: its turns, and the records that an operator set."""
    entries: list[HistoryEntry] = []
    for step in steps:
        if isinstance(step, Record):
            entries.append(
                HistoryEntry(
                    position=len(entries),
                    revision=step.revision,
                    kind="replaced",
                    at=NOW,
                    record=step,
                )
            )
            continue
        assert step.record is not None
        assert step.now is not None
        events: list[tuple[Any, Event[Any]]] = [("consumed", step.event)]
        events += (("produced", event) for event in step.events)
        for kind, event in events:
            entries.append(
                HistoryEntry(
                    position=len(entries),
                    revision=step.record.revision,
                    kind=kind,
                    at=step.now,
                    # As a store returns it, without a payload class.
                    event=Event.from_dict(event.to_dict()),
                )
            )
    return tuple(entries)
