"""Writers: plain JSON goes out, or nothing."""

import enum
import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, NewType

import pytest
from attrs import frozen

from arvo.core.payloads.constraint import Pattern
from arvo.core.payloads.payload import Payload
from arvo.core.violations.issue import Issues
from tests.core.samples import Everything, Level, Line


def test_what_is_written_is_plain_json_in_wire_names() -> None:
    """Whoever reads it has no Python."""
    written = Payload.of(Everything).write(Everything())

    assert written == {
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
        "sure": False,
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
    assert json.loads(json.dumps(written)) == written


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"items": [Line("", 1.0)]}, "data.items[0].sku: expected at least 1 character, got ''"),
        ({"items": [Line(3, 1.0)]}, "data.items[0].sku: expected a string, got 3"),  # type: ignore[arg-type]
        ({"items": [Line("s", float("inf"))]}, "data.items[0].amount: expected a finite number"),
        ({"items": [Line("s", 2**60 + 1)]}, "data.items[0].amount: expected a number that a float"),
        ({"items": [{"sku": "s"}]}, "data.items[0]: expected a Line, got {'sku': 's'}"),
        ({"when": datetime(2026, 1, 31)}, "data.when: expected a date and time with an offset"),  # noqa: DTZ001
        ({"when": "2026-01-31T00:00:00Z"}, "data.when: expected a date and time with an offset"),
        ({"day": datetime(2026, 1, 31, tzinfo=UTC)}, "data.day: expected a date, got datetime"),
        ({"price": Decimal("NaN")}, "data.price: expected a decimal number as text, got Decimal"),
        ({"tier": "gold"}, "data.tier: expected Tier, got 'gold'"),
        ({"place": "here"}, "data.place: expected Place, got 'here'"),
        ({"choice": 2}, "data.choice: expected Literal['a', 1, True], got 2"),
        ({"choice": []}, "data.choice: expected Literal['a', 1, True], got []"),
        ({"pair": (1,)}, "data.pair: expected tuple[int, str], got (1,)"),
        ({"listed": "ab"}, "data.listed: expected collections.abc.Sequence[int], got 'ab'"),
        ({"how": Line("s", 1)}, "data.how: expected "),
        ({"counts": {1: 1}}, "data.counts: expected keys that are texts, got 1"),
        ({"counts": 3}, "data.counts: expected dict[str, int], got 3"),
        ({"by_tier": {"gold": 1}}, "data.by_tier: expected keys that are texts, got 'gold'"),
        ({"anything": {1}}, "data.anything: expected JSON data, got {1}"),
        ({"many": {2**70}}, "data.many[0]: expected Level, got 1180591620717411303424"),
        ({"bag": frozenset({1})}, "data.bag[0]: expected a string, got 1"),
        ({"wireName": True}, "data.wireName: expected a whole number, got True"),
    ],
)
def test_an_instance_that_has_no_true_form_is_refused(change: dict[str, Any], told: str) -> None:
    """B32: nothing changes silently on the wire."""
    written = Payload.of(Everything).write(Everything(**change))

    assert isinstance(written, Issues)
    assert str(written).startswith(told)


def test_the_order_of_a_set_is_the_same_in_every_process() -> None:
    """The same step twice must make the same bytes, and hash seeds differ."""
    written = Payload.of(Everything).write(Everything(bag=frozenset("hgfedcba")))

    assert isinstance(written, dict)
    assert written["bag"] == list("abcdefgh")


@frozen
class Named:
    code: Annotated[str, Pattern("^[A-Z]{2}$")]
    level: Level | None = None


def test_text_of_a_subclass_is_written_as_text() -> None:
    """A StrEnum is a string to Python, and JSON knows only strings."""

    class Code(enum.StrEnum):
        DE = "DE"

    written = Payload.of(Named).write(Named(Code.DE))

    assert written == {"code": "DE", "level": None}
    assert isinstance(written, dict)
    assert type(written["code"]) is str


When = NewType("When", datetime)


@frozen
class Appointment:
    when: When
    maybe: Annotated[When, "soon"] | None = None


def test_a_new_type_is_written_as_what_it_is_of() -> None:
    """Names for types are for people, and their values keep the same promise."""
    there = When(datetime(2026, 1, 31, tzinfo=UTC))
    nowhere = When(datetime(2026, 1, 31))  # noqa: DTZ001

    assert Payload.of(Appointment).write(Appointment(there)) == {
        "when": "2026-01-31T00:00:00+00:00",
        "maybe": None,
    }
    assert str(Payload.of(Appointment).write(Appointment(nowhere))).startswith(
        "data.when: expected a date and time with an offset"
    )
    assert isinstance(Payload.of(Appointment).write(Appointment(there, nowhere)), Issues)
    assert isinstance(Payload.of(Appointment).write(Appointment("there")), Issues)  # type: ignore[arg-type]
