"""Issues: the messages about data that does not fit."""

import pytest

from arvo.core.violations.issue import (
    GOT_CHARACTERS_MAX,
    ISSUES_MAX,
    Issue,
    Issues,
    join_path,
    short_repr,
)


def test_an_issue_reads_as_one_sentence() -> None:
    """Logs and dead letters show the message, not the fields."""
    assert str(Issue("data.amount", "a number", "'ten'")) == (
        "data.amount: expected a number, got 'ten'"
    )


def test_a_path_names_keys_and_positions_as_python_would() -> None:
    """The reader finds the value in the event without counting."""
    assert join_path("data", "lines", 2, "amount") == "data.lines[2].amount"
    assert join_path("data", "parentSubject$$") == "data.parentSubject$$"
    assert join_path("data", "two words") == 'data["two words"]'


def test_issues_are_listed_up_to_a_limit_and_the_rest_are_counted() -> None:
    """A list of a million bad items must not become a message of megabytes."""
    issues = Issues.of(Issue(f"data[{i}]", "a number", "'x'") for i in range(10**9))

    assert len(issues.items) == ISSUES_MAX
    assert issues.more == 1000 - ISSUES_MAX
    assert str(issues).endswith("; and 980 more")


def test_equal_issues_are_listed_once() -> None:
    """Two keywords of one schema often report the same fault."""
    issue = Issue("data", "an object", "3")

    assert Issues.of([issue, issue]) == Issues((issue,))


class BrokenRepr:
    """An object whose repr raises."""

    def __repr__(self) -> str:
        raise RuntimeError("no")


class DefaultRepr:
    """An object with the repr of `object`."""


@pytest.mark.parametrize(
    "value",
    ["x" * 10_000, list(range(10_000)), 10**5000, {"a": [[[[1]]]] * 99}, "line\nbreak"],
    ids=["long text", "long list", "an int Python will not print", "deep", "two lines"],
)
def test_a_value_is_shown_on_one_short_line(value: object) -> None:
    """The size of a message does not depend on the sender's data."""
    shown = short_repr(value)

    assert len(shown) <= GOT_CHARACTERS_MAX
    assert shown.isprintable()


def test_a_repr_that_raises_or_contains_an_address_is_replaced() -> None:
    """Reporting an error must not raise another, and an address differs in each process."""
    assert short_repr(BrokenRepr()) == "a BrokenRepr"
    assert " at 0x" not in short_repr(DefaultRepr())
