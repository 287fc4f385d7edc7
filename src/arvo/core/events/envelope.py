"""Envelope: the rules for an event's attributes (CloudEvents 1.0 §3 and Arvo's own)."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final, TypeAlias

import orjson

from arvo.core.events.identity import EVENT_ID_CHARACTERS_MAX
from arvo.core.events.subject import is_domain
from arvo.core.events.uri import CACHED_CHARACTERS_MAX, is_uri
from arvo.core.payloads.json_data import is_encodable, is_json
from arvo.core.violations.issue import Issue, short_repr

ARVO_CONTENT_TYPE: Final = "application/cloudevents+json;charset=UTF-8;profile=arvo"
# Tracing and application keys take about a dozen; payloads belong in the data.
EXTENSIONS_MAX: Final = 64

_TYPE: Final = re.compile(r"[a-z0-9]+(\.[a-z0-9]+)+", re.ASCII)
_EXTENSION: Final = re.compile(r"[a-z0-9]+", re.ASCII)
# More than the longest text that the pattern below matches.
_TIME_CHARACTERS_MAX: Final = 40
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)", re.ASCII)
# The names of attributes, and those that CloudEvents reserves for binary data (JSON format
# §3.1.1).
RESERVED: Final = frozenset(
    {"id", "source", "specversion", "type", "subject", "datacontenttype", "dataschema", "data"}
    | {"time", "to", "accesscontrol", "redirectto", "executionunits", "parentid", "domain"}
    | {"traceparent", "tracestate", "data_base64", "database64"}
)


def is_event_type(text: str) -> bool:
    """Return whether *text* is at least two lower-case segments joined by dots.

    The TypeScript packages require three segments.

    >>> is_event_type("user.validate"), is_event_type("User.validate"), is_event_type("user")
    (True, False, False)
    """
    return _TYPE.fullmatch(text) is not None


def is_sound_envelope(envelope: Sequence[Any]) -> bool:
    """Return True only if `envelope_issues` finds nothing in an event without extensions.

    Nearly all events pass, so this runs for each of them; the issues are looked for only then. It
    is False for a subclass of str and for some long texts, too. *envelope*: the values of
    `ENVELOPE`, in its order.
    """
    (
        id_, source, type_, subject, time, version, content_type, schema, to, access, redirectto,
        units, traceparent, tracestate, parentid, domain,
    ) = envelope  # fmt: skip
    try:
        return (
            version == "1.0"
            and content_type == ARVO_CONTENT_TYPE
            and _is_sound_route(source, type_, schema, to, redirectto, domain)
            and type(id_) is str
            and 0 < len(id_) <= EVENT_ID_CHARACTERS_MAX
            and (id_.isascii() or is_encodable(id_))
            and type(subject) is str
            and subject != ""
            and is_uri(subject)
            and type(time) is str
            and len(time) <= _TIME_CHARACTERS_MAX
            and _is_time_text(time)
            and (parentid is None or _is_text(parentid))
            and (units is None or (type(units) is int and units == 0) or _is_number(units))
            and (access is None or _is_text(access))
            and (traceparent is None or _is_text(traceparent))
            and (tracestate is None or _is_text(tracestate))
        )
    except (TypeError, _TooLongError):
        return False  # no cache holds a list, a dict or a long text


def _is_text(value: object) -> bool:
    return type(value) is str and value != "" and (value.isascii() or is_encodable(value))


def envelope_issues(envelope: Sequence[object], extensions: Mapping[str, Any]) -> Iterator[Issue]:
    """Yield the fault of each attribute of an event, except its data.

    *envelope*: the values of `ENVELOPE`, in its order.
    """
    values = dict(zip(ENVELOPE, envelope, strict=True))
    for name, (_, _, expected) in _RULES.items():
        if not _is_sound(name, values[name]):
            yield Issue(name, expected, short_repr(values[name]))
    if values["to"] is None and values["datacontenttype"] == ARVO_CONTENT_TYPE:
        # Arvo routes its own events by their address; other content types may leave it out.
        yield Issue("to", "an address (an Arvo event needs one)", "nothing")
    if extensions:
        yield from extension_issues(extensions)


class _TooLongError(Exception):
    """A route with a long text: an exception, because the cache does not keep these."""


def is_sound_route(*route: object) -> bool:
    """Return True only if the attributes that repeat from event to event, in `_ROUTE`, are valid.

    Few routes lead through a system, and one look-up is faster than six checks.
    """
    try:
        return _is_sound_route(*route)
    except (TypeError, _TooLongError):
        return False


@lru_cache(maxsize=1024)
def _is_sound_route(*route: object) -> bool:
    if any(isinstance(text, str) and len(text) > CACHED_CHARACTERS_MAX for text in route):
        raise _TooLongError
    to = route[_ROUTE.index("to")]
    return to is not None and all(map(_is_sound, _ROUTE, route))


def _is_sound(name: str, value: object) -> bool:
    optional, is_valid, _ = _RULES[name]
    return optional if value is None else is_valid(value)


def extension_issues(extensions: Mapping[Any, object]) -> Iterator[Issue]:
    """Yield the faults of an event's extensions."""
    if len(extensions) > EXTENSIONS_MAX:
        yield Issue("extensions", f"at most {EXTENSIONS_MAX}", f"{len(extensions)}")
        return
    for name, value in extensions.items():
        # On the wire an extension named `id` would overwrite the attribute.
        if not isinstance(name, str) or not _EXTENSION.fullmatch(name) or name in RESERVED:
            yield Issue(
                f"extensions.{name}",
                "a name of lower-case letters and digits that no attribute has",
                short_repr(name),
            )
        elif not (
            value is None or isinstance(value, bool) or _is_number(value) or _is_string(value)
        ):
            yield Issue(
                f"extensions.{name}", "a string, number, boolean or null", short_repr(value)
            )


def _is_specversion(value: object) -> bool:
    return value == "1.0"


def _is_string(value: object) -> bool:
    return isinstance(value, str) and (value.isascii() or is_encodable(value))


def _is_id(value: object) -> bool:
    return _is_nonempty(value) and len(str(value)) <= EVENT_ID_CHARACTERS_MAX


def _is_nonempty(value: object) -> bool:
    return value != "" and _is_string(value)


def _is_address(value: object) -> bool:
    return isinstance(value, str) and value != "" and is_uri(value)


def _is_number(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    # JSON readers agree on integers up to 64 bits only, and a huge one overflows a float.
    return is_json(int(value) if isinstance(value, int) else float(value))


def _is_content_type(value: object) -> bool:
    # A substring, as the TypeScript packages check it: parameters may follow.
    return (
        isinstance(value, str)
        and is_encodable(value)
        and ("application/cloudevents+json" in value or "application/json" in value)
    )


def _is_type(value: object) -> bool:
    return isinstance(value, str) and is_event_type(value)


def _is_domain(value: object) -> bool:
    return isinstance(value, str) and is_domain(value)


def _is_time(value: object) -> bool:
    return isinstance(value, str) and len(value) <= _TIME_CHARACTERS_MAX and _is_time_text(value)


# All events of one step have the same time.
@lru_cache(maxsize=1024)
def _is_time_text(text: str) -> bool:
    if not _TIME.fullmatch(text):
        return False
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def time_text(time: datetime) -> str:
    """Return a time with an offset as RFC 3339 text, cut to milliseconds.

    >>> time_text(datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))
    '2026-01-02T03:04:05.000+00:00'
    """
    if type(time) is not datetime or time.tzinfo is not UTC:
        return time.isoformat(timespec="milliseconds")
    # Twice as fast as `isoformat`; orjson leaves out microseconds that are zero.
    text = orjson.dumps(time).decode()
    return f"{text[1:24]}+00:00" if time.microsecond else f"{text[1:20]}.000+00:00"


# The attributes besides the data and the extensions, in the order in which they are passed here.
ENVELOPE: Final = (
    "id", "source", "type", "subject", "time", "specversion", "datacontenttype", "dataschema", "to",
    "accesscontrol", "redirectto", "executionunits", "traceparent", "tracestate", "parentid",
    "domain",
)  # fmt: skip
_ROUTE: Final = ("source", "type", "dataschema", "to", "redirectto", "domain")

# Each attribute: whether it may be missing, its check, and the expected value in words.
_Rule: TypeAlias = tuple[bool, Callable[[Any], bool], str]


def _required(is_valid: Callable[[Any], bool], expected: str) -> _Rule:
    return False, is_valid, expected


def _optional(is_valid: Callable[[Any], bool], expected: str) -> _Rule:
    return True, is_valid, f"{expected} or nothing"


_RULES: Final[Mapping[str, _Rule]] = {
    "id": _required(_is_id, f"a string of 1 to {EVENT_ID_CHARACTERS_MAX} characters"),
    "source": _required(_is_address, "an encoded URI"),
    "specversion": _required(_is_specversion, "'1.0'"),
    "type": _required(_is_type, "lower-case segments and dots, such as com.user.create"),
    "subject": _required(_is_address, "an encoded URI"),
    "datacontenttype": _required(
        _is_content_type, "application/cloudevents+json or application/json"
    ),
    "dataschema": _optional(_is_address, "an encoded URI"),
    "time": _required(_is_time, "an RFC 3339 time with an offset"),
    "to": _optional(_is_address, "an encoded URI"),
    "accesscontrol": _optional(_is_nonempty, "a string"),
    "redirectto": _optional(_is_address, "an encoded URI"),
    "executionunits": _optional(_is_number, "a number"),
    "parentid": _optional(_is_nonempty, "a string"),
    "domain": _optional(_is_domain, "lower-case letters, digits, dots"),
    "traceparent": _optional(_is_nonempty, "a string"),
    "tracestate": _optional(_is_nonempty, "a string"),
}
