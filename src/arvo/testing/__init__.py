"""testing: how to prove it."""

from arvo.testing.strategies import (
    addresses,
    domains,
    event_types,
    events,
    json_objects,
    subjects,
    systems,
)

__all__ = [
    "addresses",
    "domains",
    "event_types",
    "events",
    "json_objects",
    "subjects",
    "systems",
]
