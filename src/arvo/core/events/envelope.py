"""Envelope: the rules for an event's attributes (CloudEvents 1.0 §3 and Arvo's own)."""

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from functools import lru_cache
from operator import attrgetter
from typing import Any, Final, Protocol

from arvo.core.events.identity import EVENT_ID_CHARACTERS_MAX
from arvo.core.events.subject import is_domain
from arvo.core.events.uri import is_uri
from arvo.core.payloads.json_data import is_encodable, is_json
from arvo.core.violations.issue import Issue, short_repr

ARVO_CONTENT_TYPE: Final = "application/cloudevents+json;charset=UTF-8;profile=arvo"
# Tracing and application keys take about a dozen; payloads belong in the data.
EXTENSIONS_MAX: Final = 64

_TYPE: Final = re.compile(r"[a-z0-9]+(\.[a-z0-9]+)+", re.ASCII)
_EXTENSION: Final = re.compile(r"[a-z0-9]+", re.ASCII)
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)", re.ASCII)
# The names of attributes, and those that CloudEvents reserves for binary data (JSON format
# §3.1.1).
RESERVED: Final = frozenset(
    {"id", "source", "specversion", "type", "subject", "datacontenttype", "dataschema", "data"}
    | {"time", "to", "accesscontrol", "redirectto", "executionunits", "parentid", "domain"}
    | {"traceparent", "tracestate", "data_base64", "database64"}
)


class Attributes(Protocol):
    """The attributes that the rules read by name; an `Event` has them."""

    @property
    def to(self) -> str | None: ...
    @property
    def datacontenttype(self) -> str: ...
    @property
    def extensions(self) -> Mapping[str, Any]: ...


@lru_cache(maxsize=4096)
def is_event_type(text: str) -> bool:
    """Return whether *text* is at least two lower-case segments joined by dots.

    The TypeScript packages require three segments.

    >>> is_event_type("user.validate"), is_event_type("User.validate"), is_event_type("user")
    (True, False, False)
    """
    return _TYPE.fullmatch(text) is not None


def envelope_issues(event: Attributes) -> Iterator[Issue]:
    """Yield what is wrong with each attribute of *event*, except its data."""
    rules = zip(_attribute_values(event), _RULES, strict=True)
    for value, (name, optional, is_valid, expected) in rules:
        if (value is None and not optional) or (value is not None and not is_valid(value)):
            yield Issue(name, f"{expected} or nothing" if optional else expected, short_repr(value))
    if event.to is None and event.datacontenttype == ARVO_CONTENT_TYPE:
        # Arvo routes its own events by their address; other content types may leave it out.
        yield Issue("to", "an address (an Arvo event needs one)", "nothing")
    if event.extensions:
        yield from _extension_issues(event.extensions)


def _extension_issues(extensions: Mapping[Any, object]) -> Iterator[Issue]:
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
    return isinstance(value, str) and _is_time_text(value)


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


# Each attribute: whether it may be missing, its check, and the expected value in words.
_RULES: Final[tuple[tuple[str, bool, Callable[[Any], bool], str], ...]] = (
    ("id", False, _is_id, f"a string of 1 to {EVENT_ID_CHARACTERS_MAX} characters"),
    ("source", False, _is_address, "an encoded URI"),
    ("specversion", False, _is_specversion, "'1.0'"),
    ("type", False, _is_type, "lower-case segments and dots, such as com.user.create"),
    ("subject", False, _is_address, "an encoded URI"),
    (
        "datacontenttype",
        False,
        _is_content_type,
        "application/cloudevents+json or application/json",
    ),
    ("dataschema", True, _is_address, "an encoded URI"),
    ("time", False, _is_time, "an RFC 3339 time with an offset"),
    ("to", True, _is_address, "an encoded URI"),
    ("accesscontrol", True, _is_nonempty, "a string"),
    ("redirectto", True, _is_address, "an encoded URI"),
    ("executionunits", True, _is_number, "a number"),
    ("parentid", True, _is_nonempty, "a string"),
    ("domain", True, _is_domain, "lower-case letters, digits, dots"),
    ("traceparent", True, _is_nonempty, "a string"),
    ("tracestate", True, _is_nonempty, "a string"),
)
# One call for all attributes, because it runs for every event that is built.
_attribute_values: Final = attrgetter(*(name for name, *_ in _RULES))
