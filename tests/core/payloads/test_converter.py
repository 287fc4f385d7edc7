"""Converter: instances round-trip, and the errors of constructors become issues with a path."""

from typing import Any

import attrs
import orjson
import pytest
from attrs import field, frozen

from arvo.core.payloads.payload import Payload
from arvo.core.violations.issue import Issues
from tests.core.samples import Everything


def round_trip(value: Any) -> Any:
    """Convert *value* to JSON text and back."""
    payload = Payload.of(type(value))
    data = payload.write(value)
    assert not isinstance(data, Issues), str(data)
    return payload.read(orjson.loads(orjson.dumps(data)))


def test_every_kind_of_field_round_trips() -> None:
    """A handler must get the values that its caller sent."""
    value = Everything(maybe=Everything(anything={"a": [1, None, {"b": 2.5}]}))

    result = round_trip(value)

    assert result == value
    # Types too: True == 1, and an IntEnum equals its int.
    for attribute in attrs.fields(Everything):
        if attribute.name != "listed":
            assert type(getattr(result, attribute.name)) is type(getattr(value, attribute.name))


@frozen
class Checked:
    total: int = field(validator=attrs.validators.in_(range(10)))
    name: str = field(default="", converter=str)
    other: int = 0

    def __attrs_post_init__(self) -> None:
        if self.other > self.total:
            raise ValueError("other must not exceed total")


@frozen
class Holder:
    inner: tuple[Checked, ...]


@pytest.mark.parametrize(
    ("data", "path", "reason"),
    [
        (
            {"inner": [{"total": 1}, {"total": 10}]},
            "data.inner[1].total",
            "'total' must be in range(0, 10)",
        ),
        ({"inner": [{"total": 1, "other": 2}]}, "data.inner[0]", "other must not exceed total"),
    ],
)
def test_an_error_of_a_constructor_is_an_issue_with_its_path(
    data: dict[str, Any], path: str, reason: str
) -> None:
    """Validators hold the rules that JSON Schema cannot express."""
    for result in (Payload.of(Holder).read(data), Payload.of(Holder).write(data)):
        assert isinstance(result, Issues)
        assert result.items[0].path == path
        assert reason in result.items[0].expected
