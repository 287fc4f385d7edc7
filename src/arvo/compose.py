"""Compose: combinators for handler functions and for handlers."""

from arvo.handlers.compose.batch import batched
from arvo.handlers.compose.debounce import debounced
from arvo.handlers.compose.functions import (
    choose,
    identity,
    map_input,
    map_output,
    recover,
    sequence,
)
from arvo.handlers.compose.fuse import fuse
from arvo.handlers.compose.keyed import HeldEvents
from arvo.handlers.compose.singleton import singleton
from arvo.handlers.compose.throttle import throttled
from arvo.handlers.compose.wrap import annotate, authorise, guard

__all__ = [
    "HeldEvents",
    "annotate",
    "authorise",
    "batched",
    "choose",
    "debounced",
    "fuse",
    "guard",
    "identity",
    "map_input",
    "map_output",
    "recover",
    "sequence",
    "singleton",
    "throttled",
]
