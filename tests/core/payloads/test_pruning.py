"""Pruning: which keys of an object stay, and which defaults it gets."""

from typing import Any

import pytest

from arvo.core.payloads.payload import Payload

BY_KIND = [
    {"properties": {"kind": {"const": kind}, key: {"default": 1}}, "required": ["kind"]}
    for kind, key in (("a", "x"), ("b", "y"))
]
KEY_B: dict[str, Any] = {"properties": {"b": {}}}
MAYBE = {"anyOf": [{"type": "null"}, {"type": "object", "properties": {"b": {"default": 1}}}]}
DRAFT_7 = "http://json-schema.org/draft-07/schema#"


@pytest.mark.parametrize(
    ("schema", "data", "expected"),
    [
        ({}, {"a": {"b": 1}}, {"a": {"b": 1}}),
        ({"type": "object"}, {"a": 1}, {"a": 1}),
        ({"properties": {}}, {"a": 1}, {}),
        ({"type": ["object", "null"], "properties": {"a": {}}}, {"b": 1}, {}),
        ({"properties": {}, "required": ["a"]}, {"a": 1, "b": 2}, {"a": 1}),
        ({"properties": {}, "patternProperties": {"^x": {}}}, {"xa": 1}, {"xa": 1}),
        ({"properties": {}, "additionalProperties": True}, {"a": 1}, {"a": 1}),
        ({"properties": {}, "additionalProperties": KEY_B}, {"a": {"c": 1}}, {"a": {}}),
        ({"properties": {}, "unevaluatedProperties": {}}, {"a": 1}, {"a": 1}),
        ({"properties": {}, "dependentRequired": {"a": ["b"]}}, {"b": 1, "c": 1}, {"b": 1}),
    ],
)
def test_an_object_retains_the_keys_of_its_schema(
    schema: dict[str, Any], data: dict[str, Any], expected: dict[str, Any]
) -> None:
    """Unknown keys are dropped, but data must not be lost by mistake."""
    assert Payload.of(schema).read(data) == expected


@pytest.mark.parametrize(
    ("schema", "data", "expected"),
    [
        (
            {"allOf": [{"properties": {"a": {}}}, {"properties": {"b": {}}}]},
            {"a": 1, "b": 2, "c": 3},
            {"a": 1, "b": 2},
        ),
        (
            {"$ref": "#/$defs/A", "$defs": {"A": {"properties": {"a": {}}}}},
            {"a": 1, "b": 1},
            {"a": 1},
        ),
        ({"$ref": "#/$defs/a~1b", "$defs": {"a/b": KEY_B}}, {"a": 1, "b": 1}, {"b": 1}),
        ({"$ref": "#/allOf/0", "allOf": [KEY_B]}, {"a": 1, "b": 1}, {"b": 1}),
        ({"allOf": [{"$ref": "#"}], "properties": {"a": {}}}, {"a": 1, "b": 2}, {"a": 1}),
        ({"oneOf": BY_KIND}, {"kind": "b", "x": 5, "y": 6}, {"kind": "b", "y": 6}),
        (
            {"properties": {"a": {"prefixItems": [KEY_B]}}},
            {"a": [{"c": 1}] * 2},
            {"a": [{}, {"c": 1}]},
        ),
        ({"properties": {"a": {"items": KEY_B}}}, {"a": [{"c": 1, "b": 2}]}, {"a": [{"b": 2}]}),
        (
            {"$schema": DRAFT_7, "properties": {"a": {"items": [KEY_B]}}},
            {"a": [{"c": 1}]},
            {"a": [{}]},
        ),
        (
            {"properties": {"a": {}}, "if": {"required": ["a"]}, "then": KEY_B},
            {"a": 1, "b": 1, "c": 1},
            {"a": 1, "b": 1},
        ),
        (
            {"properties": {"a": {}}, "dependentSchemas": {"a": KEY_B}},
            {"a": 1, "b": 1},
            {"a": 1, "b": 1},
        ),
        ({"properties": {"a": {}}, "dependentSchemas": {"a": KEY_B}}, {"b": 1}, {}),
        (
            {"$defs": {"A": {"$anchor": "x", **KEY_B}}, "properties": {"a": {"$ref": "#x"}}},
            {"a": {"c": 1}},
            {"a": {"c": 1}},
        ),
    ],
)
def test_keys_are_found_in_every_part_of_a_schema(
    schema: dict[str, Any], data: dict[str, Any], expected: dict[str, Any]
) -> None:
    """Imported schemas use the whole standard; keys of unresolved parts stay."""
    assert Payload.of(schema).read(data) == expected


@pytest.mark.parametrize(
    ("schema", "data", "expected"),
    [
        ({"properties": {"a": {"default": 3}}, "required": ["a"]}, {}, {"a": 3}),
        ({"properties": {"a": {"default": 3}}}, {"a": None}, {"a": None}),
        (
            {"properties": {"a": {"$ref": "#/$defs/A"}}, "$defs": {"A": {"default": 1}}},
            {},
            {"a": 1},
        ),
        ({"properties": {"a": {"items": MAYBE}}}, {"a": [{}, None]}, {"a": [{"b": 1}, None]}),
        ({"properties": {"a": MAYBE}}, {"a": {"c": 1}}, {"a": {"b": 1}}),
        ({"oneOf": BY_KIND}, {"kind": "b"}, {"kind": "b", "y": 1}),
        ({"properties": {"a": {"$ref": "#", "default": {}}}}, {}, {"a": {}}),
    ],
)
def test_missing_keys_get_their_defaults(
    schema: dict[str, Any], data: dict[str, Any], expected: dict[str, Any]
) -> None:
    """B29: defaults of the contract did not reach the handler."""
    assert Payload.of(schema).read(data) == expected


def test_a_default_is_not_shared_between_events() -> None:
    """Otherwise two handlers could change each other's data."""
    payload = Payload.of({"properties": {"a": {"default": [1]}}})
    first, second = payload.read({}), payload.read({})

    assert isinstance(first, dict)
    first["a"].append(2)
    assert second == {"a": [1]}


def test_references_that_branch_at_every_step_take_linear_time() -> None:
    """An imported schema could be built to explode; each schema applies to a value once."""
    defs: dict[str, Any] = {
        f"A{i}": {"properties": {f"k{i}": {}}, "allOf": [{"$ref": f"#/$defs/A{i + 1}"}] * 2}
        for i in range(12)
    }
    schema = {"$ref": "#/$defs/A0", "$defs": defs | {"A12": {"properties": {"end": {}}}}}

    assert Payload.of(schema).read({"k7": 1, "end": 1, "x": 1}) == {"k7": 1, "end": 1}
