"""JSON text: integers that no reader may change."""

import json
from typing import Any

import pytest

from arvo import Event, Violated
from arvo.core.events.json_text import NotJson, parse_json
from arvo.core.payloads.json_data import INTEGER_EXPECTED
from tests.shop import charge_request


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("18446744073709551616", "data"),
        ('{"amount": -9223372036854775809}', "data.amount"),
        ('{"lines": [{"first name": 1}, {"first name": [99999999999999999999]}]}', "data.lines[1]"),
        (f'{{"amount": {"9" * 400}}}', "data.amount"),
        (f'{{"amount": {"9" * 5000}}}', "data.amount"),
    ],
)
def test_an_integer_beyond_64_bits_is_refused_with_its_path(text: str, path: str) -> None:
    """The sender reads which field to write as a string."""
    issues = parse_json(text, "event", "data")

    [issue] = issues.items
    assert issue.path.startswith(path)
    assert issue.expected == INTEGER_EXPECTED
    assert issue.got.lstrip("-").rstrip("…").isdigit()


@pytest.mark.parametrize(
    "text",
    [
        "18446744073709551615",
        "-9223372036854775808",
        '"18446744073709551616"',
        "0.12345678901234567890123",
        "18446744073709551616.0",
        "12345678901234567890e3",
        '{"18446744073709551616": 1}',
    ],
)
def test_other_runs_of_digits_are_read(text: str) -> None:
    """A number as a string, a long fraction and a float are exact enough for their senders."""
    assert repr(parse_json(text, "event")) == repr(json.loads(text))


def test_every_such_integer_is_named() -> None:
    """The sender corrects all of them at once."""
    issues = parse_json(f'[{2**64}, 1, {{"a": {2**65}}}]', "event")

    assert [issue.path for issue in issues.items] == ["[0]", "[2].a"]


def test_text_that_is_no_json_names_the_position() -> None:
    """It may be a file of a million characters."""
    issues = parse_json('{"a": 18446744073709551616', "contract")

    assert isinstance(issues, NotJson)
    assert str(issues).startswith("contract: expected JSON, ")
    assert "at line 1, column 27" in str(issues)


def test_text_of_deep_nesting_does_not_end_the_worker() -> None:
    """The slower parser recurses, and its error must not leave the reader."""
    text = "[" * 900 + "18446744073709551616" + "]" * 900

    issues = parse_json(text, "event")

    assert "18446744073709551616" in str(issues) or "64 levels" in str(issues)


def test_an_event_with_such_an_integer_is_refused() -> None:
    """A handler would charge another amount than the sender wrote."""
    content: dict[str, Any] = charge_request().to_dict()
    text = charge_request().to_json().replace(str(content["data"]["amount"]), str(2**64 + 1))

    with pytest.raises(Violated) as violated:
        Event.parse(text)

    assert str(violated.value.violation) == (
        f"unreadable event: data.amount: expected {INTEGER_EXPECTED}, got 18446744073709551617"
    )
