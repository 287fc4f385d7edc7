"""Constraint: what a value must be beyond its type, said once on the field.

``Annotated[str, Len(1, 20)]`` and the other markers of ``annotated_types`` say bounds; it has none
for the form of a text, so two stand here. Validation and the exported JSON Schema follow from them.
"""

import re
from collections.abc import Iterator
from math import isfinite
from typing import Any

from annotated_types import (
    BaseMetadata,
    Ge,
    GroupedMetadata,
    Gt,
    Le,
    Lt,
    MaxLen,
    MinLen,
    MultipleOf,
    Unit,
)
from attrs import field, frozen

FORMATS = frozenset(
    {
        *(
            "date-time",
            "date",
            "time",
            "duration",
            "email",
            "idn-email",
            "hostname",
            "idn-hostname",
        ),
        *("ipv4", "ipv6", "uri", "uri-reference", "iri", "iri-reference", "uuid", "uri-template"),
        *("json-pointer", "relative-json-pointer", "regex"),
    }
)
"""The formats of JSON Schema 2020-12 §7.3, all checked. Others would be promises nobody keeps."""


@frozen
class Format:
    """A text in one of the formats that JSON Schema names: ``Annotated[str, Format("email")]``."""

    name: str = field()

    @name.validator
    def _known(self, _: object, name: str) -> None:
        if name not in FORMATS:
            raise ValueError(f"format: expected one of {', '.join(sorted(FORMATS))}, got {name!r}")


@frozen
class Pattern:
    """A text in which *regex* is found, as in JSON Schema: ``^`` and ``$`` bind it to the ends.

    Keep to what Python and ECMA 262 share; a regex that either refuses is refused at definition.
    """

    regex: str = field()

    @regex.validator
    def _compiles(self, _: object, regex: str) -> None:
        try:
            re.compile(regex)
        except re.error as error:
            raise ValueError(
                f"pattern: expected a regular expression, got {regex!r}: {error}"
            ) from None


class Unsayable(Exception):  # not an error by itself: the schema adds class and field
    """A marker that JSON Schema has no word for, or that does not belong on this type."""


def keywords(marker: object, kinds: frozenset[str]) -> Iterator[tuple[str, Any]]:
    """Give the JSON Schema keywords that say *marker* on a value of the JSON types *kinds*.

    Metadata of others is passed over, as ``Annotated`` asks. Raises Unsayable.
    """
    if isinstance(marker, GroupedMetadata):
        for part in marker:
            yield from keywords(part, kinds)
    elif isinstance(marker, Format | Pattern):
        _demand(marker, kinds, {"string"})
        yield ("format", marker.name) if isinstance(marker, Format) else ("pattern", marker.regex)
    elif isinstance(marker, MinLen | MaxLen):
        yield from _length(marker, kinds)
    elif isinstance(marker, Gt | Ge | Lt | Le | MultipleOf):
        _demand(marker, kinds, {"integer", "number"})
        yield _bound(marker)
    elif isinstance(marker, BaseMetadata) and not isinstance(marker, Unit):
        raise Unsayable(f"{marker!r} has no word in JSON Schema: check it in an attrs validator")


def _length(marker: MinLen | MaxLen, kinds: frozenset[str]) -> Iterator[tuple[str, Any]]:
    words = {"string": "Length", "array": "Items", "object": "Properties"}
    _demand(marker, kinds, set(words))
    side, bound = (
        ("min", marker.min_length) if isinstance(marker, MinLen) else ("max", marker.max_length)
    )
    if side == "max" or bound:
        yield from ((side + words[kind], bound) for kind in sorted(kinds & set(words)))


def _bound(marker: Gt | Ge | Lt | Le | MultipleOf) -> tuple[str, Any]:
    match marker:
        case Gt(gt=limit):
            word = "exclusiveMinimum"
        case Ge(ge=limit):
            word = "minimum"
        case Lt(lt=limit):
            word = "exclusiveMaximum"
        case Le(le=limit):
            word = "maximum"
        case MultipleOf(multiple_of=limit):
            word = "multipleOf"
    if isinstance(limit, bool) or not isinstance(limit, int | float) or not isfinite(limit):
        raise Unsayable(f"{marker!r}: its limit is not a JSON number: use a finite int or float")
    if word == "multipleOf" and limit <= 0:
        raise Unsayable(f"{marker!r}: use a step above zero")
    return word, limit


def _demand(marker: object, kinds: frozenset[str], fit: set[str]) -> None:
    if not kinds & fit:
        raise Unsayable(
            f"{marker!r} bounds {' or '.join(sorted(fit))}, and this type is none in JSON: "
            "move it to the type it bounds, or check it in an attrs validator"
        )
