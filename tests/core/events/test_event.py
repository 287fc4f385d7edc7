"""Event: the CloudEvents envelope, on the wire and in memory."""

import json
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import attrs
import pytest
from attrs import frozen

from arvo import Event, Issue, Violated
from arvo.core.events.dataschema import Dataschema
from arvo.core.events.event import EVENT_BYTES_MAX
from tests.shop import TIME, WEB, CardDeclined, charge_request

VALID: dict[str, Any] = {
    "id": "e1",
    "source": WEB,
    "specversion": "1.0",
    "type": "com.user.create",
    "subject": "s",
    "data": {"lines": [{"n": 1}]},
    "time": TIME,
    "to": "com.user.create",
}


def issues_of(content: object) -> list[Issue]:
    with pytest.raises(Violated) as caught:
        Event.from_dict(content)
    return list(caught.value.violation.issues)


def test_the_wire_format_is_one_flat_object_in_a_fixed_key_order() -> None:
    """Systems in both languages share brokers."""
    event = Event.from_dict({**VALID, "tenant": "t1", "retries": 3, "dry": True, "none": None})

    assert list(event.to_dict().items()) == [
        ("id", "e1"),
        ("source", WEB),
        ("specversion", "1.0"),
        ("type", "com.user.create"),
        ("subject", "s"),
        ("datacontenttype", "application/cloudevents+json;charset=UTF-8;profile=arvo"),
        ("dataschema", None),
        ("data", {"lines": [{"n": 1}]}),
        ("time", TIME),
        ("tenant", "t1"),
        ("retries", 3),
        ("dry", True),
        ("none", None),
        ("to", "com.user.create"),
        ("accesscontrol", None),
        ("redirectto", None),
        ("executionunits", None),
        ("traceparent", None),
        ("tracestate", None),
        ("parentid", None),
        ("domain", None),
    ]
    assert Event.parse(event.to_json()) == event
    assert Event.parse(event.to_json().encode()) == event


def test_cloudevents_attributes_are_separate_from_extensions() -> None:
    """CloudEvents libraries take them in this form."""
    split = Event.from_dict({**VALID, "tenant": "t1"}).cloudevent

    assert list(split["default"]) == [
        *("id", "source", "specversion", "type", "subject", "datacontenttype", "dataschema"),
        *("data", "time"),
    ]
    assert split["extensions"]["tenant"] == "t1"
    assert split["extensions"]["to"] == "com.user.create"


def test_span_attributes_name_missing_values_and_never_contain_the_data() -> None:
    """Readers of telemetry may not be allowed to read payloads."""
    event = Event.from_dict({**VALID, "accesscontrol": "secret", "executionunits": 2.5})

    assert event.otel_attributes == {
        "cloudevents.event_id": "e1",
        "cloudevents.event_source": WEB,
        "cloudevents.event_spec_version": "1.0",
        "cloudevents.event_subject": "s",
        "cloudevents.event_type": "com.user.create",
        "cloudevents.event_time": TIME,
        "cloudevents.event_datacontenttype": event.datacontenttype,
        "cloudevents.event_dataschema": "N/A",
        "cloudevents.arvo.event_redirectto": "N/A",
        "cloudevents.arvo.event_to": "com.user.create",
        "cloudevents.arvo.event_executionunits": 2.5,
        "cloudevents.arvo.event_parentid": "N/A",
        "cloudevents.arvo.event_domain": "N/A",
    }


def test_data_cannot_be_changed_at_any_depth() -> None:
    """B30: two handlers in one process get the same object."""
    data: Any = Event.from_dict(VALID).data

    with pytest.raises(TypeError, match="cannot be changed"):
        data["lines"] = []
    with pytest.raises(TypeError, match="cannot be changed"):
        data["lines"].append(1)
    with pytest.raises(TypeError, match="cannot be changed"):
        data["lines"][0]["n"] = 2


def test_an_event_is_independent_of_the_dict_it_was_made_from() -> None:
    """B14, B30: a sender that changed its dict later changed the event."""
    source: dict[str, Any] = {"lines": [1]}
    event = Event.from_dict({**VALID, "data": source})

    source["lines"].append(2)

    assert event.data == {"lines": [1]}


@pytest.mark.parametrize(
    "name", ["data_base64", "Tenant", "a_b", "", "tenant\n", "ten\u00e4nt", "id\u0660"]
)
def test_an_invalid_extension_name_is_refused(name: str) -> None:
    """Such names break the HTTP and Kafka bindings of CloudEvents."""
    (issue,) = issues_of({**VALID, name: "x"})

    assert issue.path == f"extensions.{name}"
    assert "lower-case letters and digits" in issue.expected


@pytest.mark.parametrize("name", ["id", "data", "source", "to", "traceparent", "domain"])
def test_an_extension_cannot_have_the_name_of_an_attribute(name: str) -> None:
    """B31: on the wire it overwrote the attribute."""
    with pytest.raises(Violated, match=f"extensions.{name}: expected"):
        Event(**VALID, extensions={name: "x"})


def test_an_extension_whose_name_is_not_a_string_is_refused() -> None:
    """A Python dict may have such keys, JSON may not."""
    assert issues_of(VALID | {5: "x"})[0].path == "extensions.5"


def test_extensions_are_bounded() -> None:
    """Payloads do not belong in headers."""
    (issue,) = issues_of({**VALID, **{f"e{n}": n for n in range(65)}})

    assert issue == Issue("extensions", "at most 64", "65")


@pytest.mark.parametrize(
    ("lossy", "path"),
    [
        ({"a": [float("nan")]}, "data.a[0]"),
        ({"a": float("inf")}, "data.a"),
        ({"a": {1, 2}}, "data.a"),
        ({"a": {1: 2}}, "data.a"),
        ({"a": 2**64}, "data.a"),
        ({"a": "\ud800"}, "data.a"),
        ({"a": b"x"}, "data.a"),
    ],
)
def test_data_that_the_wire_would_change_is_refused(lossy: object, path: str) -> None:
    """B32: data arrives unchanged or is not sent."""
    (issue,) = issues_of({**VALID, "data": lossy})

    assert issue.path == path


@pytest.mark.parametrize("name", ["id", "accesscontrol", "parentid", "traceparent", "tenant"])
def test_text_that_cannot_be_encoded_is_refused_by_the_constructor(name: str) -> None:
    """B32: otherwise sending the event fails, far from the cause."""
    (issue,) = issues_of({**VALID, name: "x\ud800"})

    assert issue.path.endswith(name)
    assert issue.got == "'x\\ud800'"


@pytest.mark.parametrize("number", [10**400, 2**64, float("inf"), float("nan"), True, "5"])
@pytest.mark.parametrize("name", ["executionunits", "cost"])
def test_a_number_that_json_does_not_have_is_refused(name: str, number: object) -> None:
    """B32: such numbers changed on the wire. 400 digits must not raise OverflowError."""
    if name == "cost" and (number is True or number == "5"):
        return
    (issue,) = issues_of({**VALID, name: number})

    assert issue.path.endswith(name)
    assert "number" in issue.expected


@pytest.mark.parametrize("name", ["id", "source", "specversion", "type", "subject", "data", "time"])
def test_a_missing_attribute_is_named(name: str) -> None:
    """The sender must know which one to add."""
    content = {key: value for key, value in VALID.items() if key != name}

    assert issues_of(content) == [Issue(name, "a value (required)", "nothing")]


@pytest.mark.parametrize(
    "name",
    [
        *("id", "source", "specversion", "type", "subject", "datacontenttype", "dataschema"),
        *("data", "time", "to", "accesscontrol", "redirectto", "executionunits", "parentid"),
        *("domain", "traceparent", "tracestate", "tenant"),
    ],
)
@pytest.mark.parametrize("value", [[1], {"a": object()}, "", object()], ids=repr)
def test_an_attribute_of_the_wrong_type_is_named_with_its_value(name: str, value: object) -> None:
    """Every attribute has a rule."""
    if name == "tenant" and value == "":
        return
    issues = issues_of({**VALID, name: value})

    assert [issue.path.removeprefix("extensions.").split(".")[0] for issue in issues] == [name]
    assert all(issue.expected and issue.got for issue in issues)


def test_all_invalid_attributes_are_named_at_once() -> None:
    """The sender can fix them in one go."""
    issues = issues_of({**VALID, "id": 1, "time": "yesterday", "to": "a b"})

    assert [str(issue) for issue in issues] == [
        "id: expected a string of 1 to 1024 characters, got 1",
        "time: expected an RFC 3339 time with an offset, got 'yesterday'",
        "to: expected an encoded URI or nothing, got 'a b'",
    ]


@pytest.mark.parametrize(
    ("text", "got"),
    [
        ("{", "unexpected end of data"),
        ("", "Input is a zero-length"),
        (b"\xff\xfe", "not valid UTF-8"),
        ("\ud800", "not valid UTF-8"),
        ('{"id": NaN}', "unexpected character"),
        ("[" * 100_000, "depth limit"),
        ('{"executionunits": 1e400}', "infinity"),
    ],
    ids=["cut", "empty", "bytes", "surrogate", "nan", "deep", "huge number"],
)
def test_text_that_is_not_json_is_refused(text: str | bytes, got: str) -> None:
    """No RecursionError, UnicodeError or parser exception escapes."""
    with pytest.raises(Violated) as caught:
        Event.parse(text)

    (issue,) = caught.value.violation.issues
    assert (issue.path, issue.expected) == ("event", "JSON")
    assert got in issue.got


@pytest.mark.parametrize("text", ["[]", "null", "1", '"x"'])
def test_json_that_is_not_an_object_is_refused(text: str) -> None:
    """A broker may carry messages of other applications."""
    with pytest.raises(Violated, match="event: expected an object, got"):
        Event.parse(text)


def test_data_nested_deeper_than_64_is_refused() -> None:
    """Readers in every language walk it recursively."""

    def nested(levels: int) -> str:
        content = json.dumps({**VALID, "data": "<data>"})
        return content.replace('"<data>"', '{"a":' * levels + "1" + "}" * levels)

    assert Event.parse(nested(64)).data
    with pytest.raises(Violated, match="at most 64 levels of nesting, got more"):
        Event.parse(nested(65))


@pytest.mark.parametrize("character", ["a", "\u00e4"], ids=["ascii", "two bytes"])
def test_more_than_a_mebibyte_is_refused_before_it_is_parsed(character: str) -> None:
    """The limit is in bytes, not in characters."""
    text = character * (EVENT_BYTES_MAX // len(character.encode()) + 1)

    for encoded in (text, text.encode()):
        with pytest.raises(Violated, match="event: expected at most 1048576 bytes, got 10485"):
            Event.parse(encoded)
    with pytest.raises(Violated, match="at most 10 bytes, got 11"):
        Event.parse("x" * 11, bytes_max=10)


def test_events_are_equal_when_they_are_the_same_on_the_wire() -> None:
    """A test can compare a built event with a parsed one."""
    made = charge_request()
    read = Event.parse(made.to_json())

    assert made == read
    assert hash(made) == hash(read)
    assert type(made.data) is not type(read.data)
    assert made != charge_request(amount=11.0)


def test_an_event_copied_with_other_data_has_the_json_of_that_data() -> None:
    """The event caches its JSON, which must not go stale."""
    event: Event[Any] = charge_request()

    evolved = attrs.evolve(event, data=CardDeclined("no"))

    assert evolved.to_dict() == {**event.to_dict(), "data": {"reason": "no"}}
    assert attrs.evolve(event, data={"a": 1}).raw == {"a": 1}
    assert attrs.evolve(event, id="other").raw == event.raw


def test_an_arvo_event_needs_an_address() -> None:
    """Events of other content types may have none."""
    content = {**VALID, "to": None}

    assert issues_of(content) == [Issue("to", "an address (an Arvo event needs one)", "nothing")]
    assert Event.from_dict({**content, "datacontenttype": "application/json"}).to is None


@pytest.mark.parametrize(
    "time",
    ["2026-01-02T03:04:05", "2026-02-30T00:00:00Z", "2026-01-02", "2026-01-02T03:04:05+99:00", "x"],
)
def test_a_time_is_a_real_instant(time: str) -> None:
    """Without an offset its meaning depends on the host."""
    (issue,) = issues_of({**VALID, "time": time})

    assert issue == Issue("time", "an RFC 3339 time with an offset", repr(time))


@frozen
class Unsupported:
    value: complex


def test_an_instance_of_an_unsupported_class_is_refused() -> None:
    """The error names the field of the class, not a function of a library."""
    with pytest.raises(Violated, match=r"data: expected .*complex"):
        Event(**{**VALID, "data": Unsupported(1j)})


def test_the_text_of_an_event_takes_no_more_memory_than_its_bytes() -> None:
    """Histories and queues hold thousands of events."""
    event = charge_request("order-1", 1.0)

    with _memory() as held:
        text = event.to_bytes()

    assert held[0] < len(text) + 500


def test_long_attributes_are_not_cached() -> None:
    """A sender could fill the memory of a worker with them."""
    content = charge_request("order-1", 1.0).to_dict()

    with _memory() as held:
        for number in range(20):
            text = f"com.{number}.{'a' * 100_000}"
            long = {"source": text, "to": text, "subject": text, "dataschema": f"{text}/1.0.0"}
            assert Dataschema.parse(Event.from_dict(content | long).dataschema)

    assert held[0] < 500_000


@contextmanager
def _memory() -> Iterator[list[int]]:
    """Give a list that holds the bytes which the code inside has allocated and not freed."""
    held: list[int] = []
    tracemalloc.start()
    try:
        yield held
        held.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
