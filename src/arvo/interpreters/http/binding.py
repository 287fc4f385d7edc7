"""Binding: events as HTTP messages (CloudEvents HTTP Protocol Binding 1.0.2).

Not with the `cloudevents` package: it stores a time as an instant and not as it was written,
accepts bytes that are no text, and does not detect two headers of one name. Tests prove that each
implementation reads what the other writes.
"""

import base64
import re
from collections.abc import Mapping
from typing import Any, Final, Literal, TypeAlias, final

import orjson
from attrs import evolve, frozen

from arvo.core.events.envelope import ARVO_CONTENT_TYPE
from arvo.core.events.event import Event
from arvo.core.events.json_text import NotJson, parse_json
from arvo.core.violations.issue import Issue, Issues, short_repr
from arvo.core.violations.violation import ContractViolation, Violated
from arvo.interpreters.http.header import Headers, decode, encode, parse_number
from arvo.interpreters.http.trace import trace_headers, with_trace

Mode: TypeAlias = Literal["structured", "binary"]

STRUCTURED: Final = "application/cloudevents+json"
BATCH: Final = "application/cloudevents-batch+json"
JSON: Final = "application/json"
MEDIA_TYPES: Final = (STRUCTURED, BATCH, JSON)
# Each may wait for a full queue. The size of all together is limited like that of one event.
BATCH_EVENTS_MAX: Final = 100

# The standard puts `datacontenttype` into Content-Type, where that of Arvo's events would look like
# structured mode. So binary mode has JSON as its content type, with the profile as a parameter.
_ARVO_JSON: Final = ARVO_CONTENT_TYPE.replace(STRUCTURED, JSON)
_PROFILE: Final = re.compile(r';\s*profile="?arvo"?\s*(;|$)', re.IGNORECASE)
_JSON_TYPE: Final = re.compile(r"application/json(;[\x20-\x7e]*[\x21-\x7e])?")
# These are in the body and in Content-Type (§3.1.1), and never in headers of their own.
_NO_HEADERS: Final = frozenset({"data", "data_base64", "datacontenttype"})


@final
@frozen
class HttpMessage:
    """The headers and the body of a request or response."""

    headers: Mapping[str, str]
    body: bytes


def parse_mode(headers: Headers) -> Mode | Literal["batch"] | None:
    """Return the mode in which a message carries events; None if none of the modes (§3)."""
    text = content_type(headers)
    match text.partition(";")[0].strip().lower():
        case "application/cloudevents+json":
            # By the letter of the standard, an Arvo event in binary mode has this type: see
            # _ARVO_JSON.
            is_binary = _PROFILE.search(text) and has_attributes(headers)
            return "binary" if is_binary else "structured"
        case "application/cloudevents-batch+json":
            return "batch"
        case "application/json" | "":
            return "binary"
        case _:
            return None


def is_from_arvo(headers: Headers) -> bool:
    """Return True if the content type of a message has Arvo's profile."""
    return _PROFILE.search(content_type(headers)) is not None


def has_attributes(headers: Headers) -> bool:
    """Return True if the headers contain the attributes of an event."""
    return any(name.lower() == b"ce-id" for name, _ in headers)


def has_events(headers: Headers) -> bool:
    """Return True if the headers announce events, which a response need not have."""
    mode = parse_mode(headers)
    return mode is not None and (mode != "binary" or has_attributes(headers))


def content_type(headers: Headers) -> str:
    """Return the value of the first Content-Type, an empty text without one."""
    values = (value for name, value in headers if name.lower() == b"content-type")
    return next(values, b"").decode("latin-1").strip()


def read_events(headers: Headers, body: bytes) -> list[Event[Any]]:
    """Read the events of a message; raises `Violated` that names each field that is wrong.

    The list has one event, or those of a batch. An event without a trace gets that of the request.
    """
    match parse_mode(headers):
        case "structured":
            events = [_read_structured(_parse_json(body))]
        case "batch":
            events = _read_batch(_parse_json(body))
        case "binary":
            events = [_read_binary(headers, body)]
        case None:
            raise _unreadable(Issue("Content-Type", _LISTED, short_repr(content_type(headers))))
    return [with_trace(event, headers) for event in events]


_LISTED: Final = f"one of {', '.join(MEDIA_TYPES)}"


def write_event(event: Event[Any], mode: Mode, *, nulls: bool = False) -> HttpMessage:
    """Write an event, without the attributes that have no value.

    *nulls*: structured mode has them as null, as the constructor of the TypeScript packages needs
    them. Binary mode has text only: numbers and booleans among the extensions arrive as text.
    """
    if mode == "binary":
        return _write_binary(event)
    content = event.to_dict()
    for name in [] if nulls else [name for name, value in content.items() if value is None]:
        # Null means no value (JSON format §2.1), but some implementations refuse it.
        if name not in event.extensions:
            del content[name]
    headers = {"content-type": f"{STRUCTURED}; charset=UTF-8", **trace_headers(event)}
    return HttpMessage(headers, orjson.dumps(content))


def _write_binary(event: Event[Any]) -> HttpMessage:
    content = event.to_dict()
    type_ = content.pop("datacontenttype")
    if type_ == ARVO_CONTENT_TYPE:
        type_ = _ARVO_JSON
    elif not _JSON_TYPE.fullmatch(type_):
        type_ = JSON
    headers = {"content-type": type_, **trace_headers(event)}
    data = content.pop("data")
    for name, value in content.items():
        if value is not None:
            headers[f"ce-{name}"] = encode(value)
    return HttpMessage(headers, orjson.dumps(data))


def _read_structured(content: object) -> Event[Any]:
    if isinstance(content, dict) and "data" not in content and "data_base64" in content:
        encoded = content.pop("data_base64")
        try:
            text = base64.b64decode(encoded, validate=True)
        except (ValueError, TypeError):
            raise _unreadable(_not_base64(encoded)) from None
        # JSON format §3.1.1 allows any bytes; the data of an Arvo event must be JSON.
        data = parse_json(text, "data_base64", "data")
        if isinstance(data, NotJson):
            raise _unreadable(_not_base64(encoded))
        if isinstance(data, Issues):
            raise _unreadable(*data.items)
        content["data"] = data
    return Event.from_dict(content)


def _not_base64(encoded: object) -> Issue:
    return Issue("data_base64", "JSON in base64", short_repr(encoded))


def _read_batch(content: object) -> list[Event[Any]]:
    if not isinstance(content, list):
        raise _unreadable(Issue("batch", "a list of events", type(content).__name__))
    if len(content) > BATCH_EVENTS_MAX:
        raise _unreadable(Issue("batch", f"at most {BATCH_EVENTS_MAX} events", f"{len(content)}"))
    events: list[Event[Any]] = []
    issues: list[Issue] = []
    for position, item in enumerate(content):
        try:
            events.append(_read_structured(item))
        except Violated as violated:
            issues += [
                evolve(issue, path=f"[{position}].{issue.path}")
                for issue in violated.violation.issues
            ]
    if issues:
        raise _unreadable(*issues)
    return events


def _read_binary(headers: Headers, body: bytes) -> Event[Any]:
    if not has_attributes(headers):
        modes = f"{STRUCTURED}, or attributes as ce-* headers"
        raise _unreadable(
            Issue("Content-Type", modes, f"{short_repr(content_type(headers))} and no ce-id")
        )
    attributes, issues = _read_attributes(headers)
    if type_ := content_type(headers):
        attributes["datacontenttype"] = ARVO_CONTENT_TYPE if _PROFILE.search(type_) else type_
    parsed: dict[str, Any] = {}
    if isinstance(units := attributes.get("executionunits"), str):
        parsed["executionunits"] = parse_number(units, "executionunits")
    if body:
        parsed["data"] = parse_json(body, "data", "data")
    for name, value in parsed.items():
        if isinstance(value, Issues):
            issues += value.items
        else:
            attributes[name] = value
    if issues:
        raise _unreadable(*issues)
    return Event.from_dict(attributes)


def _read_attributes(headers: Headers) -> tuple[dict[str, Any], list[Issue]]:
    attributes: dict[str, Any] = {}
    issues: list[Issue] = []
    for raw, value in headers:
        header = raw.decode("latin-1").lower()
        if not header.startswith("ce-"):
            continue
        name = header[3:]
        if name in _NO_HEADERS:
            issues.append(
                Issue(header, "no such header (it is in the body or in Content-Type)", "one")
            )
        elif name in attributes:
            issues.append(Issue(header, "one value", "a second one"))
        else:
            try:
                attributes[name] = decode(value)
            except ValueError:
                issues.append(Issue(header, "percent-encoded UTF-8", short_repr(value)))
    return attributes, issues


def _parse_json(body: bytes) -> object:
    content: object = parse_json(body, "event")
    if isinstance(content, Issues):
        raise _unreadable(*content.items)
    return content


def _unreadable(*issues: Issue) -> Violated:
    return Violated(ContractViolation("this event cannot be read", issues))
