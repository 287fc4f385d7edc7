"""Event: the envelope, on the wire and in memory."""

import json
from typing import Any

import attrs
import pytest
from attrs import frozen

from arvo import Event, Issue, Violated
from arvo.core.events.event import EVENT_BYTES_MAX
from tests.shop import TIME, WEB, CardDeclined, charging

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
    with pytest.raises(Violated) as refused:
        Event.from_dict(content)
    return list(refused.value.violation.issues)


def test_the_wire_form_is_one_flat_object_in_the_references_order() -> None:
    """Systems in both languages share brokers; F022."""
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


def test_the_standards_attributes_stand_apart_from_all_extensions() -> None:
    """A CloudEvents library takes them so; F021."""
    told = Event.from_dict({**VALID, "tenant": "t1"}).cloudevent

    assert list(told["default"]) == [
        *("id", "source", "specversion", "type", "subject", "datacontenttype", "dataschema"),
        *("data", "time"),
    ]
    assert told["extensions"]["tenant"] == "t1"
    assert told["extensions"]["to"] == "com.user.create"


def test_a_span_is_told_what_is_missing_and_never_the_data() -> None:
    """Telemetry goes to people who may not read payloads; F023."""
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
    """B30: two handlers in one process see one object."""
    data: Any = Event.from_dict(VALID).data

    with pytest.raises(TypeError, match="cannot be changed"):
        data["lines"] = []
    with pytest.raises(TypeError, match="cannot be changed"):
        data["lines"].append(1)
    with pytest.raises(TypeError, match="cannot be changed"):
        data["lines"][0]["n"] = 2


def test_an_event_does_not_follow_the_dict_it_was_made_of() -> None:
    """B14, B30: the sender goes on working with its own."""
    given: dict[str, Any] = {"lines": [1]}
    event = Event.from_dict({**VALID, "data": given})

    given["lines"].append(2)

    assert event.data == {"lines": [1]}


@pytest.mark.parametrize(
    "name", ["data_base64", "Tenant", "a_b", "", "tenant\n", "ten\u00e4nt", "id\u0660"]
)
def test_an_extension_has_a_name_of_its_own(name: str) -> None:
    """Other names break HTTP and Kafka bindings of CloudEvents; F018."""
    (issue,) = issues_of({**VALID, name: "x"})

    assert issue.path == f"extensions.{name}"
    assert "lower-case letters and digits" in issue.expected


@pytest.mark.parametrize("name", ["id", "data", "source", "to", "traceparent", "domain"])
def test_an_extension_does_not_take_the_place_of_an_attribute(name: str) -> None:
    """B31: on the wire it would overwrite the real one."""
    with pytest.raises(Violated, match=f"extensions.{name}: expected"):
        Event(**VALID, extensions={name: "x"})


def test_an_extension_whose_name_is_no_text_is_refused() -> None:
    """A dict of Python has such keys, JSON has none."""
    assert issues_of(VALID | {5: "x"})[0].path == "extensions.5"


def test_extensions_are_bounded() -> None:
    """Headers are no place for a payload; design section 11."""
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
    """B32: what arrives is what was sent, or nothing is."""
    (issue,) = issues_of({**VALID, "data": lossy})

    assert issue.path == path


@pytest.mark.parametrize("name", ["id", "accesscontrol", "parentid", "traceparent", "tenant"])
def test_text_that_no_encoding_takes_is_refused_when_the_event_is_made(name: str) -> None:
    """B32: else it fails far from its cause, where the event is sent."""
    (issue,) = issues_of({**VALID, name: "x\ud800"})

    assert issue.path.endswith(name)
    assert issue.got == "'x\\ud800'"


@pytest.mark.parametrize("number", [10**400, 2**64, float("inf"), float("nan"), True, "5"])
@pytest.mark.parametrize("name", ["executionunits", "cost"])
def test_a_number_that_json_lacks_is_refused(name: str, number: object) -> None:
    """B32, and an integer of 400 digits must not escape as OverflowError."""
    if name == "cost" and (number is True or number == "5"):
        return
    (issue,) = issues_of({**VALID, name: number})

    assert issue.path.endswith(name)
    assert "number" in issue.expected


@pytest.mark.parametrize("name", ["id", "source", "specversion", "type", "subject", "data", "time"])
def test_a_missing_field_is_named(name: str) -> None:
    """Not a KeyError: whoever sent it must know what to add."""
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
def test_a_mistyped_field_is_named_with_what_came(name: str, value: object) -> None:
    """All of them at once would be told; each alone certainly is."""
    if name == "tenant" and value == "":
        return
    issues = issues_of({**VALID, name: value})

    assert [issue.path.removeprefix("extensions.").split(".")[0] for issue in issues] == [name]
    assert all(issue.expected and issue.got for issue in issues)


def test_every_wrong_field_is_named_at_once() -> None:
    """The sender mends them in one go."""
    issues = issues_of({**VALID, "id": 1, "time": "yesterday", "to": "a b"})

    assert [str(issue) for issue in issues] == [
        "id: expected a text of 1 to 1024 characters, got 1",
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
        ('{"executionunits": 1' + "0" * 400 + "}", "infinity"),
    ],
    ids=["cut", "empty", "bytes", "surrogate", "nan", "deep", "huge number"],
)
def test_what_is_no_json_is_refused(text: str | bytes, got: str) -> None:
    """Nothing escapes as RecursionError, UnicodeError or a parser's own exception."""
    with pytest.raises(Violated) as refused:
        Event.parse(text)

    (issue,) = refused.value.violation.issues
    assert (issue.path, issue.expected) == ("event", "JSON")
    assert got in issue.got


@pytest.mark.parametrize("text", ["[]", "null", "1", '"x"'])
def test_json_that_is_no_object_is_refused(text: str) -> None:
    """A broker carries whatever somebody put there."""
    with pytest.raises(Violated, match="event: expected an object, got"):
        Event.parse(text)


def test_data_nested_deeper_than_64_is_refused() -> None:
    """Every reader walks it recursively, and so do those we do not know."""

    def nested(levels: int) -> str:
        content = json.dumps({**VALID, "data": "<data>"})
        return content.replace('"<data>"', '{"a":' * levels + "1" + "}" * levels)

    assert Event.parse(nested(64)).data
    with pytest.raises(Violated, match="at most 64 levels of nesting, got more"):
        Event.parse(nested(65))


@pytest.mark.parametrize("character", ["a", "\u00e4"], ids=["ascii", "two bytes"])
def test_more_than_a_mebibyte_is_refused_before_it_is_parsed(character: str) -> None:
    """Bytes are counted, not characters; design section 11."""
    text = character * (EVENT_BYTES_MAX // len(character.encode()) + 1)

    for given in (text, text.encode()):
        with pytest.raises(Violated, match="event: expected at most 1048576 bytes, got 10485"):
            Event.parse(given)
    with pytest.raises(Violated, match="at most 10 bytes, got 11"):
        Event.parse("x" * 11, bytes_max=10)


def test_events_are_equal_when_they_are_the_same_on_the_wire() -> None:
    """A test compares what was made with what was read."""
    made = charging()
    read = Event.parse(made.to_json())

    assert made == read
    assert hash(made) == hash(read)
    assert type(made.data) is not type(read.data)
    assert made != charging(amount=11.0)


def test_an_event_copied_with_other_data_says_the_other_data() -> None:
    """Its JSON is kept beside it, and must not go stale."""
    event: Event[Any] = charging()

    evolved = attrs.evolve(event, data=CardDeclined("no"))

    assert evolved.to_dict() == {**event.to_dict(), "data": {"reason": "no"}}
    assert attrs.evolve(event, data={"a": 1}).raw == {"a": 1}
    assert attrs.evolve(event, id="other").raw == event.raw


def test_an_arvo_event_says_where_it_goes() -> None:
    """F011; other content types may leave it open."""
    content = {**VALID, "to": None}

    assert issues_of(content) == [Issue("to", "an address (an Arvo event needs one)", "nothing")]
    assert Event.from_dict({**content, "datacontenttype": "application/json"}).to is None


@pytest.mark.parametrize(
    "time",
    ["2026-01-02T03:04:05", "2026-02-30T00:00:00Z", "2026-01-02", "2026-01-02T03:04:05+99:00", "x"],
)
def test_a_time_is_a_real_instant(time: str) -> None:
    """F004: without an offset it means something else on each host."""
    (issue,) = issues_of({**VALID, "time": time})

    assert issue == Issue("time", "an RFC 3339 time with an offset", repr(time))


@frozen
class Odd:
    what: complex


def test_an_instance_that_no_payload_describes_is_refused() -> None:
    """The error names the field of the class, not a line of a library."""
    with pytest.raises(Violated, match=r"data: expected .*complex"):
        Event(**{**VALID, "data": Odd(1j)})
