"""HTTP: every event survives a round trip, and every request gets a response."""

import asyncio
import json
from typing import Any

from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from arvo import Event, Runtime
from arvo.http import asgi_app
from arvo.interpreters.http.binding import (
    BATCH,
    JSON,
    STRUCTURED,
    HttpMessage,
    read_events,
    write_event,
)
from arvo.interpreters.http.header import WAIT_SECONDS_MAX, decode, encode, parse_wait, to_text
from arvo.interpreters.http.workflow_json import from_path, to_path
from arvo.testing import events, subjects
from tests.shop import order_request, shop


def raw(message: HttpMessage) -> list[tuple[bytes, bytes]]:
    """Return headers as they are on the wire."""
    return [
        (name.encode("ascii"), value.encode("ascii")) for name, value in message.headers.items()
    ]


@given(events())
def test_structured_mode_preserves_every_event(event: Event[Any]) -> None:
    """The receiver reads the event that the sender wrote."""
    message = write_event(event, "structured")

    assert read_events(raw(message), message.body) == [event]


@given(events())
def test_binary_mode_preserves_every_event(event: Event[Any]) -> None:
    """The same, except that binary mode has no types: extensions arrive as text."""
    message = write_event(event, "binary")
    texts = {key: to_text(value) for key, value in event.extensions.items() if value is not None}

    assert read_events(raw(message), message.body) == [evolve(event, extensions=texts)]


@given(st.text(st.characters(codec="utf-8")))
def test_any_text_fits_a_header(text: str) -> None:
    """No value can end its header or begin another one (response splitting)."""
    encoded = encode(text)

    assert decode(encoded.encode("ascii")) == text
    assert encoded.isprintable()
    assert " " not in encoded


@given(subjects())
def test_a_subject_in_a_path_is_read_back(subject: Any) -> None:
    """The slashes of base64 would split the path; a subject that is not encoded is read too."""
    assert from_path(to_path(str(subject))) == str(subject)
    assert from_path(str(subject)) == str(subject)
    assert "/" not in to_path(str(subject))


@given(st.lists(st.text()))
def test_no_preference_is_an_error(values: list[str]) -> None:
    """A server may ignore a preference, but must not fail over it (RFC 7240 §2)."""
    assert 0 <= parse_wait(values) <= WAIT_SECONDS_MAX


_VALUES = st.binary(max_size=40).filter(lambda value: not set(value) & set(b"\r\n\0"))
_NAMES = st.sampled_from(
    [
        *(b"ce-" + name.encode() for name in order_request().to_dict()),
        b"ce-x", b"ce-", b"ce-extensions", b"ce-wire", b"content-length", b"prefer", b"traceparent",
        b"tracestate", b"accept", b"expect",
    ]
)  # fmt: skip
_TYPES = st.sampled_from(
    [STRUCTURED, BATCH, JSON, f"{STRUCTURED};profile=arvo", "application/cloudevents+avro", "", "*"]
).map(str.encode)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)
_BODIES = st.binary(max_size=60) | st.builds(
    # A good event with a few changes, most of which make it bad.
    lambda change, batch: _dump({**order_request().to_dict(), **change}, batch=batch),
    st.dictionaries(
        st.sampled_from([*order_request().to_dict(), "data_base64"]) | st.text(), _JSON
    ),
    st.booleans(),
)


def _dump(content: dict[str, Any], *, batch: bool) -> bytes:
    # Not with orjson: other programs write halves of surrogate pairs and NaN.
    return json.dumps([content] if batch else content).encode()


@given(
    st.lists(st.tuples(_NAMES, _VALUES), max_size=8),
    _TYPES | _VALUES,
    _BODIES,
    st.booleans(),
)
def test_every_request_gets_a_response(
    odd: list[tuple[bytes, bytes]], kind: bytes, body: bytes, good: bool
) -> None:
    """A bad request is the client's error, and never one of the server (500)."""
    base = raw(write_event(order_request(), "binary"))[1:] if good else []
    headers = [*base, *odd, (b"content-type", kind)]

    status = asyncio.run(_call("POST", "/", headers, body))

    assert status in {200, 202, 400, 404, 409, 413, 415}


@given(st.text(st.characters(codec="utf-8"), max_size=40))
def test_every_path_gets_a_response(path: str) -> None:
    """Any client may send any path."""
    assert asyncio.run(_call("GET", f"/workflows/{path}", [], b"")) == 404


async def _call(method: str, path: str, headers: list[tuple[bytes, bytes]], body: bytes) -> int:
    """Call the app directly, because a client library would refuse to send some requests."""
    sent: list[Any] = []
    scope = {
        "type": "http", "http_version": "1.1", "method": method, "path": path,
        "query_string": b"", "headers": headers, "root_path": "", "scheme": "http",
    }  # fmt: skip

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    async with Runtime(shop) as runtime:
        await asgi_app(runtime)(scope, receive, send)
    return int(sent[0]["status"])
