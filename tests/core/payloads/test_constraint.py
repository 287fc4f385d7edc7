"""Constraints: said once on the field."""

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

from arvo.core.payloads.constraint import FORMATS, Format, Pattern, Unsayable, keywords


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
        ("somebody else's", "number", {}),
    ],
)
def test_a_marker_becomes_the_keyword_of_its_meaning(
    marker: object, kind: str, expected: dict[str, object]
) -> None:
    """The exported schema says to others what the class says to Python."""
    assert dict(keywords(marker, frozenset({kind}))) == expected


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
def test_a_marker_that_cannot_be_said_is_refused(marker: object, kind: str) -> None:
    """A constraint that only one side checks is a broken promise waiting."""
    with pytest.raises(Unsayable):
        dict(keywords(marker, frozenset({kind})))


def test_an_unknown_format_is_refused_where_it_is_written() -> None:
    """Validators pass over formats they do not know, so a typing error would check nothing."""
    with pytest.raises(ValueError, match="got 'e-mail'"):
        Format("e-mail")


def test_a_bad_regular_expression_is_refused_where_it_is_written() -> None:
    """The first event in production is too late."""
    with pytest.raises(ValueError, match="pattern: expected a regular expression"):
        Pattern("(")


def test_markers_can_be_hashed() -> None:
    """typing caches annotations by what is in them."""
    assert (
        len({Format(name) for name in FORMATS} | {Pattern("a"), Pattern("a")}) == len(FORMATS) + 1
    )
