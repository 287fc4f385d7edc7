"""Tree: a whole family of workflows, read from any record of it."""

from typing import Any

import attrs
import pytest

from arvo import Record, Tree, tree
from arvo.core.record import ChildRun
from tests.family import begin, cancel, lived, middle, plan, runs_of

ROOT = begin(plan()).subject


def test_any_record_leads_to_the_whole_tree() -> None:
    """Whoever holds a grandchild finds out what it is for."""
    trace = lived(plan("wait", plan("wait", plan("wait"), plan("complete")), plan("wait")))

    trees = [tree(trace.records, subject) for subject in trace.records]

    whole = trees[0]
    assert all(each == whole for each in trees)
    assert next(run.subject for run in whole) == ROOT
    assert {run.subject: run.record for run in whole} == trace.records
    first, second = whole.children
    assert [len(first.children), len(second.children)] == [2, 0]


def test_a_tree_is_drawn_as_lines_of_text() -> None:
    """What each is doing, and why it failed."""
    trace = lived(
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
    """It may have been moved since it began."""
    record = lived(plan()).records[ROOT]
    moved = attrs.evolve(record, version="2.0.0")

    assert tree({ROOT: moved}, ROOT).draw().startswith("arvo.orc.family.top 2.0.0 ")


def test_what_is_not_remembered_here_is_a_leaf() -> None:
    """It runs elsewhere, has not begun yet, or was forgotten."""
    trace = lived(plan("wait", plan("wait", domain="far")))

    drawn = tree(trace.records, ROOT).draw()

    first, second = drawn.split("\n")
    assert first.endswith(": active, open requests: 1, timers: 0")
    assert second.endswith(": nothing is remembered here")
    assert tree({}, ROOT) == Tree(ROOT, None)
    assert tree({}, "junk").draw() == "junk"


def test_a_run_that_its_parent_does_not_list_is_in_the_tree_it_leads_to() -> None:
    """Somebody else may begin a run on behalf of a workflow; and old children are forgotten."""
    begun = lived(plan())
    other = lived(plan())
    records = {**begun.records, **other.records}
    child = attrs.evolve(begun.records[ROOT], subject=begin(plan(), middle).subject, parent=ROOT)
    records[child.subject] = child

    assert [run.subject for run in tree(records, child.subject)] == [ROOT, child.subject]
    assert tree(records, child.subject).draw().count("\n") == 1
    assert [run.subject for run in tree(records, ROOT)] == [ROOT]


def test_records_that_make_no_tree_come_to_an_end() -> None:
    """Whatever a store holds: nothing here goes round for ever."""
    record = lived(plan()).records[ROOT]
    child = ChildRun(ROOT, "#/family/top/1.0.0")
    round_and_round = attrs.evolve(record, parent=ROOT, children={"x": child})

    assert [run.subject for run in tree({ROOT: round_and_round}, ROOT)] == [ROOT]


def chain(length: int) -> dict[str, Record]:
    record = lived(plan()).records[ROOT]
    return {
        f"{n}": attrs.evolve(
            record,
            subject=f"{n}",
            parent=f"{n - 1}" if n else None,
            children={"x": ChildRun(f"{n + 1}", "#/x/1.0.0")},
        )
        for n in range(length)
    }


def test_a_tree_is_bounded_and_says_what_it_leaves_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each run is a look into the store, and a line to be read."""
    monkeypatch.setattr("arvo.engine.workflow_tree.RUNS_MAX", 3)
    trace = lived(plan("wait", *[plan("wait")] * 5))
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
    """A terminal scrolls only so far."""
    monkeypatch.setattr("arvo.engine.workflow_tree.LINES_MAX", 2)
    trace = lived(plan("wait", *[plan("wait")] * 2))

    assert tree(trace.records, ROOT).draw().split("\n")[2:] == ["… and more"]
