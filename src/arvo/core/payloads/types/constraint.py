"""Constraint: markers on a field that bound its value, and their JSON Schema keywords.

``annotated_types`` has markers for bounds, such as ``Annotated[str, Len(1, 20)]``. This module adds
two for the format of a string, and one for a secret. Both validation and the exported JSON Schema
follow from them.
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
"""The formats of JSON Schema 2020-12 §7.3. Validation checks all of them, and no others."""


@frozen
class Format:
    """A string in a format that JSON Schema names: ``Annotated[str, Format("email")]``."""

    name: str = field()

    @name.validator
    def _known(self, _: object, name: str) -> None:
        if name not in FORMATS:
            raise ValueError(f"format: expected one of {', '.join(sorted(FORMATS))}, got {name!r}")


@frozen
class Pattern:
    """A string that contains a match of *regex*; anchor it with ``^`` and ``$``, as in JSON Schema.

    Use only syntax that Python and ECMA 262 share: a regex that either rejects raises an error when
    it is declared.
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


@frozen
class Secret:
    """A value that no page and no download of the console shows: ``Annotated[str, Secret()]``.

    In JSON Schema it is ``writeOnly`` (2020-12 Validation §9.4). It is stored and sent as it is:
    the marker does not encrypt.
    """


class NotExpressible(Exception):  # caught to add the names of class and field
    """A marker that JSON Schema has no keyword for, or that does not apply to the type."""


def schema_keywords(marker: object, kinds: frozenset[str]) -> Iterator[tuple[str, Any]]:
    """Yield the JSON Schema keywords that express *marker* on a value of the JSON types *kinds*.

    Metadata of other libraries is ignored, as ``Annotated`` prescribes. Raises NotExpressible.
    """
    if isinstance(marker, GroupedMetadata):
        for part in marker:
            yield from schema_keywords(part, kinds)
    elif isinstance(marker, Secret):
        yield "writeOnly", True
    elif isinstance(marker, Format | Pattern):
        _require_kind(marker, kinds, {"string"})
        yield ("format", marker.name) if isinstance(marker, Format) else ("pattern", marker.regex)
    elif isinstance(marker, MinLen | MaxLen):
        yield from _length(marker, kinds)
    elif isinstance(marker, Gt | Ge | Lt | Le | MultipleOf):
        _require_kind(marker, kinds, {"integer", "number"})
        yield _bound(marker)
    elif isinstance(marker, BaseMetadata) and not isinstance(marker, Unit):
        raise NotExpressible(
            f"{marker!r} has no keyword in JSON Schema: check it in an attrs validator"
        )


def _length(marker: MinLen | MaxLen, kinds: frozenset[str]) -> Iterator[tuple[str, Any]]:
    suffixes = {"string": "Length", "array": "Items", "object": "Properties"}
    _require_kind(marker, kinds, set(suffixes))
    prefix, bound = (
        ("min", marker.min_length) if isinstance(marker, MinLen) else ("max", marker.max_length)
    )
    if prefix == "max" or bound:
        yield from ((prefix + suffixes[kind], bound) for kind in sorted(kinds & set(suffixes)))


def _bound(marker: Gt | Ge | Lt | Le | MultipleOf) -> tuple[str, Any]:
    match marker:
        case Gt(gt=limit):
            keyword = "exclusiveMinimum"
        case Ge(ge=limit):
            keyword = "minimum"
        case Lt(lt=limit):
            keyword = "exclusiveMaximum"
        case Le(le=limit):
            keyword = "maximum"
        case MultipleOf(multiple_of=limit):
            keyword = "multipleOf"
    if isinstance(limit, bool) or not isinstance(limit, int | float) or not isfinite(limit):
        raise NotExpressible(
            f"{marker!r}: its limit is not a JSON number: use a finite int or float"
        )
    if keyword == "multipleOf" and limit <= 0:
        raise NotExpressible(f"{marker!r}: use a divisor above zero")
    return keyword, limit


def _require_kind(marker: object, kinds: frozenset[str], allowed: set[str]) -> None:
    if not kinds & allowed:
        raise NotExpressible(
            f"{marker!r} applies to {' or '.join(sorted(allowed))}, not to this type in JSON: "
            "move it to such a type, or use an attrs validator"
        )
