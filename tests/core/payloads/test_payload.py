"""Payload: reading and writing the data of events."""

import copy
import pickle
from datetime import date
from typing import Any

import attrs
import pytest
from attrs import field, frozen

from arvo.core.payloads.json_data import INTEGER_EXPECTED, freeze_object
from arvo.core.payloads.payload import Payload
from arvo.core.payloads.types.classes import PayloadError
from arvo.core.violations.issue import Issue, Issues
from tests.core.samples import Cash, Line, Order


def test_reading_applies_defaults_and_drops_unknown_keys() -> None:
    """B29: the handler got the raw data instead of the parsed data."""
    data = {
        "order_id": "o",
        "email": "a@b.de",
        "surprise": 1,
        "lines": [{"sku": "s", "amount": 2, "x": 1}],
    }

    assert Payload.of(Order).read(data) == Order("o", "a@b.de", (Line("s", 2.0),), None, Cash())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"order_id": 5}, "data.order_id: expected a string, got 5"),
        ({"email": "x"}, "data.email: expected an email address, got 'x'"),
        ({"lines": 3}, "data.lines: expected an array, got 3"),
        (
            {"lines": [{"sku": "s", "amount": 1}, {"sku": "s", "amount": "ten"}]},
            "data.lines[1].amount: expected a number, got 'ten'",
        ),
        (
            {"lines": [{"sku": "", "amount": 1}]},
            "data.lines[0].sku: expected at least 1 character, got ''",
        ),
        (
            {"lines": [{"sku": "s", "amount": -1}]},
            "data.lines[0].amount: expected at least 0, got -1",
        ),
        ({"lines": [{"amount": 1}]}, "data.lines[0].sku: expected a value (required), got nothing"),
        ({"note": 3}, "data.note: expected a string or null, got 3"),
        ({"how": {"kind": "card"}}, "data.how.number: expected a value (required), got nothing"),
        (
            {"how": {"kind": "card", "number": "1"}},
            "data.how.number: expected at least 4 characters, got '1'",
        ),
        ({"how": {"kind": "coin"}}, "data.how.kind: expected 'card' or 'cash', got 'coin'"),
        ({"how": {"number": "1234"}}, "data.how.kind: expected a value (required), got nothing"),
        ({"how": "cash"}, "data.how: expected an object, got 'cash'"),
        ({"order_id": float("nan")}, "data.order_id: expected a finite number, got nan"),
        (
            {"order_id": "\ud800"},
            "data.order_id: expected text without lone surrogates, got '\\ud800'",
        ),
        (
            {"x": 2**64},
            f"data.x: expected {INTEGER_EXPECTED}, got 18446744073709551616",
        ),
        ({"x": {1: 2}}, "data.x: expected string keys, got 1"),
        ({"x": date(2026, 1, 31)}, "data.x: expected JSON data, got datetime.date(2026, 1, 31)"),
    ],
)
def test_invalid_data_names_the_path_the_expected_value_and_the_actual_one(
    change: dict[str, Any], message: str
) -> None:
    """The message alone is enough to fix the data."""
    data = {"order_id": "o", "email": "a@b.de", **change}

    assert str(Payload.of(Order).read(data)) == message


def test_all_issues_are_reported_at_once() -> None:
    """The sender can fix them in one go."""
    assert Payload.of(Order).read({"order_id": 1, "email": 2}, "init") == Issues(
        (Issue("init.email", "a string", "2"), Issue("init.order_id", "a string", "1"))
    )


@pytest.mark.parametrize("data", [None, 3, "x", [], b"{}", object(), Order("o", "a@b.de")])
def test_data_that_is_not_an_object_is_refused(data: object) -> None:
    """The data of an event is always an object."""
    for payload in (Payload.of(Order), Payload.of({})):
        assert isinstance(payload.read(data), Issues)


@pytest.mark.parametrize("kind", [tuple[str, ...], tuple[str, ...] | None])
def test_a_megabyte_of_invalid_items_is_reported_as_one_issue(kind: Any) -> None:
    """Building an error for each would occupy a worker for seconds."""
    cls = attrs.make_class("Many", {"it": field(type=kind)}, frozen=True)
    result = Payload.of(cls).read({"it": [1] * 500_000})

    assert isinstance(result, Issues)
    assert len(result.items) == 1


def test_an_instance_of_another_class_names_both() -> None:
    """The usual cause is a payload that was emitted under the wrong event type."""
    assert str(Payload.of({}).write(3)) == "data: expected a mapping, got 3"
    message = "data: expected an instance of Order or a mapping, got Line(sku='s', amount=1.0)"

    assert str(Payload.of(Order).write(Line("s", 1.0))) == message


@frozen
class BigLine(Line):
    discount: float = 0.0


def test_an_instance_of_a_subclass_is_refused() -> None:
    """The additional fields of the subclass would be lost."""
    assert isinstance(Payload.of(Line).write(BigLine("s", 1.0)), Issues)
    assert isinstance(Payload.of(Order).write(Order("o", "a@b.de", (BigLine("s", 1.0),))), Issues)


def test_a_mapping_for_a_class_is_read_first() -> None:
    """B29: a mapping gets the defaults and loses unknown keys before it is sent."""
    mapping = {"order_id": "o", "email": "a@b.de", "unknown": 1}

    assert Payload.of(Order).write(mapping) == Payload.of(Order).write(Order("o", "a@b.de"))


def test_an_invalid_mapping_is_refused() -> None:
    """It is checked as an instance would be."""
    assert str(Payload.of(Line).write({"sku": "s"})) == (
        "data.amount: expected a value (required), got nothing"
    )


USER: dict[str, Any] = {
    "title": "User",
    "type": "object",
    "properties": {
        "name": {"type": "string", "minLength": 1},
        "role": {"type": "string", "default": "guest"},
        "address": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "country": {"default": "DE"}},
        },
        "tags": {"type": "array", "items": {"$ref": "#/$defs/Tag"}},
        "notes": {"type": "object"},
        "counts": {"type": "object", "properties": {}, "additionalProperties": {"type": "integer"}},
    },
    "required": ["name"],
    "$defs": {"Tag": {"properties": {"key": {"type": "string"}, "weight": {"default": 1}}}},
}


def test_a_json_schema_fills_defaults_and_drops_unknown_keys_at_every_depth() -> None:
    """Zod, which the TypeScript packages use, does the same."""
    data = {
        "name": "n",
        "unknown": 1,
        "address": {"city": "B", "zip": 1},
        "tags": [{"key": "k", "x": 1}],
        "notes": {"free": [{"form": 1}]},
        "counts": {"any": 1},
    }
    expected = {
        "name": "n",
        "role": "guest",
        "address": {"city": "B", "country": "DE"},
        "tags": [{"key": "k", "weight": 1}],
        "notes": {"free": [{"form": 1}]},
        "counts": {"any": 1},
    }

    assert Payload.of(USER).read(data) == expected
    assert Payload.of(USER).write(data) == expected
    assert "unknown" in data


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "string"},
        {"type": "objekt"},
        {"properties": 3},
        {"properties": {"a": {"pattern": "("}}},
        {"$ref": "#/$defs/nowhere"},
        {"$ref": "https://example.com/schema.json"},
        {"properties": {"a": {"default": float("nan")}}},
    ],
)
def test_an_invalid_schema_is_refused(schema: dict[str, Any]) -> None:
    """The error comes at declaration, without network access."""
    with pytest.raises(PayloadError, match=r"schema|JSON Schema"):
        Payload.of(schema)


def test_a_value_that_is_neither_class_nor_schema_is_refused() -> None:
    """For example the name of a class instead of the class."""
    with pytest.raises(PayloadError, match="'Order': neither a payload class nor a JSON Schema"):
        Payload.of("Order")  # type: ignore[call-overload]


EXTRA = {"parentSubject$$": {"anyOf": [{"type": "string", "minLength": 1}, {"type": "null"}]}}


def test_extra_keys_are_checked_but_the_class_does_not_get_them() -> None:
    """The protocol adds the parent's subject to the data of an init event."""
    payload = Payload.of(Line, EXTRA)
    data = {"sku": "s", "amount": 1.0, "parentSubject$$": None}

    assert payload.write(Line("s", 1.0), {"parentSubject$$": None}) == data
    assert payload.write(data) == data
    assert payload.read(data) == Line("s", 1.0)
    assert payload.schema["required"] == ["sku", "amount", "parentSubject$$"]
    assert str(payload.read({"sku": "s", "amount": 1.0})) == (
        "data.parentSubject$$: expected a value (required), got nothing"
    )
    assert isinstance(payload.write(Line("s", 1.0), {"parentSubject$$": ""}), Issues)
    assert isinstance(payload.write(Line("s", 1.0)), Issues)


def test_extra_keys_of_a_json_schema_stay_in_the_data() -> None:
    """A mapping has room for them, unlike a class."""
    payload = Payload.of({"properties": {"a": {}}, "required": ["a"]}, EXTRA)
    data = {"a": 1, "parentSubject$$": "s"}

    assert payload.read(data | {"x": 1}) == data
    assert payload.write({"a": 1, "x": 1}, {"parentSubject$$": "s"}) == data
    assert isinstance(payload.read({"a": 1}), Issues)


def test_a_field_named_like_a_key_of_the_protocol_is_refused() -> None:
    """One of the two values would be lost."""
    with pytest.raises(PayloadError, match=r"Line\.sku: the protocol has a key of this name"):
        Payload.of(Line, {"sku": {}})


def test_payloads_are_equal_by_class_and_schema() -> None:
    """Equality of contracts depends on it."""
    assert Payload.of(Line) is Payload.of(Line)
    assert Payload.of(Payload.of(Line)) is Payload.of(Line)
    assert Payload.of(Line, EXTRA) != Payload.of(Line)
    assert Payload.of(Payload.of(Line), EXTRA) == Payload.of(Line, EXTRA)
    assert Payload.of({"type": "object", "title": "a"}) == Payload.of(
        {"title": "a", "type": "object"}
    )
    assert Payload.of({"title": "a"}) != Payload.of({"title": "b"})
    assert Payload.of(Payload.of(Line).schema) != Payload.of(Line)
    assert len({Payload.of(Line), Payload.of(Line, EXTRA), Payload.of({}), Payload.of({})}) == 3


@pytest.mark.parametrize(
    "payload",
    [Payload.of(Line), Payload.of(Line, EXTRA), Payload.of(USER), Payload.of(USER, EXTRA)],
)
def test_a_payload_survives_copying_and_pickling(payload: Payload[Any]) -> None:
    """Contracts are values, which may be sent to worker processes."""
    assert pickle.loads(pickle.dumps(payload)) == payload  # noqa: S301
    assert copy.deepcopy(payload) == payload


def test_a_payload_is_immutable() -> None:
    """Changing its schema would change the meaning of a contract in use."""
    source = {"properties": {"a": {"type": "integer"}}}
    payload = Payload.of(source)

    payload.schema["properties"]["a"]["type"] = "string"
    source["properties"]["a"]["type"] = "string"

    assert payload.schema == {"properties": {"a": {"type": "integer"}}}
    assert isinstance(payload.read({"a": "x"}), Issues)


def test_data_that_was_read_shares_nothing_with_the_original() -> None:
    """B30: the sender could change an event's data through its own reference."""
    data = {"a": {"b": [1]}}
    result = Payload.of({}).read(data)
    data["a"]["b"].append(2)

    assert result == {"a": {"b": [1]}}


def test_frozen_data_is_read_like_any_other() -> None:
    """The raw data of an event is frozen, and unions are resolved by the types in it."""

    @frozen
    class Box:
        items: list[int] | str
        counts: dict[str, int] | None

    read = Payload.of(Box).read(freeze_object({"items": [1, 2], "counts": {"a": 1}}))

    assert read == Box([1, 2], {"a": 1})
