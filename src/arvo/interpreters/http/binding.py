"""Binding: events as HTTP messages (CloudEvents HTTP Protocol Binding 1.0.2).

Not by the `cloudevents` package: it keeps a time as an instant and not as it was written, takes
bytes that are no text, and knows nothing of two headers of one name. It reads what is written here,
and the other way round; tests say so.
"""

import base64
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, TypeAlias, final

import orjson
from attrs import evolve, frozen
from opentelemetry.trace import get_current_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from arvo.core.events.envelope import ARVO_CONTENT_TYPE
from arvo.core.events.event import Event
from arvo.core.violations.issue import Issue, short
from arvo.core.violations.violation import ContractViolation, Violated
from arvo.interpreters.http.header import decode, encode, number_of

Mode: TypeAlias = Literal["structured", "binary"]
# As they came, names and values: a mapping would hide the second of two.
Headers: TypeAlias = Sequence[tuple[bytes, bytes]]

STRUCTURED: Final = "application/cloudevents+json"
BATCH: Final = "application/cloudevents-batch+json"
JSON: Final = "application/json"
MEDIA_TYPES: Final = (STRUCTURED, BATCH, JSON)
# Each may be waited for by a queue that is full; their bytes together are bounded as one event's.
BATCH_EVENTS_MAX: Final = 100

# The standard wants `datacontenttype` in Content-Type, where the one of Arvo's events would be
# taken for structured mode. So binary mode says what the body is, and the profile tells the rest.
_ARVO_JSON: Final = ARVO_CONTENT_TYPE.replace(STRUCTURED, JSON)
_PROFILE: Final = re.compile(r';\s*profile="?arvo"?\s*(;|$)', re.IGNORECASE)
_JSON_TYPE: Final = re.compile(r"application/json(;[\x20-\x7e]*[\x21-\x7e])?")
_STATE: Final = re.compile(r"[\x21-\x7e]([\x20-\x7e]{0,510}[\x21-\x7e])?")
# They travel elsewhere: in the body, and in Content-Type (§3.1.1).
_NO_HEADERS: Final = frozenset({"data", "data_base64", "datacontenttype"})
_PROPAGATOR: Final = TraceContextTextMapPropagator()


@final
@frozen
class HttpMessage:
    """The headers and the body of a request or a response."""

    headers: Mapping[str, str]
    body: bytes


def mode_of(headers: Headers) -> Mode | Literal["batch"] | None:
    """Say in which mode a message carries events; None: in none that can be read (§3)."""
    said = content_type(headers)
    match said.partition(";")[0].strip().lower():
        case "application/cloudevents+json":
            # An Arvo event in binary mode, by the letter of the standard: see _ARVO_JSON.
            by_letter = _PROFILE.search(said) and names_event(headers)
            return "binary" if by_letter else "structured"
        case "application/cloudevents-batch+json":
            return "batch"
        case "application/json" | "":
            return "binary"
        case _:
            return None


def names_event(headers: Headers) -> bool:
    """Tell whether there are attributes among the headers."""
    return any(name.lower() == b"ce-id" for name, _ in headers)


def carries_event(headers: Headers) -> bool:
    """Tell whether a message says that it holds events, as a response need not."""
    mode = mode_of(headers)
    return mode is not None and (mode != "binary" or names_event(headers))


def content_type(headers: Headers) -> str:
    """Give the value of the first Content-Type, an empty text where there is none."""
    found = (value for name, value in headers if name.lower() == b"content-type")
    return next(found, b"").decode("latin-1").strip()


def read(headers: Headers, body: bytes) -> list[Event[Any]]:
    """Read the events of a message; raises `Violated` that names each field that is wrong.

    One event, or those of a batch. An event without a trace takes over that of the request.
    """
    match mode_of(headers):
        case "structured":
            events = [_structured(_json(body))]
        case "batch":
            events = _batch(_json(body))
        case "binary":
            events = [_binary(headers, body)]
        case None:
            raise _unread(Issue("Content-Type", _LISTED, short(content_type(headers))))
    return [_traced(event, headers) for event in events]


_LISTED: Final = f"one of {', '.join(MEDIA_TYPES)}"


def write(event: Event[Any], mode: Mode) -> HttpMessage:
    """Write an event; what has no value is left out.

    Binary mode carries texts: a number or a boolean among the extensions arrives as one.
    """
    if mode == "binary":
        return _as_binary(event)
    content = event.to_dict()
    for name in [name for name, value in content.items() if value is None]:
        # The standard takes null for nothing (JSON format §2.1); some readers do not.
        if name not in event.extensions:
            del content[name]
    headers = {"content-type": f"{STRUCTURED}; charset=UTF-8", **_trace_headers(event)}
    return HttpMessage(headers, orjson.dumps(content))


def _as_binary(event: Event[Any]) -> HttpMessage:
    content = event.to_dict()
    said = content.pop("datacontenttype")
    if said == ARVO_CONTENT_TYPE:
        said = _ARVO_JSON
    elif not _JSON_TYPE.fullmatch(said):
        said = JSON
    headers = {"content-type": said, **_trace_headers(event)}
    data = content.pop("data")
    for name, value in content.items():
        if value is not None:
            headers[f"ce-{name}"] = encode(value)
    return HttpMessage(headers, orjson.dumps(data))


def _structured(content: object) -> Event[Any]:
    if isinstance(content, dict) and "data" not in content and "data_base64" in content:
        packed = content.pop("data_base64")
        try:
            # JSON format §3.1.1: bytes, whatever they are; of ours they must be JSON.
            content["data"] = orjson.loads(base64.b64decode(packed, validate=True))
        except (ValueError, TypeError):
            raise _unread(Issue("data_base64", "JSON in base64", short(packed))) from None
    return Event.from_dict(content)


def _batch(content: object) -> list[Event[Any]]:
    if not isinstance(content, list):
        raise _unread(Issue("batch", "a list of events", type(content).__name__))
    if len(content) > BATCH_EVENTS_MAX:
        raise _unread(Issue("batch", f"at most {BATCH_EVENTS_MAX} events", f"{len(content)}"))
    events: list[Event[Any]] = []
    issues: list[Issue] = []
    for position, each in enumerate(content):
        try:
            events.append(_structured(each))
        except Violated as violated:
            issues += [
                evolve(issue, path=f"[{position}].{issue.path}")
                for issue in violated.violation.issues
            ]
    if issues:
        raise _unread(*issues)
    return events


def _binary(headers: Headers, body: bytes) -> Event[Any]:
    if not names_event(headers):
        modes = f"{STRUCTURED}, or attributes as ce-* headers"
        raise _unread(Issue("Content-Type", modes, f"{short(content_type(headers))} and no ce-id"))
    attributes, issues = _attributes(headers)
    if said := content_type(headers):
        attributes["datacontenttype"] = ARVO_CONTENT_TYPE if _PROFILE.search(said) else said
    if isinstance(units := attributes.get("executionunits"), str):
        attributes["executionunits"] = number_of(units)
    if body:
        try:
            attributes["data"] = orjson.loads(body)
        except orjson.JSONDecodeError as error:
            issues.append(Issue("data", "JSON", f"{error.msg} at character {error.pos}"))
    if issues:
        raise _unread(*issues)
    return Event.from_dict(attributes)


def _attributes(headers: Headers) -> tuple[dict[str, Any], list[Issue]]:
    attributes: dict[str, Any] = {}
    issues: list[Issue] = []
    for raw, value in headers:
        header = raw.decode("latin-1").lower()
        if not header.startswith("ce-"):
            continue
        name = header[3:]
        if name in _NO_HEADERS:
            issues.append(Issue(header, "no such header (body and Content-Type say it)", "one"))
        elif name in attributes:
            issues.append(Issue(header, "one value", "a second one"))
        else:
            try:
                attributes[name] = decode(value)
            except ValueError:
                issues.append(Issue(header, "percent-encoded UTF-8", short(value)))
    return attributes, issues


def _traced(event: Event[Any], headers: Headers) -> Event[Any]:
    """Let an event without a trace belong to that of the request (W3C Trace Context)."""
    if event.traceparent is not None:
        return event
    values = {name.lower(): value.decode("latin-1") for name, value in headers}
    parent = values.get(b"traceparent", "")
    if not _is_trace(parent):
        return event
    state = values.get(b"tracestate", "")
    return evolve(event, traceparent=parent, tracestate=state if _STATE.fullmatch(state) else None)


def _trace_headers(event: Event[Any]) -> dict[str, str]:
    """Say an event's trace where HTTP has it, too (§3.1.3), so that proxies can see it."""
    parent, state = event.traceparent, event.tracestate
    if parent is None or not _is_trace(parent):
        return {}
    beside = {} if state is None or not _STATE.fullmatch(state) else {"tracestate": state}
    return {"traceparent": parent, **beside}


def _is_trace(text: str) -> bool:
    context = _PROPAGATOR.extract({"traceparent": text})
    return text.isascii() and get_current_span(context).get_span_context().is_valid


def _json(body: bytes) -> object:
    try:
        content: object = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise _unread(Issue("event", "JSON", f"{error.msg} at character {error.pos}")) from None
    return content


def _unread(*issues: Issue) -> Violated:
    return Violated(ContractViolation("this event cannot be read", issues))
