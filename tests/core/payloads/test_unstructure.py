"""Unstructure: an instance becomes JSON data or issues."""

import enum
import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, NewType

import pytest
from attrs import frozen

from arvo.core.payloads.payload import Payload
from arvo.core.payloads.types.constraint import Pattern
from arvo.core.violations.issue import Issues
from tests.core.samples import Everything, Level, Line


def test_an_instance_is_written_as_json_with_wire_names() -> None:
    """Readers in other languages see only the JSON."""
    data = Payload.of(Everything).write(Everything())

    assert data == {
        "when": "2026-01-31T10:00:00.000005+00:00",
        "day": "2026-01-31",
        "clock": "10:30:00",
        "clock_there": "10:30:00+00:00",
        "span": "-PT86394.99988S",
        "price": "1.10",
        "key": "6f1e3c1e-3f5b-4d6e-9a51-6f1e3c1e3f5b",
        "blob": "AP8=",
        "tier": "gold",
        "level": 2,
        "place": "here",
        "confirmed": False,
        "choice": True,
        "number": 2.0,
        "text": None,
        "pair": [1, "a"],
        "none": [],
        "listed": [1, 2],
        "items": [{"sku": "a", "amount": 1.0}],
        "bag": ["a", "b"],
        "many": [1],
        "counts": {"a b": 1},
        "by_tier": {"gold": "3"},
        "anything": None,
        "how": {"number": "1234", "kind": "card"},
        "maybe": None,
        "wireName": 1,
        "private": 2,
    }
    assert json.loads(json.dumps(data)) == data


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"items": [Line("", 1.0)]}, "data.items[0].sku: expected at least 1 character, got ''"),
        ({"items": [Line(3, 1.0)]}, "data.items[0].sku: expected a string, got 3"),  # type: ignore[arg-type]
        ({"items": [Line("s", float("inf"))]}, "data.items[0].amount: expected a finite number"),
        ({"items": [Line("s", 2**60 + 1)]}, "data.items[0].amount: expected a number that a float"),
        ({"items": [{"sku": "s"}]}, "data.items[0]: expected a Line, got {'sku': 's'}"),
        ({"when": datetime(2026, 1, 31)}, "data.when: expected a date and time with an offset"),  # noqa: DTZ001
        ({"when": "2026-01-31T00:00:00Z"}, "data.when: expected a date and time with an offset"),
        ({"day": datetime(2026, 1, 31, tzinfo=UTC)}, "data.day: expected a date, got datetime"),
        (
            {"price": Decimal("NaN")},
            "data.price: expected a decimal number as a string, got Decimal",
        ),
        ({"tier": "gold"}, "data.tier: expected Tier, got 'gold'"),
        ({"place": "here"}, "data.place: expected Location, got 'here'"),
        ({"choice": 2}, "data.choice: expected Literal['a', 1, True], got 2"),
        ({"choice": []}, "data.choice: expected Literal['a', 1, True], got []"),
        ({"pair": (1,)}, "data.pair: expected tuple[int, str], got (1,)"),
        ({"listed": "ab"}, "data.listed: expected collections.abc.Sequence[int], got 'ab'"),
        ({"how": Line("s", 1)}, "data.how: expected "),
        ({"counts": {1: 1}}, "data.counts: expected string keys, got 1"),
        ({"counts": 3}, "data.counts: expected dict[str, int], got 3"),
        ({"by_tier": {"gold": 1}}, "data.by_tier: expected string keys, got 'gold'"),
        ({"anything": {1}}, "data.anything: expected JSON data, got {1}"),
        ({"many": {2**70}}, "data.many[0]: expected Level, got 1180591620717411303424"),
        ({"bag": frozenset({1})}, "data.bag[0]: expected a string, got 1"),
        ({"wireName": True}, "data.wireName: expected a whole number, got True"),
    ],
)
def test_an_instance_without_an_exact_json_form_is_refused(
    change: dict[str, Any], message: str
) -> None:
    """B32: such values changed silently on the wire."""
    data = Payload.of(Everything).write(Everything(**change))

    assert isinstance(data, Issues)
    assert str(data).startswith(message)


def test_the_order_of_a_set_is_the_same_in_every_process() -> None:
    """Repeating a step must produce the same bytes, but hash seeds differ."""
    data = Payload.of(Everything).write(Everything(bag=frozenset("hgfedcba")))

    assert isinstance(data, dict)
    assert data["bag"] == list("abcdefgh")


@frozen
class Named:
    code: Annotated[str, Pattern("^[A-Z]{2}$")]
    level: Level | None = None


def test_a_str_subclass_is_written_as_a_string() -> None:
    """A StrEnum is a str in Python, but JSON has only plain strings."""

    class Code(enum.StrEnum):
        DE = "DE"

    data = Payload.of(Named).write(Named(Code.DE))

    assert data == {"code": "DE", "level": None}
    assert isinstance(data, dict)
    assert type(data["code"]) is str


When = NewType("When", datetime)


@frozen
class Appointment:
    when: When
    maybe: Annotated[When, "soon"] | None = None


def test_a_new_type_is_written_as_its_base_type() -> None:
    """A NewType must not disable the checks of its base type."""
    aware = When(datetime(2026, 1, 31, tzinfo=UTC))
    naive = When(datetime(2026, 1, 31))  # noqa: DTZ001

    assert Payload.of(Appointment).write(Appointment(aware)) == {
        "when": "2026-01-31T00:00:00+00:00",
        "maybe": None,
    }
    assert str(Payload.of(Appointment).write(Appointment(naive))).startswith(
        "data.when: expected a date and time with an offset"
    )
    assert isinstance(Payload.of(Appointment).write(Appointment(aware, naive)), Issues)
    assert isinstance(Payload.of(Appointment).write(Appointment("there")), Issues)  # type: ignore[arg-type]
