"""Envelope: the rules that an event's attributes keep (reference F003-F020)."""

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from functools import lru_cache
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final, final

from attrs import field, frozen

from arvo.core.events.identity import EVENT_ID_CHARACTERS_MAX
from arvo.core.events.subject import is_domain
from arvo.core.events.uri import is_uri
from arvo.core.payloads.fields import PayloadError
from arvo.core.payloads.frozen_json import FrozenDict
from arvo.core.payloads.json import freeze_object, frozen_json
from arvo.core.payloads.json_data import encodes, is_plain
from arvo.core.payloads.payload import Payload
from arvo.core.violations.issue import Issue, Issues, short

if TYPE_CHECKING:
    from arvo.core.events.event import Event

ARVO_CONTENT_TYPE: Final = "application/cloudevents+json;charset=UTF-8;profile=arvo"
# Tracing and a few keys of one's own need a dozen; a header is no place for a payload.
EXTENSIONS_MAX: Final = 64

_TYPE: Final = re.compile(r"[a-z0-9]+(\.[a-z0-9]+)+", re.ASCII)
_EXTENSION: Final = re.compile(r"[a-z0-9]+", re.ASCII)
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)", re.ASCII)
# The wire's own attributes, and what the standard keeps for binary data (JSON format §3.1.1).
RESERVED: Final = frozenset(
    {"id", "source", "specversion", "type", "subject", "datacontenttype", "dataschema", "data"}
    | {"time", "to", "accesscontrol", "redirectto", "executionunits", "parentid", "domain"}
    | {"traceparent", "tracestate", "data_base64", "database64"}
)


@final
@frozen
class Wire:
    """An event's data as JSON, and the object it was made from.

    The object is kept to notice an event copied with other data, whose JSON would be stale.
    """

    of: object = field(eq=False)
    json: FrozenDict


def wire_of(data: object) -> Wire | Issues:
    """Turn an event's data into JSON: a mapping as it is, an instance by its class's schema."""
    if isinstance(data, Mapping):
        json = freeze_object(data)
        return json if isinstance(json, Issues) else Wire(json, json)
    if not hasattr(type(data), "__attrs_attrs__"):
        return Issues.one("data", "an object or an instance of an attrs class", short(data))
    try:
        written = Payload.of(type(data)).write(data)
    except PayloadError as refused:
        return Issues.one("data", "an instance of a payload class", str(refused))
    return written if isinstance(written, Issues) else Wire(data, frozen_json(written))


@lru_cache(maxsize=4096)
def is_event_type(text: str) -> bool:
    """Tell whether *text* is lower-case segments and dots, two at least (F007, changed on purpose).

    >>> is_event_type("user.validate"), is_event_type("User.validate"), is_event_type("user")
    (True, False, False)
    """
    return _TYPE.fullmatch(text) is not None


def envelope_issues(event: "Event[Any]") -> Iterator[Issue]:
    """Say what is wrong with each attribute but the data."""
    for value, (name, optional, fits, expected) in zip(_ruled(event), _RULES, strict=True):
        if (value is None and not optional) or (value is not None and not fits(value)):
            yield Issue(name, f"{expected} or nothing" if optional else expected, short(value))
    if event.to is None and event.datacontenttype == ARVO_CONTENT_TYPE:
        # An Arvo event says where it goes (F011).
        yield Issue("to", "an address (an Arvo event needs one)", "nothing")
    if event.extensions:
        yield from _extension_issues(event.extensions)


def _extension_issues(extensions: Mapping[Any, object]) -> Iterator[Issue]:
    if len(extensions) > EXTENSIONS_MAX:
        yield Issue("extensions", f"at most {EXTENSIONS_MAX}", f"{len(extensions)}")
        return
    for name, value in extensions.items():
        # B31: an extension named `id` would overwrite the real one on the wire.
        if not isinstance(name, str) or not _EXTENSION.fullmatch(name) or name in RESERVED:
            yield Issue(
                f"extensions.{name}",
                "a name of lower-case letters and digits that is no attribute's",
                short(name),
            )
        elif not (value is None or isinstance(value, bool) or _is_number(value) or _says(value)):
            yield Issue(f"extensions.{name}", "a text, number, boolean or null", short(value))


def _is_specversion(value: object) -> bool:
    return value == "1.0"


def _says(value: object) -> bool:
    return isinstance(value, str) and (value.isascii() or encodes(value))


def _is_id(value: object) -> bool:
    return _is_text(value) and len(str(value)) <= EVENT_ID_CHARACTERS_MAX


def _is_text(value: object) -> bool:
    return value != "" and _says(value)


def _is_address(value: object) -> bool:
    return isinstance(value, str) and value != "" and is_uri(value)


def _is_number(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    # Beyond 64 bits JSON has no such integer, and a float overflows.
    return is_plain(int(value) if isinstance(value, int) else float(value))


def _is_content_type(value: object) -> bool:
    # It may carry parameters, so the reference looks for the name in it (F009).
    return (
        isinstance(value, str)
        and encodes(value)
        and ("application/cloudevents+json" in value or "application/json" in value)
    )


def _is_type(value: object) -> bool:
    return isinstance(value, str) and is_event_type(value)


def _is_domain(value: object) -> bool:
    return isinstance(value, str) and is_domain(value)


def _is_time(value: object) -> bool:
    return isinstance(value, str) and _is_time_text(value)


# The events of one step share their time.
@lru_cache(maxsize=1024)
def _is_time_text(text: str) -> bool:
    if not _TIME.fullmatch(text):
        return False
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


# Each attribute: whether it may be missing, what else it must be, and how to say so.
_RULES: Final[tuple[tuple[str, bool, Callable[[Any], bool], str], ...]] = (
    ("id", False, _is_id, f"a text of 1 to {EVENT_ID_CHARACTERS_MAX} characters"),
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
    ("accesscontrol", True, _is_text, "a text"),
    ("redirectto", True, _is_address, "an encoded URI"),
    ("executionunits", True, _is_number, "a number"),
    ("parentid", True, _is_text, "a text"),
    ("domain", True, _is_domain, "lower-case letters, digits, dots"),
    ("traceparent", True, _is_text, "a text"),
    ("tracestate", True, _is_text, "a text"),
)
# Every event that is made comes by here: one call gets all attributes.
_ruled: Final = attrgetter(*(name for name, *_ in _RULES))
