"""Plain data: what is the same after a trip through JSON text."""

from collections.abc import Callable
from typing import Any

import pytest

from arvo.core.payloads.json import freeze
from arvo.core.payloads.json_data import DEPTH_MAX
from arvo.core.payloads.payload import Payload
from arvo.core.violations.issue import Issues
from tests.core.samples import Line, Order


def test_data_nested_too_deep_is_refused_both_ways() -> None:
    """Every reader walks it recursively, and an attacker writes it in kilobytes."""
    deep: dict[str, Any] = {}
    for _ in range(200_000):
        deep = {"a": deep}
    payload = Payload.of({})

    for result in (payload.read(deep), payload.write(deep)):
        assert isinstance(result, Issues)
        assert result.items[0].expected == "at most 64 levels of nesting"
    while deep:
        deep = deep["a"]  # else the interpreter's own clean-up recurses


class FrozenDict(dict[str, Any]):
    """Data of an event that is held in memory."""


class FrozenList(list[Any]):
    """Its lists."""


def test_data_that_is_frozen_is_read_like_any_other() -> None:
    """B30: an event's data is immutable, and its payload is read from it."""
    lines = FrozenList([FrozenDict(sku="s", amount=1.0)])
    data = FrozenDict(order_id="o", email="a@b.de", lines=lines)

    assert Payload.of(Order).read(data) == Order("o", "a@b.de", (Line("s", 1.0),))


def nested(levels: int) -> dict[str, Any]:
    """Nest so many objects."""
    data: dict[str, Any] = {}
    for _ in range(levels - 1):
        data = {"a": data}
    return data


@pytest.mark.parametrize("around", [lambda data: {"b": data}, lambda data: [data]])
def test_frozen_data_counts_as_deep_as_it_nests(around: Callable[[Any], Any]) -> None:
    """A workflow that wraps what it was told makes nothing that its receiver could not read."""
    fits, deep = freeze(nested(DEPTH_MAX - 1)), freeze(nested(DEPTH_MAX))

    assert not isinstance(freeze(around(fits)), Issues)
    for data in (deep, freeze([nested(DEPTH_MAX - 1)])):
        refused = freeze(around(data))
        assert isinstance(refused, Issues)
        assert refused.items[0].expected == "at most 64 levels of nesting"
