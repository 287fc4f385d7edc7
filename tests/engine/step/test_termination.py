"""Ending: parents and children, and what each hears of the other's end."""

from typing import Any

import pytest

from arvo import (
    Event,
    Record,
    SystemFault,
    TransactionViolation,
    run,
)
from arvo.engine.step.route import ToDomain
from tests.family import (
    begin,
    cancel,
    family,
    heard_by,
    lived,
    middle,
    plan,
    runs_of,
    told,
    top,
)
from tests.shop import WEB, committed

ROOT = begin(plan()).subject
CANCEL = ".cancel"
ERROR = ".error"


def subjects(events: list[Event[Any]]) -> list[str]:
    return [event.subject for event in events]


def test_a_completion_goes_to_the_parent_and_not_to_the_grandparent() -> None:
    """B22: the reference sends a grandchild's completion past its parent."""
    trace = lived(plan("wait", plan("wait", plan("complete"))))

    (grandchild, child, own) = told(trace, ".done")
    (middle_run,) = runs_of(trace, "middle")
    assert (grandchild.to, grandchild.subject) == (middle.type, middle_run.subject)
    assert (child.to, child.subject) == (top.type, ROOT)
    assert (own.to, own.subject) == (WEB, ROOT)
    assert {record.status for record in trace.records.values()} == {"done"}


@pytest.mark.parametrize("how", ["fail", "raise"])
def test_a_system_error_goes_to_the_parent_and_not_to_the_grandparent(how: str) -> None:
    """The parent knows what to do; here it goes on, and completes."""
    trace = lived(plan("wait", plan("wait", plan(how))))

    (error,) = told(trace, ERROR)
    (middle_run,) = runs_of(trace, "middle")
    assert (error.to, error.subject) == (middle.type, middle_run.subject)
    assert isinstance(error.data, SystemFault)
    assert heard_by(trace, ROOT) == ["done"]
    assert trace.answer is not None
    assert trace.answer.type == "arvo.orc.family.top.done"


def test_cancelling_the_top_reaches_every_open_descendant_once() -> None:
    """Nobody is left waiting for a parent that is gone."""
    brood = plan("wait", plan("wait"), plan("wait"))
    trace = lived(plan("wait", brood, brood), cancel(ROOT))

    descendants = [record.subject for record in trace.records.values() if record.parent]
    cancels = told(trace, CANCEL)
    assert len(descendants) == 6
    assert sorted(subjects(cancels)) == sorted([ROOT, *descendants])
    assert {record.status for record in trace.records.values()} == {"cancelled"}
    assert trace.at_rest
    assert (trace.violations, trace.unroutable) == ((), ())


def test_only_the_initiator_of_the_top_hears_of_a_cancellation() -> None:
    """A child that its parent cancels has nothing to tell it."""
    trace = lived(plan("wait", plan("wait", plan("wait"))), cancel(ROOT))

    (error,) = told(trace, ERROR)
    assert (error.to, error.subject, error.parentid) == (WEB, ROOT, "begin")
    assert error.data == SystemFault(errorName="Cancelled", errorMessage="enough")
    assert trace.answers == (error,)


@pytest.mark.parametrize("how", ["complete", "fail"])
def test_children_that_have_ended_are_not_cancelled(how: str) -> None:
    """There is nothing left of them to cancel."""
    trace = lived(plan("wait", plan(how), plan("wait"), plan(how)), cancel(ROOT))

    done, waiting, other = runs_of(trace, "middle")
    assert subjects(told(trace, CANCEL)) == [ROOT, waiting.subject]
    assert done.status == other.status == {"complete": "done", "fail": "failed"}[how]
    assert waiting.status == "cancelled"


def test_a_child_that_is_cancelled_from_outside_tells_its_parent() -> None:
    """The parent may ask another; to it this is a service that failed."""
    begun = lived(plan("wait", plan("wait")))
    (child,) = runs_of(begun, "middle")

    trace = run(family, cancel(child.subject, middle), records=begun.records)

    (error,) = told(trace, ERROR)
    assert (error.to, error.subject, error.data.name) == (top.type, ROOT, "Cancelled")
    assert heard_by(trace, ROOT) == ["Cancelled"]
    assert trace.records[ROOT].status == "done"


def test_a_workflow_may_say_something_in_its_last_turn() -> None:
    """What it wants then is carried out, and whether it completed or failed is its own to say."""
    trace = lived(plan("wait", plan("wait"), last="complete"), cancel(ROOT))

    (child,) = runs_of(trace, "middle")
    assert trace.records[ROOT].status == "done"
    assert child.status == "cancelled"
    assert [event.type for event in trace.answers] == ["arvo.orc.family.top.done"]


@pytest.mark.parametrize("how", ["fail", "raise"])
def test_a_workflow_that_fails_in_its_last_turn_still_cancels_its_children(how: str) -> None:
    """Its initiator hears of the failure; a parent that cancelled it hears nothing."""
    trace = lived(plan("wait", plan("wait", plan("wait"), last=how)), cancel(ROOT))

    (child,), (grandchild,) = runs_of(trace, "middle"), runs_of(trace, "leaf")
    assert (child.status, grandchild.status) == ("failed", "cancelled")
    assert [event.data.name for event in told(trace, ERROR)] == ["Cancelled"]
    assert trace.records[ROOT].status == "cancelled"


def test_a_child_in_a_domain_is_cancelled_by_the_way_it_was_begun() -> None:
    """It runs elsewhere; whoever carries events to that domain carries this one as well."""
    trace = lived(plan("wait", plan("wait", domain="far")), cancel(ROOT))

    begun, cancelled = [event for event, to in trace.sent if to == ToDomain("far")]
    assert begun.subject == cancelled.subject
    assert cancelled.type == "sys.arvo.orc.family.middle.cancel"
    assert cancelled.to == middle.type
    assert cancelled.dataschema == "#/family/middle/0.0.0"


def test_a_late_reply_to_a_cancelled_workflow_is_quiet() -> None:
    """Who cancels expects that something was still under way."""
    begun = lived(plan("wait", plan("wait")))
    cancelled = committed(family, cancel(ROOT), begun.records[ROOT])
    (child,) = runs_of(begun, "middle")
    reply = middle["1.0.0"].complete(
        {}, source=middle.type, subject=ROOT, to=top.type, parentid=begun.commits[0].events[0].id
    )

    late = committed(family, reply, cancelled.record)

    assert (late.outcome, late.record, late.note) == ("late", None, "the workflow is cancelled")
    assert cancelled.record is not None
    assert late.expected == cancelled.record.revision
    assert child.status == "active"


def test_a_workflow_is_cancelled_once() -> None:
    """The second cancellation finds it ended."""
    trace = lived(plan("wait", plan("wait")), cancel(ROOT), cancel(ROOT, by="again"))

    assert [commit.outcome for commit in trace.commits][-3:] == ["cancelled", "cancelled", "late"]
    assert len(told(trace, ERROR)) == 1


def test_a_cancellation_that_finds_a_failed_workflow_is_no_loss() -> None:
    """It failed while its parent was being cancelled, and has undone what it did."""
    begun = lived(plan("fail"))

    commit = committed(family, cancel(ROOT), begun.records[ROOT])

    assert (commit.outcome, commit.record) == ("late", None)


def test_a_cancellation_waits_for_what_it_cancels_to_begin() -> None:
    """It may have overtaken the event that begins the workflow, which would then run for ever."""
    trace = run(family, cancel(ROOT))

    (violation,) = trace.violations
    assert isinstance(violation, TransactionViolation)
    assert (violation.cause, violation.message) == ("early", "a cancellation came too early")


def test_nobody_waits_for_the_answer_to_a_cancellation() -> None:
    """What a record waits for is what it asked."""
    begun = lived(plan("wait", plan("wait")))

    trace = run(family, cancel(ROOT), records=begun.records)

    assert list(trace.records[ROOT].pending_requests) == list(begun.records[ROOT].pending_requests)


def test_a_cancellation_must_fit_its_payload() -> None:
    """A workflow does not end by accident."""
    begun = lived(plan())
    wrong = Event.from_dict({**cancel(ROOT).to_dict(), "data": {"reason": 5}})

    trace = run(family, wrong, records=begun.records)

    assert "data.reason: expected a string" in str(trace.violations[0])
    assert trace.records == begun.records


def test_a_workflow_keeps_the_newest_of_its_children_that_are_done(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A workflow that begins one a day for ever does not grow with each; open ones all stay."""
    monkeypatch.setattr("arvo.engine.step.build_commit.CHILDREN_KEPT_MAX", 2)
    begun = lived(plan("wait", *[plan("complete")] * 2, *[plan("wait")] * 2))
    record = begun.records[ROOT]

    assert len(record.children) == 4
    assert [child.subject for child in record.children.values()] == [
        each.subject for each in runs_of(begun, "middle")
    ]


def test_the_record_of_a_parent_names_its_children() -> None:
    """Each by the event that began it."""
    trace = lived(plan("wait", plan("wait", plan("wait"))))

    (child,), (grandchild,) = runs_of(trace, "middle"), runs_of(trace, "leaf")
    root = trace.records[ROOT]
    assert [each.subject for each in root.children.values()] == [child.subject]
    assert list(root.children) == [child.init]
    assert (child.parent, grandchild.parent) == (ROOT, child.subject)
    assert Record.from_dict(root.to_dict()) == root
