"""Workflow tree: a workflow with its ancestors and descendants."""

from typing import Any

import attrs
import pytest

from arvo import Record, Tree, tree
from arvo.core.requests import ChildRun
from tests.family import begin, cancel, middle, plan, run_family, runs_of

ROOT = begin(plan()).subject


def test_any_record_leads_to_the_whole_tree() -> None:
    """An operator with a grandchild finds the workflow that needs it."""
    trace = run_family(plan("wait", plan("wait", plan("wait"), plan("complete")), plan("wait")))

    trees = [tree(trace.records, subject) for subject in trace.records]

    whole = trees[0]
    assert all(other == whole for other in trees)
    assert next(run.subject for run in whole) == ROOT
    assert {run.subject: run.record for run in whole} == trace.records
    first, second = whole.children
    assert [len(first.children), len(second.children)] == [2, 0]


def test_a_tree_is_drawn_with_a_line_for_each_run() -> None:
    """A line has the status of the run, and the reason of a failure."""
    trace = run_family(
        plan("wait", plan("wait", plan("complete"), plan("fail")), plan("wait", plan("wait"))),
        cancel(ROOT),
    )
    ids = [record.subject for record in trace.records.values()]

    drawn = tree(trace.records, ROOT).draw()

    lines = [line.split(" 1.0.0 ")[0] + ":" + line.partition(": ")[2] for line in drawn.split("\n")]
    assert lines == [
        "arvo.orc.family.top:cancelled",
        "├─ arvo.orc.family.middle:done",
        "│  ├─ arvo.orc.family.leaf:done",
        "│  └─ arvo.orc.family.leaf:failed: as planned",
        "└─ arvo.orc.family.middle:cancelled",
        "   └─ arvo.orc.family.leaf:cancelled",
    ]
    assert len(ids) == 6


def test_a_tree_names_the_version_that_each_run_has_now() -> None:
    """It may have been migrated since it started."""
    record = run_family(plan()).records[ROOT]
    moved = attrs.evolve(record, version="2.0.0")

    assert tree({ROOT: moved}, ROOT).draw().startswith("arvo.orc.family.top 2.0.0 ")


def test_a_run_without_a_record_is_a_leaf() -> None:
    """It runs elsewhere, has not started yet, or retention has removed it."""
    trace = run_family(plan("wait", plan("wait", domain="far")))

    drawn = tree(trace.records, ROOT).draw()

    first, second = drawn.split("\n")
    assert first.endswith(": active, pending requests: 1, timers: 0")
    assert second.endswith(": no record here")
    assert tree({}, ROOT) == Tree(ROOT, None)
    assert tree({}, "junk").draw() == "junk"


def test_a_run_that_its_parent_does_not_list_is_in_its_own_tree() -> None:
    """A third party may start a child of a workflow, and old children are dropped."""
    begun = run_family(plan())
    other = run_family(plan())
    records = {**begun.records, **other.records}
    child = attrs.evolve(begun.records[ROOT], subject=begin(plan(), middle).subject, parent=ROOT)
    records[child.subject] = child

    assert [run.subject for run in tree(records, child.subject)] == [ROOT, child.subject]
    assert tree(records, child.subject).draw().count("\n") == 1
    assert [run.subject for run in tree(records, ROOT)] == [ROOT]


def test_records_with_a_cycle_give_a_finite_tree() -> None:
    """A store may hold corrupt records; reading them must end."""
    record = run_family(plan()).records[ROOT]
    child = ChildRun(ROOT, "#/family/top/1.0.0")
    cyclic = attrs.evolve(record, parent=ROOT, children={"x": child})

    assert [run.subject for run in tree({ROOT: cyclic}, ROOT)] == [ROOT]


def chain(length: int) -> dict[str, Record]:
    record = run_family(plan()).records[ROOT]
    return {
        f"{n}": attrs.evolve(
            record,
            subject=f"{n}",
            parent=f"{n - 1}" if n else None,
            children={"x": ChildRun(f"{n + 1}", "#/x/1.0.0")},
        )
        for n in range(length)
    }


def test_a_tree_is_bounded_and_counts_the_runs_it_leaves_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each run costs one read of the store and one line of text."""
    monkeypatch.setattr("arvo.engine.workflow_tree.RUNS_MAX", 3)
    trace = run_family(plan("wait", *[plan("wait")] * 5))
    last = runs_of(trace, "middle")[-1]

    wide = tree(trace.records, ROOT)
    from_last: Any = tree(trace.records, last.subject)
    deep = tree(chain(500), "250")

    assert (len(wide.children), wide.left_out) == (2, 3)
    assert wide.draw().endswith("└─ … 3 more")
    assert last.subject in [run.subject for run in from_last]
    assert (from_last.left_out, len(list(deep))) == (2, 101)
    assert deep.subject == "150"


def test_a_drawn_tree_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A person reads only so many lines."""
    monkeypatch.setattr("arvo.engine.workflow_tree.LINES_MAX", 2)
    trace = run_family(plan("wait", *[plan("wait")] * 2))

    assert tree(trace.records, ROOT).draw().split("\n")[2:] == ["… and more"]
