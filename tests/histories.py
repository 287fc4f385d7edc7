"""Histories: what a backend would have written of a run that was no more than a function."""

from typing import Any

from arvo import Event, HistoryEntry, Trace


def histories_of(trace: Trace) -> dict[str, tuple[HistoryEntry, ...]]:
    """Write the history of each workflow of a run, by subject."""
    lines: dict[str, list[HistoryEntry]] = {}
    for commit in trace.commits:
        record = commit.record
        if record is None:
            continue
        assert commit.now is not None
        told: list[tuple[Any, Event[Any]]] = [("consumed", commit.event)]
        told += (("produced", event) for event in commit.events)
        own = lines.setdefault(record.subject, [])
        for kind, event in told:
            own.append(
                HistoryEntry(
                    position=len(own),
                    revision=record.revision,
                    kind=kind,
                    at=commit.now,
                    # As it comes out of a store: no payload of any class.
                    event=Event.from_dict(event.to_dict()),
                )
            )
    return {subject: tuple(own) for subject, own in lines.items()}
