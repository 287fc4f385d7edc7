"""Undo: what a workflow did is undone, last first, each once."""

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
from tests.family import begin, cancel, deed, deeds, family, lived, middle, plan, top
from tests.shop import committed, refused

ROOT = begin(plan()).subject
UNDOS = ["first", "second", "third"]


def undone(trace: Trace) -> list[str]:
    return [event.data["name"] for event in trace.events if event.type == deed.type]


@pytest.mark.parametrize("how", ["fail", "raise"])
def test_a_workflow_that_fails_in_its_last_turn_undoes_all_the_same(how: str) -> None:
    """Cancelled and failed at once: the undos go out once."""
    trace = lived(plan("wait", last=how, undos=UNDOS), cancel(ROOT), cancel(ROOT, by="again"))

    assert undone(trace) == ["third", "second", "first"]
    assert trace.records[ROOT].status == "failed"


def turning(*turns: Any, **said: Any) -> System:
    """Make a system of one workflow whose turns are given, one after the other."""

    def function(turn: Turn[Any]) -> Any:
        if isinstance(turn.event.data, Cancellation):
            return None
        now = turns[0 if turn.record is None else turn.record.revision]
        return now(turn) if callable(now) else now

    services = [deed["1.0.0"], middle["1.0.0"]]
    return System([Resumable(top, {"1.0.0": function}, services=services, **said), deeds])


def undo(name: str, **said: Any) -> Compensate:
    return Compensate(Emit({"name": name}, type=deed.type, **said))


def do(name: str) -> Emit:
    return Emit({"name": name}, type=deed.type)


def raises(_: Turn[Any]) -> None:
    raise ValueError("as planned")


BOTH = [(do("x"), undo("first")), (do("y"), undo("second"), undo("third"))]


@pytest.mark.parametrize("end", [Fail("as planned"), raises], ids=["fail", "raise"])
def test_undos_of_several_turns_are_sent_in_reverse_by_the_commit_that_fails(end: Any) -> None:
    """The same commit says that it failed and sends the undos: a crash parts them never."""
    trace = run(turning(*BOTH, end), begin(plan()))

    failing = next(commit for commit in trace.commits if commit.outcome == "failed")
    sent = [event.data["name"] for event in failing.events if event.type == deed.type]
    assert sent == ["third", "second", "first"]
    assert failing.events[-1].type == "sys.arvo.orc.family.top.error"
    assert trace.records[ROOT].compensations == ()


def test_undos_are_kept_in_the_record_as_data() -> None:
    """They survive whatever the record survives."""
    trace = run(turning(*BOTH, Persist(1)), begin(plan()))

    record = trace.records[ROOT]
    assert [each["data"]["name"] for each in record.compensations] == ["first", "second", "third"]
    assert Record.from_dict(record.to_dict()) == record
    later = run(turning(), cancel(ROOT), records={ROOT: Record.from_dict(record.to_dict())})
    assert undone(later) == ["third", "second", "first"]


def test_a_cancelled_workflow_undoes_what_it_did_once() -> None:
    """Cancelled again, it has nothing left to undo."""
    trace = lived(plan("wait", undos=UNDOS), cancel(ROOT), cancel(ROOT, by="again"))

    assert undone(trace) == ["third", "second", "first"]
    assert trace.records[ROOT].compensations == ()


def test_every_cancelled_descendant_undoes_what_it_did() -> None:
    """Each knows its own."""
    child = plan("wait", undos=["child"])

    trace = lived(plan("wait", child, undos=["parent"]), cancel(ROOT))

    assert undone(trace) == ["parent", "child"]


def test_nothing_is_undone_after_a_completion() -> None:
    """What was done is meant to stay."""
    begun = run(turning((undo("first"), Complete({}))), begin(plan()))

    trace = run(turning(), cancel(ROOT), records=begun.records)

    assert undone(begun) == undone(trace) == []
    assert [commit.outcome for commit in trace.commits] == ["late"]


def test_an_undo_of_the_turn_that_fails_counts() -> None:
    """It stands beside the `Fail` for this; all else that the turn wanted is not carried out."""
    trace = run(turning((do("x"), undo("first"), Fail("as planned"))), begin(plan()))

    assert undone(trace) == ["first"]


def test_the_answer_to_an_undo_is_quiet_and_its_failure_is_not() -> None:
    """Nobody waits for the answer; but what could not be undone is an operator's business."""
    failed = run(turning((undo("well"), undo("failing"), Fail("as planned"))), begin(plan()))
    cancelled = lived(plan("wait", undos=["well", "failing"]), cancel(ROOT))

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
    ("wrong", "said"),
    [
        (Compensate({}), "expected that of one of"),
        (Compensate(Emit({}, type="com.unknown.one")), "type: expected one of"),
        (Compensate(Emit([], type=deed.type)), "expected a mapping"),
        (Compensate(Emit(nested(64), type=deed.type)), "undo.data.x.x"),
        (undo("x", to=5), "to: expected an encoded URI"),
        (undo("x", domain="Not A Domain"), "domain: expected"),
        (undo("x", extensions={"Not-One": 1}), "extensions.Not-One: expected"),
    ],
)
def test_an_undo_that_could_not_be_sent_is_refused_when_it_is_registered(
    wrong: Any, said: str
) -> None:
    """When it is due it would be too late to hear of it."""
    assert said in str(refused(turning(wrong), begin(plan())))


def test_an_undo_keeps_what_its_emit_says() -> None:
    """Where it goes, what it costs, and by whose right: as if it had been sent at once."""
    said: dict[str, Any] = {
        "to": "com.other.one",
        "domain": ("far", Domain.FROM_EVENT_CONTRACT),
        "redirectto": "com.other.two",
        "accesscontrol": "user:1",
        "executionunits": 0,
        "extensions": {"tenant": "t1"},
    }
    system = turning((undo("x", **said), do("y")), Fail("no"), executionunits=5)
    begun = committed(system, begin(plan()))
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


def test_a_workflow_may_be_what_undoes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Undoing may take its time, and it is a child like any other, however many there are."""
    monkeypatch.setattr("arvo.engine.step.build_commit.CHILDREN_KEPT_MAX", 0)
    refund = Compensate(Emit(plan("complete"), type=middle.type))
    system = System([turning((refund, Fail("no"))).handlers[0], family.handlers[1], deeds])

    trace = run(system, begin(plan()))

    (child,) = (record for record in trace.records.values() if record.subject != ROOT)
    assert (child.status, child.parent) == ("done", ROOT)
    assert [each.subject for each in trace.records[ROOT].children.values()] == [child.subject]
    assert [commit.outcome for commit in trace.commits] == ["failed", "handled", "late"]


def test_the_timer_of_a_workflow_that_failed_is_cleared() -> None:
    """Nothing of it fires any more; one that was under way already is nobody's loss."""
    system = turning((Schedule("t", after=5), do("x")), Fail("no"))
    begun = committed(system, begin(plan()))
    trace = run(system, begin(plan()))

    late = committed(system, begun.timers[0].event, trace.records[ROOT])

    assert [commit.cleared_timers for commit in trace.commits if commit.outcome == "failed"] == [
        (begun.timers[0].event.id,)
    ]
    assert late.outcome == "late"
