"""JSON data: values that survive a round trip through JSON text."""

from collections.abc import Callable
from typing import Any

import pytest

from arvo.core.payloads.json_data import DEPTH_MAX, freeze
from arvo.core.payloads.payload import Payload
from arvo.core.violations.issue import Issues
from tests.core.samples import Line, Order


def test_data_that_nests_too_deep_is_refused_in_both_directions() -> None:
    """Readers walk it recursively, and an attacker can write it in kilobytes."""
    deep: dict[str, Any] = {}
    for _ in range(200_000):
        deep = {"a": deep}
    payload = Payload.of({})

    for result in (payload.read(deep), payload.write(deep)):
        assert isinstance(result, Issues)
        assert result.items[0].expected == "at most 64 levels of nesting"
    while deep:
        deep = deep["a"]  # otherwise the interpreter frees it recursively


class FrozenDict(dict[str, Any]):
    """A dict subclass of another library."""


class FrozenList(list[Any]):
    """A list subclass of another library."""


def test_subclasses_of_dict_and_list_are_read_like_any_other() -> None:
    """B30: data may come in immutable containers."""
    lines = FrozenList([FrozenDict(sku="s", amount=1.0)])
    data = FrozenDict(order_id="o", email="a@b.de", lines=lines)

    assert Payload.of(Order).read(data) == Order("o", "a@b.de", (Line("s", 1.0),))


def nested(levels: int) -> dict[str, Any]:
    """Return an object that nests *levels* deep."""
    data: dict[str, Any] = {}
    for _ in range(levels - 1):
        data = {"a": data}
    return data


@pytest.mark.parametrize("wrap", [lambda data: {"b": data}, lambda data: [data]])
def test_frozen_data_counts_as_deep_as_it_nests(wrap: Callable[[Any], Any]) -> None:
    """A workflow that wraps its input must not produce data that its receiver cannot read."""
    fits, deep = freeze(nested(DEPTH_MAX - 1)), freeze(nested(DEPTH_MAX))

    assert not isinstance(freeze(wrap(fits)), Issues)
    for data in (deep, freeze([nested(DEPTH_MAX - 1)])):
        result = freeze(wrap(data))
        assert isinstance(result, Issues)
        assert result.items[0].expected == "at most 64 levels of nesting"
