"""Conversion: instances come back as they went, and what a constructor refuses has its place."""

from typing import Any

import attrs
import orjson
import pytest
from attrs import field, frozen

from arvo.core.payloads.payload import Payload
from arvo.core.violations.issue import Issues
from tests.core.samples import Everything


def there_and_back(value: Any) -> Any:
    """Send *value* over the wire."""
    payload = Payload.of(type(value))
    written = payload.write(value)
    assert not isinstance(written, Issues), str(written)
    return payload.read(orjson.loads(orjson.dumps(written)))


def test_every_kind_of_field_comes_back_equal() -> None:
    """A handler must see what its caller sent."""
    value = Everything(maybe=Everything(anything={"a": [1, None, {"b": 2.5}]}))

    found = there_and_back(value)

    assert found == value
    # True is 1 to ==, and an IntEnum is an int.
    for each in attrs.fields(Everything):
        if each.name != "listed":
            assert type(getattr(found, each.name)) is type(getattr(value, each.name))


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
def test_what_a_constructor_refuses_is_an_issue_where_it_stands(
    data: dict[str, Any], path: str, reason: str
) -> None:
    """Rules that JSON Schema cannot say live in validators, and are promises all the same."""
    for result in (Payload.of(Holder).read(data), Payload.of(Holder).write(data)):
        assert isinstance(result, Issues)
        assert result.items[0].path == path
        assert reason in result.items[0].expected
