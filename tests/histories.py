"""Histories: what a backend would have written of a run that was no more than a function."""

from typing import Any

from arvo import Commit, Event, HistoryEntry, Record, Trace
from tests.shop import NOW


def histories_of(trace: Trace) -> dict[str, tuple[HistoryEntry, ...]]:
    """Write the history of each workflow of a run, by subject."""
    steps: dict[str, list[Commit | Record]] = {}
    for commit in trace.commits:
        if commit.record is not None:
            steps.setdefault(commit.record.subject, []).append(commit)
    return {subject: written(*own) for subject, own in steps.items()}


def written(*steps: Commit | Record) -> tuple[HistoryEntry, ...]:
    """Write the history of one workflow: its turns, and the records that it was given by hand."""
    lines: list[HistoryEntry] = []
    for step in steps:
        if isinstance(step, Record):
            lines.append(
                HistoryEntry(
                    position=len(lines), revision=step.revision, kind="amended", at=NOW, record=step
                )
            )
            continue
        assert step.record is not None
        assert step.now is not None
        told: list[tuple[Any, Event[Any]]] = [("consumed", step.event)]
        told += (("produced", event) for event in step.events)
        for kind, event in told:
            lines.append(
                HistoryEntry(
                    position=len(lines),
                    revision=step.record.revision,
                    kind=kind,
                    at=step.now,
                    # As it comes out of a store: no payload of any class.
                    event=Event.from_dict(event.to_dict()),
                )
            )
    return tuple(lines)
