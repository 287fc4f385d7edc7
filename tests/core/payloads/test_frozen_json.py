"""JSON: data that refuses to change."""

import copy
import pickle
from collections.abc import Callable
from typing import Any

import orjson
import pytest

from arvo.core.payloads.frozen_json import FrozenDict
from arvo.core.payloads.json import freeze
from arvo.core.violations.issue import Issues


def frozen() -> Any:
    return freeze({"a": [1, {"b": 2}], "c": {}})


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d.update(x=1),
        lambda d: d.pop("a"),
        lambda d: d.popitem(),
        lambda d: d.clear(),
        lambda d: d.setdefault("x", 1),
        lambda d: d.__setitem__("x", 1),
        lambda d: d.__delitem__("a"),
        lambda d: d.__ior__({"x": 1}),
        lambda d: d["a"].append(1),
        lambda d: d["a"].__iadd__([1]),
        lambda d: d["a"].__imul__(2),
        lambda d: d["a"].sort(),
        lambda d: d["a"].reverse(),
        lambda d: d["a"].__setitem__(0, 1),
        lambda d: d["a"].__delitem__(0),
        lambda d: d["a"].insert(0, 1),
        lambda d: d["a"].extend([1]),
        lambda d: d["a"].remove(1),
        lambda d: d["a"].pop(),
        lambda d: d["a"].clear(),
        lambda d: d["a"][1].update(b=3),
    ],
)
def test_no_way_to_change_it_is_open(change: Callable[[Any], object]) -> None:
    """B30: every method that changes a dict or list, at every depth."""
    data = frozen()

    with pytest.raises(TypeError, match="cannot be changed"):
        change(data)
    assert data == {"a": [1, {"b": 2}], "c": {}}


def test_it_is_a_dict_to_everybody_else() -> None:
    """`match`, orjson and copies take it as it is."""
    data = frozen()

    assert orjson.loads(orjson.dumps(data)) == data
    assert pickle.loads(pickle.dumps(data)) == data  # noqa: S301
    assert copy.deepcopy(data) is data
    assert hash(data) == hash(frozen())
    assert data | {"x": 1} == {"a": [1, {"b": 2}], "c": {}, "x": 1}


def test_a_cycle_is_refused() -> None:
    """Not a RecursionError."""
    data: dict[str, Any] = {}
    data["self"] = data

    found = freeze(data)

    assert isinstance(found, Issues)
    assert "at most 64 levels" in str(found)


def test_an_empty_object_is_one() -> None:
    """Truth is not presence."""
    assert freeze({}) == FrozenDict()
    assert freeze(None) is None
