"""Plain data: what is the same after a trip through JSON text."""

from typing import Any

from arvo.core.issue import Issues
from arvo.core.payload import Payload
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
