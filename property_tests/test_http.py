"""HTTP: every event survives the trip, and no request is too odd to be answered."""

import asyncio
import json
from typing import Any

from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from arvo import Event, Runtime
from arvo.http import asgi_app
from arvo.interpreters.http.binding import BATCH, JSON, STRUCTURED, HttpMessage, read, write
from arvo.interpreters.http.header import decode, encode, text_of
from arvo.interpreters.http.prefer import WAIT_SECONDS_MAX, wait_of
from arvo.interpreters.http.workflow_json import in_path, out_of_path
from arvo.testing import events, subjects
from tests.shop import placing, shop


def raw(message: HttpMessage) -> list[tuple[bytes, bytes]]:
    """Write headers as they cross the wire."""
    return [
        (name.encode("ascii"), value.encode("ascii")) for name, value in message.headers.items()
    ]


@given(events())
def test_structured_mode_keeps_every_event(event: Event[Any]) -> None:
    """The sender's event is the receiver's."""
    message = write(event, "structured")

    assert read(raw(message), message.body) == [event]


@given(events())
def test_binary_mode_keeps_every_event(event: Event[Any]) -> None:
    """The same, but that it has no types: what an extension says arrives as a text."""
    message = write(event, "binary")
    said = {key: text_of(value) for key, value in event.extensions.items() if value is not None}

    assert read(raw(message), message.body) == [evolve(event, extensions=said)]


@given(st.text(st.characters(codec="utf-8")))
def test_any_text_fits_a_header(text: str) -> None:
    """Nothing in a value can end it, or begin another header (response splitting)."""
    encoded = encode(text)

    assert decode(encoded.encode("ascii")) == text
    assert encoded.isprintable()
    assert " " not in encoded


@given(subjects())
def test_a_subject_in_a_path_is_read_back(subject: Any) -> None:
    """Slashes of base64 would be taken for parts of the path; and as it stands it is found too."""
    assert out_of_path(in_path(str(subject))) == str(subject)
    assert out_of_path(str(subject)) == str(subject)
    assert "/" not in in_path(str(subject))


@given(st.lists(st.text()))
def test_no_preference_is_too_odd(values: list[str]) -> None:
    """A preference may be ignored, never be an error (RFC 7240 §2)."""
    assert 0 <= wait_of(values) <= WAIT_SECONDS_MAX


_VALUES = st.binary(max_size=40).filter(lambda value: not set(value) & set(b"\r\n\0"))
_NAMES = st.sampled_from(
    [
        *(b"ce-" + name.encode() for name in placing().to_dict()),
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
    # A good event with a few things in it that are not.
    lambda change, batch: _dumped({**placing().to_dict(), **change}, batch=batch),
    st.dictionaries(st.sampled_from([*placing().to_dict(), "data_base64"]) | st.text(), _JSON),
    st.booleans(),
)


def _dumped(content: dict[str, Any], *, batch: bool) -> bytes:
    # As others write it: halves of surrogate pairs and NaN included.
    return json.dumps([content] if batch else content).encode()


@given(
    st.lists(st.tuples(_NAMES, _VALUES), max_size=8),
    _TYPES | _VALUES,
    _BODIES,
    st.booleans(),
)
def test_no_request_is_too_odd_to_be_answered(
    odd: list[tuple[bytes, bytes]], kind: bytes, body: bytes, good: bool
) -> None:
    """Whoever sends rubbish is told what is wrong with it; it is never our fault (500)."""
    base = raw(write(placing(), "binary"))[1:] if good else []
    headers = [*base, *odd, (b"content-type", kind)]

    status = asyncio.run(_called("POST", "/", headers, body))

    assert status in {200, 202, 400, 404, 409, 413, 415}


@given(st.text(st.characters(codec="utf-8"), max_size=40))
def test_no_path_is_too_odd_to_be_answered(path: str) -> None:
    """Subjects come from strangers."""
    assert asyncio.run(_called("GET", f"/workflows/{path}", [], b"")) == 404


async def _called(method: str, path: str, headers: list[tuple[bytes, bytes]], body: bytes) -> int:
    """Call the app itself: a client library would refuse to send the odd ones."""
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
