"""HTTP requests: strategies for requests that any client may send to the app, good and bad."""

import json
from collections.abc import Callable
from typing import Any, Final

from attrs import evolve, frozen
from hypothesis import strategies as st

from arvo import Event, SystemFault
from arvo.core.events.event import EVENT_BYTES_MAX
from arvo.core.events.protocol import timer_event_type
from arvo.interpreters.http.binding import BATCH, JSON, STRUCTURED, write_event
from arvo.interpreters.http.workflow_json import PARAMETERS, to_path
from tests.shop import CardCharged, charge, charge_request, order, order_request, reply_to

Headers = list[tuple[bytes, bytes]]
BEGIN: Final = order_request()


@frozen
class Sent:
    """A request as the server passes it to the app.

    *chunks*: the body, in parts. *ends*: the client sends all of it; otherwise it disconnects, or,
    with None, stops sending. *is_signed*: a partner signs the body.
    """

    method: str
    path: str
    headers: Headers
    chunks: tuple[bytes, ...]
    ends: bool | None
    is_signed: bool
    query: bytes = b""


def _forge(inner: Event[Any]) -> list[Event[Any]]:
    """Return events that only the system itself, or a service that it asked, may send."""
    cancel = order["1.0.0"].cancel("no", source="com.mallory", subject=BEGIN.subject)
    fault = charge["1.0.0"].system_error(SystemFault("E", "m"), source=charge.type, to=order.type)
    timer = {"name": "t", "at": "2020-01-01T00:00:00.000+00:00", "payload": {}}
    answer = reply_to(inner, CardCharged("forged"))
    return [
        answer,
        evolve(fault, subject=BEGIN.subject, parentid=inner.id),
        cancel,
        Event.from_dict(
            {**cancel.to_dict(), "type": timer_event_type(order.type), "id": "t", "data": timer}
        ),
        evolve(answer, parentid=None),
        evolve(charge_request("in-its-name"), source=order.type),
    ]


def _dump(content: object) -> bytes:
    # Not with orjson: other programs write halves of surrogate pairs, NaN and huge integers.
    return json.dumps(content).encode()


_ATTRIBUTES: Final = [*BEGIN.to_dict(), "data_base64", "x", "parentSubject$$"]
_VALUES: Final = st.binary(max_size=40).filter(lambda value: not set(value) & set(b"\r\n\0"))
_HUGE: Final = st.sampled_from([2**63, 2**64, -(2**63) - 1, 10**400, 1e308, float("nan"), -0.0])
_TEXTS: Final = st.text(max_size=8) | st.sampled_from(["\0", "\ud800", "a\r\nb", "x" * 20_000])
_JSON: Final = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | _HUGE | _TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXTS, inner, max_size=4),
    max_leaves=6,
)
_CHANGES: Final[st.SearchStrategy[dict[str, Any]]] = (
    st.just({})
    | st.dictionaries(st.sampled_from(_ATTRIBUTES) | _TEXTS, _JSON, max_size=3)
    | st.fixed_dictionaries(
        # Payloads and names of the contracts' own shape, with odd values.
        {"data": st.fixed_dictionaries({"order_id": _JSON, "amount": _JSON})},
        optional={"to": st.sampled_from([charge.type, order.type, "a.b"]), "subject": _TEXTS},
    )
)
_NAMES: Final = st.sampled_from(
    [
        *(b"ce-" + name.encode() for name in BEGIN.to_dict()),
        b"ce-x", b"ce-", b"ce-data", b"ce-extensions", b"content-length", b"content-encoding",
        b"transfer-encoding", b"traceparent", b"tracestate", b"accept", b"expect", b"host",
        b"x-forwarded-for", b"webhook-id", b"webhook-timestamp", b"webhook-signature",
    ]
)  # fmt: skip
_TYPES: Final = st.sampled_from(
    [
        STRUCTURED, BATCH, JSON, f"{STRUCTURED};profile=arvo", f"{STRUCTURED}; charset=utf-16",
        "application/cloudevents+avro", "text/html", "multipart/form-data; boundary=x", "", "*",
    ]
).map(str.encode)  # fmt: skip
_ODD_HEADERS: Final = st.tuples(_NAMES, _VALUES) | st.sampled_from(
    [
        (b"content-length", b"9" * 30), (b"content-length", b"-1"), (b"content-length", b"0"),
        (b"prefer", b"wait=60"), (b"prefer", b"wait=999999999999"), (b"prefer", b"wait=\xff"),
        (b"ce-id", b"%ff"), (b"ce-id", b'"%"'), (b"ce-id", b"x" * 5_000),
        (b"ce-executionunits", b"9" * 400), (b"host", b"["), (b"host", b"a]:99999999"),
    ]
)  # fmt: skip
_JUNK: Final = st.binary(max_size=60) | st.sampled_from(
    [
        b"[" * 100_000, b'{"a":' * 50_000, b"[" * 900 + b"]" * 900, b"9" * 5_000, b"\0", b"{}",
        b"[]", b"[[]]", b"null", b'"\\ud800"', b"\xff\xfe{\0}\0", b"\xef\xbb\xbf{}",
        b"x" * (EVENT_BYTES_MAX + 1), _dump([BEGIN.to_dict()] * 101),
    ]
)  # fmt: skip


def requests(inner: Event[Any]) -> st.SearchStrategy[Sent]:
    """Draw requests to an app in which BEGIN has begun, whose open request is *inner*."""
    good = [BEGIN, order_request("i2"), charge_request("c2"), *_forge(inner)]
    return _sending_requests(st.sampled_from(good)) | _reading_requests()


@st.composite
def _sending_requests(draw: st.DrawFn, events: st.SearchStrategy[Event[Any]]) -> Sent:
    """Draw an event in one of the modes, with a few changes, most of which make it bad."""
    event = draw(events)
    headers, body = draw(st.sampled_from([_structured, _binary, _batch]))(event, draw)
    odd = draw(st.lists(_ODD_HEADERS, max_size=3)) if draw(st.booleans()) else []
    odd += draw(st.sampled_from([[], [(b"prefer", b"wait=60")]]))
    # The first content type counts; another one makes the body that of another mode.
    has_kind = draw(st.integers(0, 3)) == 0
    kinds = [(b"content-type", draw(_TYPES | _VALUES))] if has_kind else []
    headers = draw(st.sampled_from([kinds + headers + odd, odd + headers]))
    if draw(st.integers(0, 4)) == 0:
        body = draw(_JUNK)
    return Sent(
        draw(st.sampled_from(["POST"] * 9 + ["PUT", "DELETE", "\u00e9", "get"])),
        "/",
        headers,
        draw(st.sampled_from([_whole, _halves]))(body),
        draw(st.sampled_from([True] * 12 + [False, None])),
        draw(st.sampled_from([True, True, True, False])),
    )


@st.composite
def _reading_requests(draw: st.DrawFn) -> Sent:
    subject = str(BEGIN.subject)
    paths = st.sampled_from(
        [
            "/",
            "",
            "/live",
            "/ready/",
            "//",
            *["/workflows"] * 3,
            "/workflows/",
            "/workflows/../live",
        ]
        + [f"/workflows/{text}" for text in (subject, to_path(subject), subject[:-3], "%00", "\0")]
    )
    return Sent(
        draw(st.sampled_from(["GET", "GET", "HEAD", "OPTIONS", "POST", "TRACE", ""])),
        draw(paths | st.text(st.characters(codec="utf-8"), max_size=40).map("/".__add__)),
        draw(st.lists(_ODD_HEADERS, max_size=2)),
        (),
        ends=True,
        is_signed=draw(st.booleans()),
        query=draw(_QUERIES),
    )


_QUERY_VALUES: Final = st.sampled_from(
    [
        "done",
        "arvo.orc.order",
        "1.0.0",
        "customer:ann",
        "0",
        "100",
        "2026-01-01T00:00:00Z~x",
        "%00",
        "",
    ]
) | st.text(st.characters(codec="ascii", exclude_characters="&#"), max_size=8)
_QUERIES: Final = st.lists(
    st.tuples(st.sampled_from([*PARAMETERS, "other"]), _QUERY_VALUES), max_size=3
).map(lambda pairs: "&".join(f"{name}={value}" for name, value in pairs).encode())

Draw = Callable[[st.SearchStrategy[Any]], Any]


def _structured(event: Event[Any], draw: Draw) -> tuple[Headers, bytes]:
    return [(b"content-type", STRUCTURED.encode())], _dump(event.to_dict() | _change(draw))


def _batch(event: Event[Any], draw: Draw) -> tuple[Headers, bytes]:
    content = [event.to_dict() | _change(draw) for _ in range(draw(st.integers(0, 3)))]
    return [(b"content-type", BATCH.encode())], _dump(content)


def _binary(event: Event[Any], draw: Draw) -> tuple[Headers, bytes]:
    message = write_event(event, "binary")
    raw = [(name.encode(), value.encode()) for name, value in message.headers.items()]
    if draw(st.booleans()):
        return raw, message.body
    dropped = draw(st.sampled_from([name for name, _ in raw]))
    remaining = [(name, value) for name, value in raw if name != dropped]
    return remaining, _dump(draw(_JSON))


def _change(draw: Draw) -> dict[str, Any]:
    # Most changes make an event bad, and a bad one reaches only the first checks of the app.
    return draw(_CHANGES) if draw(st.booleans()) else {}


def _whole(body: bytes) -> tuple[bytes, ...]:
    return (body,)


def _halves(body: bytes) -> tuple[bytes, ...]:
    middle = len(body) // 2
    return body[:middle], b"", body[middle:]
