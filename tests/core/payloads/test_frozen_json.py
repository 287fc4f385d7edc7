"""Frozen JSON: immutable objects and arrays."""

import copy
import pickle
from collections.abc import Callable
from typing import Any

import orjson
import pytest

from arvo.core.payloads.frozen_json import FrozenDict
from arvo.core.payloads.json_data import freeze
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
def test_every_mutating_method_raises(change: Callable[[Any], object]) -> None:
    """B30: handlers could change the data of an event in place."""
    data = frozen()

    with pytest.raises(TypeError, match="cannot be changed"):
        change(data)
    assert data == {"a": [1, {"b": 2}], "c": {}}


def test_it_is_an_ordinary_dict_to_readers() -> None:
    """`match`, orjson, pickle and copy accept it without conversion."""
    data = frozen()

    assert orjson.loads(orjson.dumps(data)) == data
    assert pickle.loads(pickle.dumps(data)) == data  # noqa: S301
    assert copy.deepcopy(data) is data
    assert hash(data) == hash(frozen())
    assert data | {"x": 1} == {"a": [1, {"b": 2}], "c": {}, "x": 1}


def test_a_cycle_is_refused() -> None:
    """It returns issues and raises no RecursionError."""
    data: dict[str, Any] = {}
    data["self"] = data

    result = freeze(data)

    assert isinstance(result, Issues)
    assert "at most 64 levels" in str(result)


def test_an_empty_object_stays_an_object() -> None:
    """It is falsy, but it is not missing."""
    assert freeze({}) == FrozenDict()
    assert freeze(None) is None
