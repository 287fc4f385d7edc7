"""Uniqueness: `uniqueItems` compares as JSON does, and takes time proportional to the array."""

import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arvo import Payload
from arvo.core.payloads.json_data import are_unique, canonical

ITEMS = 60_000
# Seconds of processor time: comparing each pair takes minutes, this takes one second.
SECONDS_MAX = 30

READ = f"""
import resource
resource.setrlimit(resource.RLIMIT_CPU, ({SECONDS_MAX}, {SECONDS_MAX}))
from arvo import Payload
numbers = [2**62 + n for n in range({ITEMS})]
payload = Payload.of({{"properties": {{"it": {{"type": "array", "uniqueItems": True}}}}}})
for items in (numbers, [{{"id": n}} for n in numbers], [-n for n in numbers]):
    assert payload.read({{"it": items}}) == {{"it": items}}
    assert "expected unique items" in str(payload.read({{"it": [*items, items[0]]}}))
"""


def test_many_large_integers_do_not_block_the_reader() -> None:
    """A sender must not stop a process with one event of a megabyte."""
    subprocess.run([sys.executable, "-c", READ], check=True)


@pytest.mark.parametrize(
    ("items", "unique"),
    [
        ([1, 1.0], False),
        ([1, True, "1", None, [1], {"a": 1}], True),
        ([0, False, "", [], {}], True),
        ([{"a": 1, "b": [2.0]}, {"b": [2], "a": 1.0}], False),
        ([[1, 2], [2, 1]], True),
        ([2**53, 2**53 + 1, float(2**53)], False),
        ([2**63, 2**63 + 1, 2**64 - 1], True),
        ([float(2**63), 2**63], False),
        ([1e300, 1e301], True),
        (["1.5", 1.5], True),
        ([0.0, -0.0], False),
    ],
)
def test_items_are_equal_as_json_values_are(items: list[Any], unique: bool) -> None:
    """JSON Schema 2020-12 core §4.2.2: numbers by their value, objects without order."""
    payload = Payload.of({"properties": {"it": {"uniqueItems": True}}})

    assert are_unique(items) is unique
    assert isinstance(payload.read({"it": items}), dict) is unique


_SCALARS = st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from([0.5, 1.0, -2.0, "1"])
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("ab"), inner),
    max_leaves=4,
)


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_equal(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_equal, one, other))
    return bool(one == other)


@given(_VALUES, _VALUES)
def test_equal_values_and_no_others_have_one_canonical_form(one: Any, other: Any) -> None:
    """The pairwise comparison is what the form stands for."""
    assert (canonical(one) == canonical(other)) is _equal(one, other)


def test_the_keyword_may_be_false() -> None:
    """It then allows equal items."""
    payload = Payload.of({"properties": {"it": {"uniqueItems": False}}})

    assert payload.read({"it": [1, 1]}) == {"it": [1, 1]}
