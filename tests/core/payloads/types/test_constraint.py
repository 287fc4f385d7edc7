"""Constraint: markers on a field, and the JSON Schema keywords that they become."""

from decimal import Decimal

import pytest
from annotated_types import (
    Ge,
    Gt,
    Interval,
    Le,
    Len,
    Lt,
    MaxLen,
    MinLen,
    MultipleOf,
    Predicate,
    Unit,
)

from arvo.core.payloads.types.constraint import (
    FORMATS,
    Format,
    NotExpressible,
    Pattern,
    schema_keywords,
)


@pytest.mark.parametrize(
    ("marker", "kind", "expected"),
    [
        (Gt(0), "integer", {"exclusiveMinimum": 0}),
        (Ge(0.5), "number", {"minimum": 0.5}),
        (Lt(9), "integer", {"exclusiveMaximum": 9}),
        (Le(9), "integer", {"maximum": 9}),
        (Interval(ge=1, lt=9), "number", {"minimum": 1, "exclusiveMaximum": 9}),
        (MultipleOf(5), "integer", {"multipleOf": 5}),
        (Len(1, 20), "string", {"minLength": 1, "maxLength": 20}),
        (MinLen(1), "array", {"minItems": 1}),
        (MaxLen(3), "object", {"maxProperties": 3}),
        (Format("email"), "string", {"format": "email"}),
        (Pattern("^[a-z]+$"), "string", {"pattern": "^[a-z]+$"}),
        (Unit("kg"), "number", {}),
        ("of another library", "number", {}),
    ],
)
def test_a_marker_becomes_the_keyword_of_the_same_meaning(
    marker: object, kind: str, expected: dict[str, object]
) -> None:
    """Services that only have the exported schema check the same rules."""
    assert dict(schema_keywords(marker, frozenset({kind}))) == expected


@pytest.mark.parametrize(
    ("marker", "kind"),
    [
        (Ge(0), "string"),
        (Len(1), "integer"),
        (Format("email"), "integer"),
        (Ge(Decimal("0.1")), "number"),
        (Le(float("inf")), "number"),
        (MultipleOf(0), "integer"),
        (Predicate(str.isupper), "string"),
    ],
)
def test_a_marker_without_a_keyword_is_refused(marker: object, kind: str) -> None:
    """Otherwise only one side of the contract would check the constraint."""
    with pytest.raises(NotExpressible):
        dict(schema_keywords(marker, frozenset({kind})))


def test_an_unknown_format_is_refused_by_the_constructor() -> None:
    """Validators ignore unknown formats, so a misspelled one would check nothing."""
    with pytest.raises(ValueError, match="got 'e-mail'"):
        Format("e-mail")


def test_an_invalid_regular_expression_is_refused_by_the_constructor() -> None:
    """Otherwise the first event in production reports it."""
    with pytest.raises(ValueError, match="pattern: expected a regular expression"):
        Pattern("(")


def test_markers_can_be_hashed() -> None:
    """typing hashes annotations for its cache."""
    assert (
        len({Format(name) for name in FORMATS} | {Pattern("a"), Pattern("a")}) == len(FORMATS) + 1
    )
