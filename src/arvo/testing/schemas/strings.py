"""Strings: a Hypothesis strategy for the patterns, formats and lengths of a JSON Schema."""

import re
from collections.abc import Callable, Mapping
from datetime import datetime, time
from itertools import zip_longest
from math import ceil, floor
from typing import Any, Final

from hypothesis import reject
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from arvo.core.payloads.validation import compile_validator
from arvo.testing.schemas.json_schema import patterns_of
from arvo.testing.schemas.regex.characters import CHARACTERS
from arvo.testing.schemas.regex.ecma import compile_pattern
from arvo.testing.schemas.regex.patterns import literals_of, matches
from arvo.testing.schemas.regex.texts import texts

# Longer strings test nothing more, and they shrink more slowly.
STRING_CHARACTERS_MAX: Final = 20
# Strings that are drawn for one that fits several keywords.
TRIED_MAX: Final = 8
_LIMITS: Final = frozenset({"pattern", "minLength", "maxLength"})
# Where a schema has no `maxLength`; no event is as long.
LENGTH_MAX: Final = 2**24

_ZONES: Final = st.sampled_from(["Z", "+00:00", "+05:30", "-11:00"])
_LABEL: Final = "[a-z]([a-z0-9-]{0,6}[a-z0-9])?"


def strings(schema: Mapping[str, Any]) -> SearchStrategy[str]:
    """Draw strings for the string keywords of *schema*.

    Of several patterns, and of a `format` beside a pattern or lengths, each is drawn almost without
    regard to the others; the caller filters by validation. Raises `UntranslatablePattern`.
    """
    least: int = ceil(schema.get("minLength", 0))
    most = floor(schema.get("maxLength", LENGTH_MAX))
    if least > most:
        return st.nothing()
    patterns = [compile_pattern(pattern) for pattern in patterns_of(schema)]
    options = [matches(pattern, least, most) for pattern in patterns]
    if len(patterns) > 1:
        # One may be about the beginning of the string, and another about its end.
        parts = [matches(pattern, 0, most) for pattern in patterns]
        options += [st.tuples(*order).map("".join) for order in (parts, parts[::-1])]
    if schema.get("format") in _FORMATS:
        of_format = _FORMATS[schema["format"]]
        options.append(of_format)
        options += [_overlaid(of_format, literals_of(pattern)) for pattern in patterns]
    known = {key: schema[key] for key in schema.keys() & {*_LIMITS, "format"}}
    if options and "format" in known and len(known) > 1:
        # The first of many that fits, as each draw by Hypothesis costs more than one of ours.
        fits = compile_validator(known).is_valid
        options = [_first_of_many(option, fits) for option in options]
    if options:
        return st.one_of(options)
    return texts(CHARACTERS, least, most if most < LENGTH_MAX else least + STRING_CHARACTERS_MAX)


@st.composite
def _overlaid(
    draw: DrawFn, strings: SearchStrategy[str], literals: SearchStrategy[list[str | None]]
) -> str:
    """Write what a pattern fixes over a string: a date with another year is a date."""
    text, fixed = draw(strings), draw(literals)
    end = max(0, len(text) - len(fixed))
    start = draw(st.sampled_from([0, end]) | st.integers(0, end))
    middle = [new or old for new, old in zip_longest(fixed, text[start:][: len(fixed)])]
    return text[:start] + "".join(filter(None, middle)) + text[start + len(fixed) :]


@st.composite
def _first_of_many(draw: DrawFn, strings: SearchStrategy[str], fits: Callable[[str], bool]) -> str:
    for _ in range(TRIED_MAX):
        text = draw(strings)
        if fits(text):
            return text
    return reject()


def _full_match(pattern: str) -> SearchStrategy[str]:
    return st.from_regex(re.compile(pattern, re.ASCII), fullmatch=True)


_HOSTS: Final = _full_match(rf"{_LABEL}(\.{_LABEL}){{0,2}}")
_PATHS: Final = _full_match("(/[a-z0-9]{0,6}){0,3}")
_URIS: Final = st.builds("https://{}{}".format, _HOSTS, _PATHS) | _HOSTS.map("urn:host:{}".format)
_TIMES: Final = st.builds("{}{}".format, st.times().map(time.isoformat), _ZONES)
_EMAILS: Final = st.builds(
    "{}@{}".format,
    _full_match(r"[a-z0-9]{1,8}([.+_-][a-z0-9]{1,4})?"),
    _HOSTS.map("{}.org".format),
)
_FORMATS: Final[Mapping[str, SearchStrategy[str]]] = {
    "date-time": st.builds("{}{}".format, st.datetimes().map(datetime.isoformat), _ZONES),
    "date": st.dates().map(str),
    "time": _TIMES,
    "duration": _full_match("P([1-9][0-9]?D(T[1-9][0-9]?H)?|T[1-9][0-9]?[HMS]|[1-9][0-9]?[YMW])"),
    "email": _EMAILS,
    "idn-email": _EMAILS,
    "hostname": _HOSTS,
    "idn-hostname": _HOSTS,
    "ipv4": st.ip_addresses(v=4).map(str),
    "ipv6": st.ip_addresses(v=6).map(str),
    "uri": _URIS,
    "uri-reference": _URIS | _PATHS,
    "iri": _URIS,
    "iri-reference": _URIS | _PATHS,
    "uuid": st.uuids().map(str),
    "uri-template": _PATHS | st.just("/a/{b}"),
    "json-pointer": _PATHS,
    "relative-json-pointer": st.builds("{}{}".format, st.integers(0, 9), _PATHS),
    "regex": st.sampled_from(["a", "^a$", "[0-9]+", "a|b", ""]),
}
