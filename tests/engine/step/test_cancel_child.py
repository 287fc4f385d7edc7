"""Cancel child: a workflow ends one of its children, and goes on without it."""

import pytest

from arvo import CancelChild, EventHandler, System, Violated, run
from tests.jobs import Stop, run_jobs, statuses, stop


def test_the_child_with_that_id_is_cancelled_for_the_reason_that_is_given() -> None:
    trace = run_jobs(["a", "b"], ["a"])

    assert statuses(trace) == {"a": "cancelled", "b": "active"}
    assert [record.state for record in trace.records.values()] == [
        None,
        {"reason": "too slow"},
        None,
    ]
    assert (trace.violations, trace.unroutable) == ((), ())


def test_the_parent_waits_for_it_no_longer() -> None:
    trace = run_jobs(["a", "b"], ["a"])

    [parent] = [record for record in trace.records.values() if record.parent is None]
    [left] = parent.open_children
    assert parent.children[left].subject != parent.subject
    assert len(parent.pending_requests) == 1


def test_a_child_that_has_replied_is_left_as_it_is() -> None:
    trace = run_jobs(["quick"], ["quick"])

    assert statuses(trace) == {"quick": "done"}


@pytest.mark.parametrize(
    ("workflow_id", "reason", "named"),
    [("", "why", "workflow_id"), (5, "why", "workflow_id"), ("a", "", "reason")],
)
def test_a_faulty_cancellation_is_refused_by_name(
    workflow_id: str, reason: str, named: str
) -> None:
    with pytest.raises(Violated) as refused:
        CancelChild(workflow_id, reason)

    [issue] = refused.value.violation.issues
    assert issue.path == f"cancel_child.{named}"


def test_an_event_handler_has_no_children() -> None:
    system = System([EventHandler(stop, {"1.0.0": lambda _: CancelChild("a")})])

    trace = run(system, stop["1.0.0"].accepts(Stop("a"), source="com.jobs.web"))

    [violation] = trace.violations
    assert "a command of workflows" in str(violation)
