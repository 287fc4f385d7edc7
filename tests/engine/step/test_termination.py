"""Termination: the events between parents and children when one of them ends."""

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
    events_of_type,
    family,
    middle,
    plan,
    replies_to,
    run_family,
    runs_of,
    top,
)
from tests.shop import WEB, expect_commit

ROOT = begin(plan()).subject
CANCEL = ".cancel"
ERROR = ".error"


def subjects(events: list[Event[Any]]) -> list[str]:
    return [event.subject for event in events]


def test_a_completion_goes_to_the_parent_and_not_to_the_grandparent() -> None:
    """B22: the TypeScript package sends a grandchild's completion to the grandparent."""
    trace = run_family(plan("wait", plan("wait", plan("complete"))))

    (grandchild, child, own) = events_of_type(trace, ".done")
    (middle_run,) = runs_of(trace, "middle")
    assert (grandchild.to, grandchild.subject) == (middle.type, middle_run.subject)
    assert (child.to, child.subject) == (top.type, ROOT)
    assert (own.to, own.subject) == (WEB, ROOT)
    assert {record.status for record in trace.records.values()} == {"done"}


@pytest.mark.parametrize("how", ["fail", "raise"])
def test_a_system_error_goes_to_the_parent_and_not_to_the_grandparent(how: str) -> None:
    """The parent handles the error; here it continues and completes."""
    trace = run_family(plan("wait", plan("wait", plan(how))))

    (error,) = events_of_type(trace, ERROR)
    (middle_run,) = runs_of(trace, "middle")
    assert (error.to, error.subject) == (middle.type, middle_run.subject)
    assert isinstance(error.data, SystemFault)
    assert replies_to(trace, ROOT) == ["done"]
    assert trace.answer is not None
    assert trace.answer.type == "arvo.orc.family.top.done"


def test_cancelling_the_top_reaches_every_open_descendant_once() -> None:
    """No child waits for a parent that has ended."""
    child = plan("wait", plan("wait"), plan("wait"))
    trace = run_family(plan("wait", child, child), cancel(ROOT))

    descendants = [record.subject for record in trace.records.values() if record.parent]
    cancels = events_of_type(trace, CANCEL)
    assert len(descendants) == 6
    assert sorted(subjects(cancels)) == sorted([ROOT, *descendants])
    assert {record.status for record in trace.records.values()} == {"cancelled"}
    assert trace.at_rest
    assert (trace.violations, trace.unroutable) == ((), ())


def test_only_the_initiator_of_the_top_gets_a_system_error_after_a_cancellation() -> None:
    """A child sends no error to the parent that cancelled it."""
    trace = run_family(plan("wait", plan("wait", plan("wait"))), cancel(ROOT))

    (error,) = events_of_type(trace, ERROR)
    assert (error.to, error.subject, error.parentid) == (WEB, ROOT, "begin")
    assert error.data == SystemFault(errorName="Cancelled", errorMessage="enough")
    assert trace.answers == (error,)


@pytest.mark.parametrize("how", ["complete", "fail"])
def test_children_that_have_ended_are_not_cancelled(how: str) -> None:
    """A cancellation would be late, and only make noise."""
    trace = run_family(plan("wait", plan(how), plan("wait"), plan(how)), cancel(ROOT))

    done, waiting, other = runs_of(trace, "middle")
    assert subjects(events_of_type(trace, CANCEL)) == [ROOT, waiting.subject]
    assert done.status == other.status == {"complete": "done", "fail": "failed"}[how]
    assert waiting.status == "cancelled"


def test_a_child_that_is_cancelled_from_outside_sends_its_parent_an_error() -> None:
    """The parent sees a service that failed, and may call another one."""
    begun = run_family(plan("wait", plan("wait")))
    (child,) = runs_of(begun, "middle")

    trace = run(family, cancel(child.subject, middle), records=begun.records)

    (error,) = events_of_type(trace, ERROR)
    assert (error.to, error.subject, error.data.name) == (top.type, ROOT, "Cancelled")
    assert replies_to(trace, ROOT) == ["Cancelled"]
    assert trace.records[ROOT].status == "done"


def test_a_cancelled_workflow_may_return_commands_in_its_last_turn() -> None:
    """Those commands are applied, and may complete or fail the workflow."""
    trace = run_family(plan("wait", plan("wait"), last="complete"), cancel(ROOT))

    (child,) = runs_of(trace, "middle")
    assert trace.records[ROOT].status == "done"
    assert child.status == "cancelled"
    assert [event.type for event in trace.answers] == ["arvo.orc.family.top.done"]


@pytest.mark.parametrize("how", ["fail", "raise"])
def test_a_workflow_that_fails_in_its_last_turn_still_cancels_its_children(how: str) -> None:
    """A parent that cancelled it gets no error; its own children are still cancelled."""
    trace = run_family(plan("wait", plan("wait", plan("wait"), last=how)), cancel(ROOT))

    (child,), (grandchild,) = runs_of(trace, "middle"), runs_of(trace, "leaf")
    assert (child.status, grandchild.status) == ("failed", "cancelled")
    assert [event.data.name for event in events_of_type(trace, ERROR)] == ["Cancelled"]
    assert trace.records[ROOT].status == "cancelled"


def test_a_child_in_a_domain_is_cancelled_through_that_domain() -> None:
    """It runs elsewhere; the listener of the domain forwards the cancellation too."""
    trace = run_family(plan("wait", plan("wait", domain="far")), cancel(ROOT))

    begun, cancelled = [event for event, to in trace.sent if to == ToDomain("far")]
    assert begun.subject == cancelled.subject
    assert cancelled.type == "sys.arvo.orc.family.middle.cancel"
    assert cancelled.to == middle.type
    assert cancelled.dataschema == "#/family/middle/0.0.0"


def test_a_reply_to_a_cancelled_workflow_is_late_and_no_error() -> None:
    """After a cancellation, replies to earlier requests are expected."""
    begun = run_family(plan("wait", plan("wait")))
    cancelled = expect_commit(family, cancel(ROOT), begun.records[ROOT])
    (child,) = runs_of(begun, "middle")
    reply = middle["1.0.0"].complete(
        {}, source=middle.type, subject=ROOT, to=top.type, parentid=begun.commits[0].events[0].id
    )

    late = expect_commit(family, reply, cancelled.record)

    assert (late.outcome, late.record, late.note) == ("late", None, "the workflow is cancelled")
    assert cancelled.record is not None
    assert late.expected == cancelled.record.revision
    assert child.status == "active"


def test_a_workflow_is_cancelled_once() -> None:
    """The second cancellation is late."""
    trace = run_family(plan("wait", plan("wait")), cancel(ROOT), cancel(ROOT, by="again"))

    assert [commit.outcome for commit in trace.commits][-3:] == ["cancelled", "cancelled", "late"]
    assert len(events_of_type(trace, ERROR)) == 1


def test_a_cancellation_of_a_failed_workflow_is_late() -> None:
    """The workflow failed during its parent's cancellation, and has compensated already."""
    begun = run_family(plan("fail"))

    commit = expect_commit(family, cancel(ROOT), begun.records[ROOT])

    assert (commit.outcome, commit.record) == ("late", None)


def test_a_cancellation_waits_until_its_workflow_has_started() -> None:
    """It may have overtaken the init event; if it were dropped, the workflow would run on."""
    trace = run(family, cancel(ROOT))

    (violation,) = trace.violations
    assert isinstance(violation, TransactionViolation)
    assert (violation.cause, violation.message) == (
        "early",
        f"the cancellation {cancel(ROOT).id!r} arrived before the workflow started",
    )


def test_a_cancellation_is_not_a_pending_request() -> None:
    """It has no reply."""
    begun = run_family(plan("wait", plan("wait")))

    trace = run(family, cancel(ROOT), records=begun.records)

    assert list(trace.records[ROOT].pending_requests) == list(begun.records[ROOT].pending_requests)


def test_a_cancellation_must_fit_its_payload() -> None:
    """A malformed event must not end a workflow."""
    begun = run_family(plan())
    wrong = Event.from_dict({**cancel(ROOT).to_dict(), "data": {"reason": 5}})

    trace = run(family, wrong, records=begun.records)

    assert "data.reason: expected a string" in str(trace.violations[0])
    assert trace.records == begun.records


def test_children_that_the_first_turn_starts_are_all_in_the_record(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Only finished children of earlier turns are dropped; open ones always stay."""
    monkeypatch.setattr("arvo.engine.step.pending.CHILDREN_MAX", 2)
    begun = run_family(plan("wait", *[plan("complete")] * 2, *[plan("wait")] * 2))
    record = begun.records[ROOT]

    assert len(record.children) == 4
    assert [child.subject for child in record.children.values()] == [
        run.subject for run in runs_of(begun, "middle")
    ]


def test_the_record_of_a_parent_names_its_children() -> None:
    """Each child is stored under the id of the event that started it."""
    trace = run_family(plan("wait", plan("wait", plan("wait"))))

    (child,), (grandchild,) = runs_of(trace, "middle"), runs_of(trace, "leaf")
    root = trace.records[ROOT]
    assert [run.subject for run in root.children.values()] == [child.subject]
    assert list(root.children) == [child.init]
    assert (child.parent, grandchild.parent) == (ROOT, child.subject)
    assert Record.from_dict(root.to_dict()) == root
