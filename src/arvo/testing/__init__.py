"""testing: how to prove it."""

from arvo.testing.compatible import Break, Compatibility, compatible
from arvo.testing.handlers import check_handler
from arvo.testing.laws import Broken, LawBroken
from arvo.testing.payloads import payloads
from arvo.testing.published import check_published
from arvo.testing.replies import Answer, Behaviour, behaviours
from arvo.testing.steps import Case, Repeat, Step, steps
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
from arvo.testing.workflows import check_workflow

__all__ = [
    "Answer",
    "Behaviour",
    "Break",
    "Broken",
    "Case",
    "Compatibility",
    "Given",
    "LawBroken",
    "Repeat",
    "Step",
    "Taken",
    "addresses",
    "behaviours",
    "check_handler",
    "check_published",
    "check_workflow",
    "compatible",
    "domains",
    "event_types",
    "events",
    "given",
    "json_objects",
    "payloads",
    "replies",
    "steps",
    "subjects",
    "systems",
]
