"""Texts: strings of the formats and patterns that a schema can ask for."""

import re
from collections.abc import Mapping
from datetime import timedelta, timezone
from typing import Any, Final

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

# Half of a surrogate pair is no Unicode text and does not travel.
CHARACTERS: Final = st.characters(codec="utf-8")
# A text of any length says no more about a handler than a short one, and shrinks slower.
TEXT_CHARACTERS_MAX: Final = 20

_ZONES: Final = st.sampled_from([0, 330, -660]).map(lambda minutes: timedelta(minutes=minutes))
_LABEL: Final = "[a-z]([a-z0-9-]{0,6}[a-z0-9])?"


def texts(schema: Mapping[str, Any]) -> SearchStrategy[str]:
    """Draw texts for the keywords of *schema*; what a pattern only comes near is filtered later."""
    least: int = schema.get("minLength", 0)
    most: int = schema.get("maxLength", least + TEXT_CHARACTERS_MAX)
    if schema.get("format") in _FORMATS:
        return _FORMATS[schema["format"]]
    if "pattern" in schema:
        return _matching(schema["pattern"]).filter(lambda text: least <= len(text) <= most)
    return st.text(CHARACTERS, min_size=least, max_size=most)


def _matching(pattern: str) -> SearchStrategy[str]:
    # ASCII: to ECMA 262, which JSON Schema reads, \d is a digit of ours and \w has no umlauts.
    return st.from_regex(re.compile(pattern, re.ASCII), alphabet=CHARACTERS)


def _fully(pattern: str) -> SearchStrategy[str]:
    return st.from_regex(re.compile(pattern, re.ASCII), fullmatch=True)


_HOSTS: Final = _fully(rf"{_LABEL}(\.{_LABEL}){{0,2}}")
_PATHS: Final = _fully("(/[a-z0-9]{0,6}){0,3}")
_URIS: Final = st.builds("https://{}{}".format, _HOSTS, _PATHS) | _HOSTS.map("urn:host:{}".format)
_TIMES: Final = st.builds(
    lambda at, zone: at.replace(tzinfo=timezone(zone)).isoformat(), st.times(), _ZONES
)
_EMAILS: Final = st.builds(
    "{}@{}".format, _fully(r"[a-z0-9]{1,8}([.+_-][a-z0-9]{1,4})?"), _HOSTS.map("{}.org".format)
)
_FORMATS: Final[Mapping[str, SearchStrategy[str]]] = {
    "date-time": st.builds(
        lambda at, zone: at.replace(tzinfo=timezone(zone)).isoformat(), st.datetimes(), _ZONES
    ),
    "date": st.dates().map(str),
    "time": _TIMES,
    "duration": _fully("P([1-9][0-9]?D(T[1-9][0-9]?H)?|T[1-9][0-9]?[HMS]|[1-9][0-9]?[YMW])"),
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
