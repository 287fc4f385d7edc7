"""Compensation: a workflow undoes its steps in reverse order, each of them once."""

from typing import Any

import pytest

from arvo import (
    Cancellation,
    Compensate,
    Complete,
    Domain,
    Emit,
    Fail,
    Persist,
    Record,
    Resumable,
    Schedule,
    System,
    Trace,
    Turn,
    run,
)
from tests.family import begin, cancel, deed, deeds, family, middle, plan, run_family, top
from tests.shop import expect_commit, expect_violation

ROOT = begin(plan()).subject
NAMES = ["first", "second", "third"]


def compensated(trace: Trace) -> list[str]:
    return [event.data["name"] for event in trace.events if event.type == deed.type]


@pytest.mark.parametrize("how", ["fail", "raise"])
def test_a_workflow_that_fails_in_its_last_turn_still_compensates(how: str) -> None:
    """It is cancelled and fails at once: the compensations are sent once."""
    trace = run_family(
        plan("wait", last=how, compensations=NAMES), cancel(ROOT), cancel(ROOT, by="again")
    )

    assert compensated(trace) == ["third", "second", "first"]
    assert trace.records[ROOT].status == "failed"


def turning(*turns: Any, **options: Any) -> System:
    """Make a system of one workflow that returns *turns*, one after the other."""

    def function(turn: Turn[Any]) -> Any:
        if isinstance(turn.event.data, Cancellation):
            return None
        now = turns[0 if turn.record is None else turn.record.revision]
        return now(turn) if callable(now) else now

    services = [deed["1.0.0"], middle["1.0.0"]]
    return System([Resumable(top, {"1.0.0": function}, services=services, **options), deeds])


def compensate(name: str, **options: Any) -> Compensate:
    return Compensate(Emit({"name": name}, type=deed.type, **options))


def do(name: str) -> Emit:
    return Emit({"name": name}, type=deed.type)


def raises(_: Turn[Any]) -> None:
    raise ValueError("as planned")


BOTH = [(do("x"), compensate("first")), (do("y"), compensate("second"), compensate("third"))]


@pytest.mark.parametrize("end", [Fail("as planned"), raises], ids=["fail", "raise"])
def test_compensations_of_several_turns_are_sent_in_reverse_by_the_failing_commit(end: Any) -> None:
    """One commit records the failure and sends the compensations, so no crash can separate them."""
    trace = run(turning(*BOTH, end), begin(plan()))

    failing = next(commit for commit in trace.commits if commit.outcome == "failed")
    sent = [event.data["name"] for event in failing.events if event.type == deed.type]
    assert sent == ["third", "second", "first"]
    assert failing.events[-1].type == "sys.arvo.orc.family.top.error"
    assert trace.records[ROOT].compensations == ()


def test_compensations_are_stored_in_the_record_as_data() -> None:
    """They survive a restart as the record does."""
    trace = run(turning(*BOTH, Persist(1)), begin(plan()))

    record = trace.records[ROOT]
    assert [stored["data"]["name"] for stored in record.compensations] == [
        "first",
        "second",
        "third",
    ]
    assert Record.from_dict(record.to_dict()) == record
    later = run(turning(), cancel(ROOT), records={ROOT: Record.from_dict(record.to_dict())})
    assert compensated(later) == ["third", "second", "first"]


def test_a_cancelled_workflow_compensates_once() -> None:
    """Cancelled again, it has nothing left to compensate."""
    trace = run_family(plan("wait", compensations=NAMES), cancel(ROOT), cancel(ROOT, by="again"))

    assert compensated(trace) == ["third", "second", "first"]
    assert trace.records[ROOT].compensations == ()


def test_every_cancelled_descendant_compensates_its_own_steps() -> None:
    """Each run has its own compensations."""
    child = plan("wait", compensations=["child"])

    trace = run_family(plan("wait", child, compensations=["parent"]), cancel(ROOT))

    assert compensated(trace) == ["parent", "child"]


def test_a_completed_workflow_never_compensates() -> None:
    """A completed workflow has succeeded."""
    begun = run(turning((compensate("first"), Complete({}))), begin(plan()))

    trace = run(turning(), cancel(ROOT), records=begun.records)

    assert compensated(begun) == compensated(trace) == []
    assert [commit.outcome for commit in trace.commits] == ["late"]


def test_a_compensation_of_the_failing_turn_counts() -> None:
    """It may accompany the `Fail`; the other commands of that turn are dropped."""
    trace = run(turning((do("x"), compensate("first"), Fail("as planned"))), begin(plan()))

    assert compensated(trace) == ["first"]


def test_a_reply_to_a_compensation_is_ignored_and_a_failure_is_reported() -> None:
    """No workflow waits for the reply, but an operator must handle a failed compensation."""
    failed = run(
        turning((compensate("well"), compensate("failing"), Fail("as planned"))), begin(plan())
    )
    cancelled = run_family(plan("wait", compensations=["well", "failing"]), cancel(ROOT))

    for trace in (failed, cancelled):
        replies = {
            commit.event.type: commit.outcome
            for commit in trace.commits
            if commit.event.parentid in trace.records[ROOT].produced
        }
        assert replies["evt.family.deed.done"] == "late"
        assert replies["sys.com.family.deed.error"] == "workflow_failed"


def nested(levels: int) -> dict[str, Any]:
    data: dict[str, Any] = {}
    for _ in range(levels - 1):
        data = {"x": data}
    return data


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        (Compensate({}), "expected the payload of one of"),
        (Compensate(Emit({}, type="com.unknown.one")), "type: expected one of"),
        (Compensate(Emit([], type=deed.type)), "expected a mapping"),
        (Compensate(Emit(nested(64), type=deed.type)), "compensate.data.x.x"),
        (compensate("x", to=5), "to: expected an encoded URI"),
        (compensate("x", domain="Not A Domain"), "domain: expected"),
        (compensate("x", extensions={"Not-One": 1}), "extensions.Not-One: expected"),
    ],
)
def test_a_compensation_that_could_not_be_sent_is_refused_when_it_is_registered(
    wrong: Any, expected: str
) -> None:
    """An error that appears only when the workflow fails comes too late."""
    assert expected in str(expect_violation(turning(wrong), begin(plan())))


def test_a_compensation_keeps_all_fields_of_its_emit() -> None:
    """It is sent later with the same destination, cost and access control."""
    fields: dict[str, Any] = {
        "to": "com.other.one",
        "domain": ("far", Domain.FROM_EVENT_CONTRACT),
        "redirectto": "com.other.two",
        "accesscontrol": "user:1",
        "executionunits": 0,
        "extensions": {"tenant": "t1"},
    }
    system = turning((compensate("x", **fields), do("y")), Fail("no"), executionunits=5)
    begun = expect_commit(system, begin(plan()))
    assert begun.record is not None
    stored = Record.from_dict(begun.record.to_dict())

    trace = run(system, cancel(ROOT), records={ROOT: stored})

    far, other = [event for event in trace.events if event.type == deed.type]
    assert (far.domain, other.domain) == ("far", None)
    assert (far.to, far.redirectto, far.accesscontrol) == (
        "com.other.one",
        "com.other.two",
        "user:1",
    )
    assert (far.executionunits, far.extensions) == (0, {"tenant": "t1"})


def test_a_compensation_may_be_a_workflow(monkeypatch: pytest.MonkeyPatch) -> None:
    """It may take time, and its run is a child like any other, over the limit of children too."""
    monkeypatch.setattr("arvo.engine.step.pending.CHILDREN_MAX", 0)
    refund = Compensate(Emit(plan("complete"), type=middle.type))
    system = System([turning((refund, Fail("no"))).handlers[0], family.handlers[1], deeds])

    trace = run(system, begin(plan()))

    (child,) = (record for record in trace.records.values() if record.subject != ROOT)
    assert (child.status, child.parent) == ("done", ROOT)
    assert [run.subject for run in trace.records[ROOT].children.values()] == [child.subject]
    assert [commit.outcome for commit in trace.commits] == ["failed", "handled", "late"]


def test_the_timers_of_a_failed_workflow_are_cleared() -> None:
    """No timer fires any more; one that is in delivery already is ignored."""
    system = turning((Schedule("t", after=5), do("x")), Fail("no"))
    begun = expect_commit(system, begin(plan()))
    trace = run(system, begin(plan()))

    late = expect_commit(system, begun.timers[0].event, trace.records[ROOT])

    assert [commit.cleared_timers for commit in trace.commits if commit.outcome == "failed"] == [
        (begun.timers[0].event.id,)
    ]
    assert late.outcome == "late"
