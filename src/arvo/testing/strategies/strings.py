"""Strings: a Hypothesis strategy for the patterns, formats and lengths of a JSON Schema."""

import re
from collections.abc import Mapping
from datetime import timedelta, timezone
from typing import Any, Final

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

# Lone surrogates are not valid Unicode text and cannot be encoded as UTF-8.
CHARACTERS: Final = st.characters(codec="utf-8")
# Longer strings test nothing more, and they shrink more slowly.
STRING_CHARACTERS_MAX: Final = 20

_ZONES: Final = st.sampled_from([0, 330, -660]).map(lambda minutes: timedelta(minutes=minutes))
_LABEL: Final = "[a-z]([a-z0-9-]{0,6}[a-z0-9])?"


def strings(schema: Mapping[str, Any]) -> SearchStrategy[str]:
    """Draw strings for the string keywords of *schema*.

    A `format` is drawn without regard to `pattern` and lengths; the caller filters by validation.
    """
    least: int = schema.get("minLength", 0)
    most: int = schema.get("maxLength", least + STRING_CHARACTERS_MAX)
    if schema.get("format") in _FORMATS:
        return _FORMATS[schema["format"]]
    if "pattern" in schema:
        return _regex_match(schema["pattern"]).filter(lambda text: least <= len(text) <= most)
    return st.text(CHARACTERS, min_size=least, max_size=most)


def _regex_match(pattern: str) -> SearchStrategy[str]:
    # ASCII: JSON Schema uses ECMA 262 patterns, where \d and \w match ASCII characters only.
    return st.from_regex(re.compile(pattern, re.ASCII), alphabet=CHARACTERS)


def _full_match(pattern: str) -> SearchStrategy[str]:
    return st.from_regex(re.compile(pattern, re.ASCII), fullmatch=True)


_HOSTS: Final = _full_match(rf"{_LABEL}(\.{_LABEL}){{0,2}}")
_PATHS: Final = _full_match("(/[a-z0-9]{0,6}){0,3}")
_URIS: Final = st.builds("https://{}{}".format, _HOSTS, _PATHS) | _HOSTS.map("urn:host:{}".format)
_TIMES: Final = st.builds(
    lambda at, zone: at.replace(tzinfo=timezone(zone)).isoformat(), st.times(), _ZONES
)
_EMAILS: Final = st.builds(
    "{}@{}".format,
    _full_match(r"[a-z0-9]{1,8}([.+_-][a-z0-9]{1,4})?"),
    _HOSTS.map("{}.org".format),
)
_FORMATS: Final[Mapping[str, SearchStrategy[str]]] = {
    "date-time": st.builds(
        lambda at, zone: at.replace(tzinfo=timezone(zone)).isoformat(), st.datetimes(), _ZONES
    ),
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
