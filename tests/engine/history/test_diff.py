"""Diff: the differences between two JSON values."""

from typing import Any

import pytest

from arvo import Issue
from arvo.engine.history.diff import DIFFERENCES_MAX, differences, event_differences
from tests.shop import charge_request


@pytest.mark.parametrize(
    ("then", "now", "expected"),
    [
        ({"a": [1, {"b": 2}]}, {"a": (1, {"b": 2})}, []),
        ({"a": [1, 2]}, {"a": [1, 3]}, [Issue("at.a[1]", "2", "3")]),
        ({"a": 1}, {"b": None}, [Issue("at.a", "1", "nothing"), Issue("at.b", "nothing", "None")]),
        ([None], [], [Issue("at[0]", "None", "nothing")]),
        ([], [None], [Issue("at[0]", "nothing", "None")]),
        ({"a": {}}, {"a": []}, [Issue("at.a", "{}", "[]")]),
        (1, True, [Issue("at", "1", "True")]),
        (1, 1.0, [Issue("at", "1", "1.0")]),
    ],
)
def test_each_leaf_that_differs_is_named(then: Any, now: Any, expected: list[Issue]) -> None:
    """A missing value differs from null, and true differs from one."""
    assert list(differences("at", then, now)) == expected


def test_the_number_of_differences_is_bounded() -> None:
    """The first ones are enough for a person."""
    many = [0] * (DIFFERENCES_MAX + 1), [1] * (DIFFERENCES_MAX + 1)

    assert len(differences("at", *many)) == DIFFERENCES_MAX
    events = [charge_request()] * (DIFFERENCES_MAX + 1)
    assert len(event_differences(events, [])) == DIFFERENCES_MAX
