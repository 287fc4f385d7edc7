"""Compose: combinators for handler functions and for handlers."""

from arvo.handlers.compose.functions import (
    choose,
    identity,
    map_input,
    map_output,
    recover,
    sequence,
)
from arvo.handlers.compose.fuse import fuse
from arvo.handlers.compose.wrap import annotate, authorise, guard

__all__ = [
    "annotate",
    "authorise",
    "choose",
    "fuse",
    "guard",
    "identity",
    "map_input",
    "map_output",
    "recover",
    "sequence",
]
