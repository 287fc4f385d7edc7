"""Differences: where two pieces of JSON differ."""

from typing import Any

import pytest

from arvo import Issue
from arvo.engine.history.diff import DIFFERENCES_MAX, differences, event_differences
from tests.shop import charging


@pytest.mark.parametrize(
    ("then", "now", "told"),
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
def test_each_leaf_that_differs_is_named(then: Any, now: Any, told: list[Issue]) -> None:
    """What is missing is told from what is null, and true from one."""
    assert list(differences("at", then, now)) == told


def test_a_person_reads_only_so_many() -> None:
    """The first say enough."""
    many = [0] * (DIFFERENCES_MAX + 1), [1] * (DIFFERENCES_MAX + 1)

    assert len(differences("at", *many)) == DIFFERENCES_MAX
    events = [charging()] * (DIFFERENCES_MAX + 1)
    assert len(event_differences(events, [])) == DIFFERENCES_MAX
