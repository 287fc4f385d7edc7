"""Validation: a validator's errors as issues in plain words."""

from typing import Any

import pytest

from arvo.core.payloads.payload import Payload


@pytest.mark.parametrize(
    ("keyword", "value", "message"),
    [
        ({"type": ["string", "null"]}, 1, "expected a string or null, got 1"),
        ({"const": 1}, 2, "expected 1, got 2"),
        ({"enum": [1, None]}, 2, "expected one of 1, None, got 2"),
        ({"multipleOf": 5}, 3, "expected a multiple of 5, got 3"),
        ({"minimum": 5}, 4, "expected at least 5, got 4"),
        ({"exclusiveMinimum": 5}, 5, "expected more than 5, got 5"),
        ({"maximum": 5}, 6, "expected at most 5, got 6"),
        ({"exclusiveMaximum": 5}, 5, "expected less than 5, got 5"),
        ({"minLength": 2}, "", "expected at least 2 characters, got ''"),
        ({"maxLength": 1}, "ab", "expected at most 1 character, got 'ab'"),
        ({"pattern": "^x$"}, "y", "expected a string that matches ^x$, got 'y'"),
        ({"format": "date"}, "y", "expected a date, got 'y'"),
        ({"format": "ipv4"}, "y", "expected a string of the format ipv4, got 'y'"),
        ({"minItems": 1}, [], "expected at least 1 item, got []"),
        ({"maxItems": 0}, [1], "expected at most 0 items, got [1]"),
        ({"uniqueItems": True}, [1, 1], "expected unique items, got [1, 1]"),
        ({"minProperties": 1}, {}, "expected at least 1 key, got {}"),
        ({"maxProperties": 0}, {"a": 1}, "expected at most 0 keys, got {'a': 1}"),
        (
            {"propertyNames": {"maxLength": 1}},
            {"ab": 1},
            "expected keys that are at most 1 character, got 'ab'",
        ),
        (False, 1, "expected nothing, got 1"),
        ({"oneOf": [{}, {}]}, 2, "expected a match for exactly one alternative, got 2"),
        ({"anyOf": [{"minimum": 5}, {"maximum": 1}]}, 2, "expected at least 5 or at most 1, got 2"),
        ({"not": {"type": "string"}}, "x", "expected a value that the keyword not allows"),
        ({"contains": {"const": 1}}, [2], "expected a value that the keyword contains allows"),
    ],
)
def test_each_keyword_has_plain_words(keyword: Any, value: object, message: str) -> None:
    """The sender need not know JSON Schema to fix the data."""
    issues = str(Payload.of({"properties": {"it": keyword}}).read({"it": value}))

    assert issues.startswith(f"data.it: {message}")


@pytest.mark.parametrize("word", ["additionalProperties", "unevaluatedProperties"])
def test_an_additional_key_is_named(word: str) -> None:
    """Authors choose a strict schema to find misspelled keys."""
    issues = Payload.of({"properties": {"a": {}}, word: False}).read({"a": 1, "b": 2, "c": 3})

    assert str(issues) == "data.b: expected no such key, got 2; data.c: expected no such key, got 3"


def test_a_long_regular_expression_is_cut() -> None:
    """The size of a message does not depend on the contract."""
    schema = {"properties": {"it": {"pattern": "^" + "x?" * 200 + "y$"}}}

    assert len(str(Payload.of(schema).read({"it": "z"}))) < 200


SHAPES: dict[str, Any] = {
    "properties": {
        "it": {
            "oneOf": [
                {
                    "properties": {
                        "kind": {"const": "disc"},
                        "r": {"type": "number"},
                        "unit": {"enum": ["cm", "m"]},
                    },
                    "required": ["kind", "r"],
                },
                {
                    "properties": {"kind": {"enum": ["box", "cube"]}, "side": {"type": "number"}},
                    "required": ["kind", "side"],
                },
                {"type": "null"},
            ]
        }
    }
}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"kind": "disc", "r": "x"}, "data.it.r: expected a number, got 'x'"),
        (
            {"kind": "disc", "r": 1, "unit": "ft"},
            "data.it.unit: expected one of 'cm', 'm', got 'ft'",
        ),
        ({"kind": "cube"}, "data.it.side: expected a value (required), got nothing"),
        ({"kind": "cone"}, "data.it.kind: expected 'disc' or one of 'box', 'cube', got 'cone'"),
        ({}, "data.it.kind: expected a value (required), got nothing"),
    ],
)
def test_the_errors_of_the_intended_alternative_are_reported(value: object, message: str) -> None:
    """'Not valid under any of the given schemas' does not help to fix the data."""
    assert str(Payload.of(SHAPES).read({"it": value})) == message


# A value that each format of draft 2020-12 refuses, and one that it takes.
FORMATS: dict[str, tuple[str, str]] = {
    "date-time": ("2026-11-30", "2026-11-30T10:00:00Z"),
    "date": ("30.11.2026", "2026-11-30"),
    "time": ("10 o'clock", "10:00:00Z"),
    "duration": ("two days", "P2D"),
    "email": ("ann", "ann@example.com"),
    "idn-email": ("ann", "ann@bücher.example"),
    "hostname": ("-", "example.com"),
    "idn-hostname": ("-", "bücher.example"),
    "ipv4": ("1.2.3", "1.2.3.4"),
    "ipv6": ("1.2.3.4", "::1"),
    "uri": ("two words", "https://example.com/a"),
    "uri-reference": ("\\\\two words", "/a"),
    "iri": ("two words", "https://bücher.example"),
    "iri-reference": ("\\\\two words", "/ü"),
    "uuid": ("nope", "0189a7c0-0000-7000-8000-000000000000"),
    "uri-template": ("{", "/a/{b}"),
    "json-pointer": ("a", "/a/0"),
    "relative-json-pointer": ("a", "0/a"),
    "regex": ("(", "a+"),
}
DRAFTS = (
    "http://json-schema.org/draft-04/schema#",
    "http://json-schema.org/draft-06/schema#",
    "http://json-schema.org/draft-07/schema#",
    "https://json-schema.org/draft/2019-09/schema",
    "https://json-schema.org/draft/2020-12/schema",
)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("draft", DRAFTS)
def test_a_format_is_checked_whatever_draft_the_schema_names(draft: str, name: str) -> None:
    """Exporters name draft 7 and write `uuid`, which is younger."""
    refused, taken = FORMATS[name]
    payload = Payload.of({"$schema": draft, "properties": {"it": {"format": name}}})

    assert payload.read({"it": taken}) == {"it": taken}
    assert "data.it: expected " in str(payload.read({"it": refused}))
