"""Binding: events as HTTP messages, by the standard, and compared with another implementation."""

import base64
from datetime import datetime
from typing import Any

import orjson
import pytest
from attrs import evolve
from cloudevents.core.bindings import http as other
from cloudevents.core.v1.event import CloudEvent

from arvo import Event, Violated
from arvo.core.payloads.json_data import INTEGER_EXPECTED
from arvo.interpreters.http.binding import (
    BATCH,
    BATCH_EVENTS_MAX,
    STRUCTURED,
    Mode,
    read_events,
    write_event,
)
from tests.shop import charge_request, order_request

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
EVENT: Event[Any] = charge_request(
    redirectto="com.review.one", accesscontrol='rôle "1" 100%', executionunits=1.5, domain="ops"
)


def raw(headers: dict[str, str]) -> list[tuple[bytes, bytes]]:
    """Return headers as they are on the wire."""
    return [(name.encode(), value.encode()) for name, value in headers.items()]


def refusal(headers: dict[str, str], body: bytes) -> str:
    """Read a message that is refused, and return the text of the error."""
    with pytest.raises(Violated) as violated:
        read_events(raw(headers), body)
    return str(violated.value)


@pytest.mark.parametrize("mode", ["structured", "binary"])
def test_another_implementation_reads_what_is_written(mode: Mode) -> None:
    """The cloudevents package does not know Arvo."""
    message = write_event(EVENT, mode)

    theirs = other.from_http_event(other.HTTPMessage(dict(message.headers), message.body))

    assert theirs.get_id() == EVENT.id
    assert theirs.get_type() == EVENT.type
    assert theirs.get_subject() == EVENT.subject
    assert theirs.get_extension("accesscontrol") == EVENT.accesscontrol
    assert float(theirs.get_extension("executionunits")) == EVENT.executionunits
    assert theirs.get_data() == EVENT.raw
    time = theirs.get_time()
    assert time is not None
    assert time.isoformat(timespec="milliseconds") == EVENT.time


@pytest.mark.parametrize("write_theirs", [other.to_structured_event, other.to_binary_event])
@pytest.mark.parametrize("kind", ["application/json", EVENT.datacontenttype])
def test_events_of_another_implementation_are_read(write_theirs: Any, kind: str) -> None:
    """It formats the time differently, and writes Arvo's content type into Content-Type."""
    attributes = {**EVENT.to_dict(), "datacontenttype": kind}
    data = attributes.pop("data")
    attributes = {name: value for name, value in attributes.items() if value is not None}
    theirs = CloudEvent(attributes | {"time": _datetime_of(EVENT)}, dict(data))

    message = write_theirs(theirs)

    [event] = read_events(raw(message.headers), message.body)
    assert event == evolve(EVENT, time="2026-01-02T03:04:05Z", datacontenttype=kind)


def _datetime_of(event: Event[Any]) -> datetime:
    return datetime.fromisoformat(event.time)


def test_a_message_without_a_content_type_is_json() -> None:
    """The package writes none for an event without one."""
    attributes = {name: value for name, value in EVENT.to_dict().items() if value is not None}
    data = attributes.pop("data")
    del attributes["datacontenttype"]

    message = other.to_binary_event(
        CloudEvent(attributes | {"time": _datetime_of(EVENT)}, dict(data))
    )

    assert "content-type" not in message.headers
    [event] = read_events(raw(message.headers), message.body)
    assert event.raw == EVENT.raw


def test_data_in_base64_is_read() -> None:
    """JSON format §3.1.1: some senders encode all data but application/json as bytes."""
    content = EVENT.to_dict()
    encoded = base64.b64encode(orjson.dumps(content.pop("data"))).decode()

    [event] = read_events(
        raw({"content-type": STRUCTURED}), orjson.dumps({**content, "data_base64": encoded})
    )

    assert event == EVENT
    assert "data_base64: expected JSON in base64, got '?'" in refusal(
        {"content-type": STRUCTURED}, orjson.dumps({**content, "data_base64": "?"})
    )


def test_binary_mode_has_attributes_in_headers() -> None:
    """HTTP binding §3.1.3.2, with a content type that does not mean structured mode (§3)."""
    message = write_event(EVENT, "binary")

    assert message.headers["content-type"] == "application/json;charset=UTF-8;profile=arvo"
    assert message.headers["ce-accesscontrol"] == "r%C3%B4le%20%221%22%20100%25"
    assert message.headers["ce-executionunits"] == "1.5"
    assert message.body == orjson.dumps(EVENT.raw)


def test_a_content_type_that_is_no_header_value_is_not_written_into_a_header() -> None:
    """It would end the header and begin another one (response splitting)."""
    event = evolve(EVENT, datacontenttype="application/json\r\nset-cookie: a=b")

    message = write_event(event, "binary")

    assert message.headers["content-type"] == "application/json"
    assert read_events(raw(dict(message.headers)), message.body) == [
        evolve(event, datacontenttype="application/json")
    ]


def test_quoted_values_of_older_senders_are_read() -> None:
    """§3.1.3.2: older versions did not percent-encode spaces and quotes."""
    headers = {**write_event(EVENT, "binary").headers, "ce-accesscontrol": '"a \\"b\\" c"'}

    [event] = read_events(raw(headers), orjson.dumps(EVENT.raw))

    assert event.accesscontrol == 'a "b" c'


@pytest.mark.parametrize(
    ("headers", "text"),
    [
        ({"ce-accesscontrol": "%C0%A0"}, "ce-accesscontrol: expected percent-encoded UTF-8"),
        ({"ce-accesscontrol": "é"}, "ce-accesscontrol: expected percent-encoded UTF-8"),
        ({"ce-executionunits": "ten"}, "executionunits: expected a number or nothing, got 'ten'"),
        ({"ce-executionunits": "NaN"}, "executionunits: expected a number or nothing, got 'NaN'"),
        (
            {"ce-data": "1"},
            "ce-data: expected no such header (it is in the body or in Content-Type)",
        ),
        ({"ce-datacontenttype": "a"}, "ce-datacontenttype: expected no such header"),
        ({"ce-a_b": "1"}, "extensions.a_b: expected a name of lower-case letters and digits"),
        ({"ce-to": ""}, "to: expected an encoded URI or nothing, got ''"),
        ({"CE-Id": "again"}, "ce-id: expected one value, got a second one"),
    ],
)
def test_an_unreadable_header_is_named(headers: dict[str, str], text: str) -> None:
    """The sender reads which header to correct."""
    message = write_event(EVENT, "binary")

    assert text in refusal({**message.headers, **headers}, message.body)


@pytest.mark.parametrize(
    ("kind", "body", "text"),
    [
        ("application/json", b"{}", "Content-Type: expected application/cloudevents+json, or"),
        (STRUCTURED, b"{", "event: expected JSON, "),
        (STRUCTURED, b"[]", "event: expected an object, got list"),
        (STRUCTURED, b"{}", "id: expected a value (required), got nothing"),
        (BATCH, b"{}", "batch: expected a list of events, got dict"),
        (BATCH, b"[{}]", "[0].id: expected a value (required), got nothing"),
        (BATCH, b"[" + b"1," * BATCH_EVENTS_MAX + b"1]", "batch: expected at most 100 events"),
        ("text/plain", b"", "Content-Type: expected one of application/cloudevents+json"),
    ],
)
def test_a_message_without_an_event_is_refused(kind: str, body: bytes, text: str) -> None:
    """The error names the field, the expectation and the value."""
    assert text in refusal({"content-type": kind}, body)


def test_an_integer_that_would_become_another_number_is_refused_in_every_mode() -> None:
    """JavaScript would round it, and so does the parser of JSON."""
    units = write_event(evolve(EVENT, executionunits=2**63), "structured").body
    units = units.replace(str(2**63).encode(), str(2**64).encode())
    binary = write_event(EVENT, "binary").headers
    wide = f"expected {INTEGER_EXPECTED}, got 18446744073709551616"
    encoded = base64.b64encode(b'{"n": 18446744073709551616}').decode()
    envelope = {name: value for name, value in EVENT.to_dict().items() if name != "data"}
    in_base64 = orjson.dumps(envelope | {"data_base64": encoded})

    structured = refusal({"content-type": STRUCTURED}, units)
    batch = refusal({"content-type": BATCH}, b"[" + units + b"]")
    data = refusal(dict(binary), b'{"n": 18446744073709551616}')
    header = refusal({**binary, "ce-executionunits": str(2**64)}, b"{}")
    from_base64 = refusal({"content-type": STRUCTURED}, in_base64)

    assert f"executionunits: {wide}" in structured
    assert f"[0].executionunits: {wide}" in batch
    assert f"data.n: {wide}" in data
    assert f"executionunits: {wide}" in header
    assert f"data.n: {wide}" in from_base64


def test_a_batch_is_several_events() -> None:
    """HTTP binding §3.3."""
    events = [charge_request("c1"), order_request("i1")]
    body = orjson.dumps([event.to_dict() for event in events])

    assert read_events(raw({"content-type": f"{BATCH}; charset=utf-8"}), body) == events


def test_an_event_without_a_trace_gets_that_of_the_request() -> None:
    """Proxies and clients begin traces; the trace of an event is nearer to its cause."""
    message = write_event(EVENT, "structured")
    headers = {**message.headers, "traceparent": TRACE, "tracestate": "a=b"}
    own = write_event(evolve(EVENT, traceparent=TRACE.replace("b7", "c8")), "structured")

    [without] = read_events(raw(headers), message.body)
    [with_own] = read_events(raw({**own.headers, "traceparent": TRACE}), own.body)
    [odd] = read_events(raw({**headers, "traceparent": "00-zz"}), message.body)

    assert (without.traceparent, without.tracestate) == (TRACE, "a=b")
    assert with_own.traceparent == TRACE.replace("b7", "c8")
    assert (odd.traceparent, odd.tracestate) == (None, None)


def test_a_trace_is_in_the_headers_of_http_too() -> None:
    """§3.1.3 allows a second mapping; a value that is no header value is left out."""
    traced = evolve(EVENT, traceparent=TRACE, tracestate="a=b")

    assert write_event(traced, "structured").headers["traceparent"] == TRACE
    assert write_event(traced, "binary").headers["tracestate"] == "a=b"
    assert "tracestate" not in write_event(evolve(traced, tracestate="a\nb"), "binary").headers
    assert "traceparent" not in write_event(evolve(traced, traceparent="mine"), "binary").headers


def test_attributes_without_a_value_are_null_where_the_peer_needs_them() -> None:
    """The constructor of the TypeScript packages refuses an event without its attributes."""
    written = {
        nulls: orjson.loads(write_event(EVENT, "structured", nulls=nulls).body)
        for nulls in (True, False)
    }

    assert written[True] == EVENT.to_dict()
    assert written[False] == {
        name: value for name, value in EVENT.to_dict().items() if value is not None
    }
    assert {name for name, value in written[True].items() if value is None}
    message = write_event(EVENT, "structured", nulls=True)
    [read] = read_events(raw(dict(message.headers)), message.body)
    assert read == EVENT
