"""testing: how to prove it."""

from arvo.testing.payloads import payloads
from arvo.testing.replies import Answer, Behaviour, behaviours
from arvo.testing.strategies import (
    addresses,
    domains,
    event_types,
    events,
    json_objects,
    replies,
    subjects,
)
from arvo.testing.systems import systems
from arvo.testing.turn import Given, Taken, given

__all__ = [
    "Answer",
    "Behaviour",
    "Given",
    "Taken",
    "addresses",
    "behaviours",
    "domains",
    "event_types",
    "events",
    "given",
    "json_objects",
    "payloads",
    "replies",
    "subjects",
    "systems",
]
