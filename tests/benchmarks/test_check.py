"""Check: what counts as slower than the last commit, and which commit that is."""

import subprocess
from pathlib import Path

import pytest

from benchmarks.check import (
    Comparison,
    Costs,
    checked_out,
    compare,
    has_commit,
    other_commit,
    parse_total,
    processor_time,
    report,
    take_turns,
)


def test_a_row_is_slower_only_above_the_limit() -> None:
    """A count moves by less than a hundredth by itself: a tenth is a change of the code."""
    compared = compare(
        {"event": 100, "turn": 100, "flow": 100}, {"event": 110, "turn": 111, "flow": 50}
    )

    assert compared.ratios == {"event": 1.1, "turn": 1.11, "flow": 0.5}
    assert compared.slower(1.10) == {"turn": 1.11}


def test_rows_that_one_commit_lacks_are_not_compared() -> None:
    """A commit that adds, renames or deletes a row passes, and says so."""
    compared = compare({"old": 1, "same": 1}, {"same": 1, "new": 1})

    assert compared == Comparison({"same": 1.0}, added=("new",), removed=("old",))
    assert [line.split() for line in report(compared, 1.1)] == [
        ["same", "1"],
        ["new", "new"],
        ["old", "gone"],
    ]


def test_the_report_marks_what_is_slower() -> None:
    """The reader of a failed check looks for one line."""
    [line] = report(Comparison({"turn": 1.5}, (), ()), 1.1)

    assert line.endswith("1.5  above 1.1")


def test_both_commits_are_measured_in_turns() -> None:
    """A busy minute hits both, and the median leaves it out."""
    before, now, order = Path("before"), Path("now"), list[Path]()
    figures = {before: iter([1.0, 9.0, 2.0]), now: iter([3.0, 8.0, 4.0])}

    def measure(tree: Path) -> Costs:
        order.append(tree)
        return {"turn": next(figures[tree])}

    assert take_turns(measure, before, now, 3) == ({"turn": 2.0}, {"turn": 4.0})
    assert order == [before, now] * 3


def test_the_total_of_callgrind_is_read() -> None:
    """The file lists the cost of each function, and then the sum."""
    assert parse_total("summary: 12\n\nfn=(1) f\n4 12\n\ntotals: 12\n") == 12


def test_the_rows_are_those_of_the_tree_that_is_measured(tmp_path: Path) -> None:
    """The same program calls both commits, each with its own rows and its own library."""
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "benchmarks" / "__init__.py").touch()
    (tmp_path / "benchmarks" / "pure.py").write_text(
        "def rows():\n    yield 'a row of that commit', dict, dict\n"
    )

    assert list(processor_time(tmp_path)) == ["a row of that commit"]


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository of two commits of one file."""
    root = tmp_path / "repository"
    root.mkdir()
    git(root, "init", "--quiet")
    for content in ("first", "second"):
        (root / "file").write_text(content)
        git(root, "add", "file")
        git(root, "-c", "user.name=n", "-c", "user.email=e", "commit", "--quiet", "-m", content)
    return root


def git(root: Path, *arguments: str) -> str:
    command = ["git", "-C", str(root), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_a_changed_tree_is_compared_with_its_commit(repository: Path) -> None:
    """Before a commit, the question is what the change costs."""
    (repository / "file").write_text("third")

    assert other_commit(repository) == "HEAD"


def test_a_clean_tree_is_compared_with_the_commit_before(repository: Path) -> None:
    """After a commit, the question is what that commit costs."""
    assert other_commit(repository) == "HEAD~1"


def test_a_clone_of_one_commit_has_none_to_compare_with(repository: Path) -> None:
    """A build server often fetches one commit alone."""
    assert has_commit(repository, "HEAD~1")
    assert not has_commit(repository, "HEAD~2")


def test_the_other_commit_is_checked_out_and_removed(repository: Path) -> None:
    """The working tree stays as it is, and no worktree is left behind."""
    with checked_out(repository, "HEAD~1") as tree:
        before = (tree / "file").read_text()

    assert (before, (repository / "file").read_text()) == ("first", "second")
    assert not tree.exists()
    assert git(repository, "worktree", "list").count("\n") == 1
