"""Structure: reading the forms of other senders, and values that Python does not have."""

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Literal

import attrs
import pytest
from attrs import field

from arvo.core.payloads.payload import Payload
from arvo.core.violations.issue import Issues
from tests.core.samples import Line


def test_an_integer_becomes_a_float_in_a_float_field() -> None:
    """JavaScript writes 2.0 as 2."""
    line = Payload.of(Line).read({"sku": "s", "amount": 2})

    assert isinstance(line, Line)
    assert type(line.amount) is float


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (datetime, "2026-12-31T23:59:60Z"),
        (datetime, "0000-01-01T00:00:00Z"),
        (date, "0000-01-01"),
        (timedelta, "P99999999999D"),
        (timedelta, "P" + "9" * 5000 + "D"),
        (Decimal, "1e" + "9" * 30),
        (int, 1e300),
        (set[Any], [[1]]),
    ],
)
def test_a_value_that_python_does_not_have_is_an_issue(kind: Any, value: object) -> None:
    """It fits the schema, but the Python type has its own range."""
    cls = attrs.make_class("One", {"it": field(type=kind)}, frozen=True)
    result = Payload.of(cls).read({"it": value})

    assert isinstance(result, Issues)
    assert result.items[0].path.startswith("data.it")


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [
        (
            datetime,
            "2026-01-31t10:00:00.123456789z",
            datetime(2026, 1, 31, 10, 0, 0, 123456, tzinfo=UTC),
        ),
        (timedelta, "P1W", timedelta(weeks=1)),
        (timedelta, "P1DT2H3M4.5S", timedelta(1, 4.5, hours=2, minutes=3)),
        (timedelta, "-PT0.000001S", timedelta(microseconds=-1)),
        (time, "10:00:00Z", time(10, tzinfo=UTC)),
        (Decimal, "-1.5E+3", Decimal(-1500)),
        (int, 3.0, 3),
        (Literal[1], 1.0, 1),
        (int | float, 2, 2),
        (float | None, 2, 2.0),
    ],
)
def test_other_forms_of_the_standards_are_read(kind: Any, text: object, expected: object) -> None:
    """Senders in other languages choose other forms."""
    cls: Any = attrs.make_class("One", {"it": field(type=kind)}, frozen=True)
    result: Any = Payload.of(cls).read({"it": text})

    assert result == cls(expected)
    assert type(result.it) is type(expected)
