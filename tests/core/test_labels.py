"""Labels: what a workflow may be labelled with."""

from enum import Enum, IntEnum
from typing import Any

import pytest

from arvo.core.labels import LABELS_MAX, label_line, label_lines, read_labels
from arvo.core.payloads.frozen_json import FrozenDict
from arvo.core.violations.issue import Issues


class Size(IntEnum):
    LARGE = 3


class Colour(str, Enum):  # noqa: UP042 - the text of a `StrEnum` is its value
    RED = "red"


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["a"], "labels: expected a mapping of names to values"),
        ({str(number): 1 for number in range(LABELS_MAX + 1)}, "at most 16 labels, got 17"),
        ({"": 1}, "a name of 1 to 63 printable characters"),
        ({"a=b": 1}, "without '='"),
        ({"a\n": 1}, "labels: expected a name"),
        ({1: 1}, "labels: expected a name"),
        ({"a": []}, "labels.a: expected a string, number or boolean"),
        ({"a": "x" * 256}, "labels.a: expected a string, number or boolean of at most 255"),
        ({"a": "x\n"}, "labels.a: expected printable characters"),
        ({"a": 2**64}, "labels.a: expected an integer from -9223372036854775808 to"),
        ({"a": 10**5_000}, "labels.a: expected an integer from -9223372036854775808 to"),
        ({"a": float("nan")}, "labels.a: expected a finite number, got nan"),
        ({"a": float("-inf")}, "labels.a: expected a finite number, got -inf"),
        ({"a": 1e300}, "labels.a: expected a string, number or boolean of at most 255"),
    ],
)
def test_invalid_labels_are_named(labels: Any, message: str) -> None:
    """The author reads which one is wrong, and why."""
    issues = read_labels(labels)

    assert isinstance(issues, Issues)
    assert message in str(issues)


def test_as_many_labels_as_allowed_are_read() -> None:
    """None is no label, so that an author need not leave it out."""
    labels = {str(number): number for number in range(LABELS_MAX)}

    assert read_labels({**labels, "none": None}) == FrozenDict(labels)


@pytest.mark.parametrize(
    ("label", "text"), [(True, "true"), (5, "5"), (5.0, "5"), (2.5, "2.5"), ("", "")]
)
def test_a_label_is_compared_as_text(label: Any, text: str) -> None:
    """A shell and a URL know no types."""
    assert label_line("a", label) == label_line("a", text) == f"\na={text}\n"
    assert label_line("a", text) in label_lines({"b": 1, "a": label})
    assert label_lines({}) == ""


def test_the_members_of_an_enum_are_their_values() -> None:
    """A store writes JSON; the text of a member is `Colour.RED`, by which no list would find it."""
    labels = read_labels({"size": Size.LARGE, "colour": Colour.RED})

    assert isinstance(labels, FrozenDict)
    assert [*map(type, labels.values())] == [int, str]
    assert label_lines(labels) == "\nsize=3\ncolour=red\n"
