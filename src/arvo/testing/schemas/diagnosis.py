"""Diagnosis: the parts of a payload's schema of which no value, or almost none, can be drawn."""

from functools import lru_cache
from typing import Any, Final

from arvo.core.payloads.payload import Payload
from arvo.core.violations.issue import Issues
from arvo.testing.schemas.document import UnknownReference, to_document
from arvo.testing.schemas.draws import sample
from arvo.testing.schemas.json_schema import Schema
from arvo.testing.schemas.json_values import SchemaStrategies
from arvo.testing.schemas.parts import parts_of, untranslatable_pattern

# Values to draw of each part: enough to tell a part that is rare from one that is not.
PART_EXAMPLES: Final = 3
# Of a part of which fewer draws give a value, the examples of a search contain almost none.
DRAWS_PER_VALUE_MAX: Final = 100
# The parts that a message names.
REPORTED_MAX: Final = 3


class UndrawableSchema(ValueError):
    """A schema of which no example can be drawn: names the path, the keyword and the remedy."""


def inexpressible_part(schema: Schema) -> str | None:
    """Return a line for a pattern that Python cannot express, or a reference to elsewhere."""
    try:
        return untranslatable_pattern(to_document(schema), "data")
    except UnknownReference as error:
        return f"data: the document lacks the schema to which {str(error)!r} refers"


@lru_cache(maxsize=512)
def undrawable_parts(payload: Payload[Any]) -> tuple[str, ...]:
    """Return a line for each part of *payload* of which no value can be drawn.

    Of a part and the parts inside, the one inside is named.
    """
    return _rare_parts(payload, DRAWS_PER_VALUE_MAX)


@lru_cache(maxsize=512)
def rare_parts(payload: Payload[Any]) -> tuple[str, ...]:
    """Return a line for each part of which fewer than half of the draws give a value."""
    return _rare_parts(payload, 2) or _refusals(payload)


def _rare_parts(payload: Payload[Any], draws_per_value: int) -> tuple[str, ...]:
    problem = inexpressible_part(payload.checked_schema)
    if problem is not None:
        return (problem,)
    document = to_document(payload.checked_schema)
    strategies = SchemaStrategies(document)
    lines: dict[str, str] = {}
    for part in parts_of(document, "data"):
        if any(path.startswith(part.path) for path in lines):
            continue
        draws = sample(strategies.for_schema(part.schema), PART_EXAMPLES)
        if draws.drawn * draws_per_value < draws.attempts or draws.drawn == 0:
            lines[part.path] = (
                f"{part.path}: {draws.drawn} of {draws.attempts} drawn values fit {part.describe()}"
            )
    return tuple(lines.values())[:REPORTED_MAX]


def _refusals(payload: Payload[Any]) -> tuple[str, ...]:
    """Return the issues with which the validators of the class refuse values of its schema."""
    found: dict[str, None] = {}

    def read(data: Any) -> Any:
        value = payload.read(data)
        if isinstance(value, Issues):
            found[f"{value.items[0].path}: {payload.name} expects {value.items[0].expected}"] = None
        return value

    sample(SchemaStrategies(to_document(payload.checked_schema)).for_document().map(read), 50)
    return tuple(found)[:REPORTED_MAX]
