"""Gap: a value that one schema allows and another one refuses."""

from collections.abc import Mapping
from typing import final

from attrs import frozen

from arvo.core.violations.issue import short_repr
from arvo.testing.compatibility.normalise import Schema, allowed_values, branches_of
from arvo.testing.schemas.json_schema import json_types


@final
@frozen
class Gap:
    """A value that may be sent and is refused: its path, and both sides as text."""

    path: str
    sent: str
    accepted: str


def keyword_gap(keyword: str, sent: Schema, accepted: Schema, path: str) -> Gap:
    """Return the gap for a keyword that differs."""
    return Gap(
        path,
        describe_keyword(keyword, sent.get(keyword)),
        describe_keyword(keyword, accepted.get(keyword)),
    )


def describe_keyword(keyword: str, value: object) -> str:
    """Return a keyword with its value as text."""
    return f"no {keyword}" if value is None else f"{keyword} {short_repr(value)}"


def describe(schema: Schema) -> str:
    """Return a short description of the values that *schema* allows."""
    if not isinstance(schema, Mapping):
        return "anything" if schema else "nothing"
    values = allowed_values(schema)
    if values is not None:
        return " or ".join(map(repr, values))
    branches = branches_of(schema)
    if branches:
        return " or ".join(map(describe, branches))
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    return " or ".join(json_types(schema))
