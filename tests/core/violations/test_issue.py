"""Issues: what people read when data does not fit."""

import pytest

from arvo.core.violations.issue import GOT_CHARACTERS_MAX, ISSUES_MAX, Issue, Issues, below, short


def test_an_issue_reads_as_one_sentence() -> None:
    """It ends in logs and dead letters, where nobody looks at fields."""
    assert str(Issue("data.amount", "a number", "'ten'")) == (
        "data.amount: expected a number, got 'ten'"
    )


def test_a_path_names_keys_and_positions_as_python_would() -> None:
    """The reader finds the place in the event without counting."""
    assert below("data", "lines", 2, "amount") == "data.lines[2].amount"
    assert below("data", "parentSubject$$") == "data.parentSubject$$"
    assert below("data", "two words") == 'data["two words"]'


def test_issues_are_told_up_to_a_limit_and_the_rest_counted() -> None:
    """A list of a million bad items must not become a message of megabytes."""
    issues = Issues.of(Issue(f"data[{i}]", "a number", "'x'") for i in range(10**9))

    assert len(issues.items) == ISSUES_MAX
    assert issues.more == 1000 - ISSUES_MAX
    assert str(issues).endswith("; and 980 more")


def test_the_same_issue_is_told_once() -> None:
    """Two keywords of one schema often find the same fault."""
    issue = Issue("data", "an object", "3")

    assert Issues.of([issue, issue]) == Issues((issue,))


class Loud:
    """Its repr fails."""

    def __repr__(self) -> str:
        raise RuntimeError("no")


class Silent:
    """It has the repr of object."""


@pytest.mark.parametrize(
    "value",
    ["x" * 10_000, list(range(10_000)), 10**5000, {"a": [[[[1]]]] * 99}, "line\nbreak"],
    ids=["long text", "long list", "an int Python will not print", "deep", "two lines"],
)
def test_what_came_is_shown_on_one_short_line(value: object) -> None:
    """A message is bounded whatever a sender puts into the data."""
    shown = short(value)

    assert len(shown) <= GOT_CHARACTERS_MAX
    assert shown.isprintable()


def test_a_repr_that_fails_or_tells_an_address_does_no_harm() -> None:
    """An error about an error helps nobody, and an address differs in each run."""
    assert short(Loud()) == "a Loud"
    assert " at 0x" not in short(Silent())
