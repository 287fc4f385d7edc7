"""Seal: what a handler wants becomes a commit."""

from typing import Any

import pytest
from returns.result import Failure

from arvo import (
    Cancel,
    Compensate,
    Complete,
    Domain,
    Emit,
    EventHandler,
    ExecutionViolation,
    Fail,
    HandlerDomains,
    Issue,
    Log,
    OrchestratorContract,
    Persist,
    Resumable,
    Schedule,
    Subject,
    System,
    Turn,
    Violate,
    Workflow,
    WorkflowDomains,
    step,
)
from tests.shop import (
    NOW,
    SERVICES,
    WEB,
    CardCharged,
    ChargeCard,
    OrderFulfilled,
    PlaceOrder,
    answering,
    charge,
    charging,
    committed,
    order,
    paying,
    placing,
    refused,
    workflow,
)

IN_EU = str(Subject.new("com.payment.charge", "1.0.0", initiator=WEB, domain="eu", id="1"))


@pytest.mark.parametrize(
    "command",
    [
        Persist(1),
        Complete(CardCharged("r")),
        Schedule("t", after=1),
        Cancel("t"),
        Compensate(CardCharged("r")),
    ],
)
def test_a_handler_without_memory_cannot_remember_or_complete(command: Any) -> None:
    """Design section 4: the commands have their owners."""
    violation = refused(System([paying(lambda _: command)]), charging())

    assert isinstance(violation, ExecutionViolation)
    assert "only a workflow remembers, completes, waits and undoes" in str(violation)
    assert f"got {type(command).__name__}" in str(violation)


def test_nothing_is_sent_of_half_the_work() -> None:
    """F098: a failure after an emission."""
    commands = [Emit(CardCharged("r")), Log("info", "half"), Fail("no")]

    commit = committed(System([paying(lambda _: commands)]), charging())

    assert [event.type for event in commit.events] == ["sys.com.payment.charge.error"]
    assert commit.logs == (Log("info", "half"),)


def test_a_commit_says_whether_its_handler_failed() -> None:
    """Metrics count by it."""
    well = committed(System([paying(lambda _: Emit(CardCharged("r")))]), charging())
    failed = committed(System([paying(lambda _: Fail("no"))]), charging())

    assert (well.outcome, failed.outcome) == ("handled", "failed")


def test_a_handler_refuses_an_event_by_a_violation_of_its_own() -> None:
    """Whatever else it wanted is not sent."""
    broken = ExecutionViolation("not now", Issue("data", "something else", "this"))
    commands = [Emit(CardCharged("r")), Violate(broken)]

    assert refused(System([paying(lambda _: commands)]), charging()) == broken


def test_only_so_many_replies_are_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A record stays small; the last request that fits is still sent."""
    monkeypatch.setattr("arvo.engine.step.build_commit.AWAITED_MAX", 2)
    asks = [Emit(ChargeCard("o1", amount)) for amount in range(3)]

    assert len(committed(System([workflow(lambda _: asks[:2])]), placing()).events) == 2
    violation = refused(System([workflow(lambda _: asks)]), placing())
    assert isinstance(violation, ExecutionViolation)
    assert "awaited: expected at most 2 requests, got 3" in str(violation)


def test_only_so_much_is_undone(monkeypatch: pytest.MonkeyPatch) -> None:
    """As above: a record stays small."""
    monkeypatch.setattr("arvo.engine.step.apply_commands.UNDOS_MAX", 2)
    undos = [Compensate(Emit(ChargeCard("o1", amount))) for amount in range(3)]

    assert committed(System([workflow(lambda _: undos[:2])]), placing()).outcome == "handled"
    violation = refused(System([workflow(lambda _: undos)]), placing())
    assert isinstance(violation, ExecutionViolation)
    assert "undo: expected at most 2 undos, got 3" in str(violation)


@pytest.mark.parametrize(("names", "refuses"), [("ab", False), ("b", False), ("bc", True)])
def test_only_so_many_timers_wait_those_of_earlier_turns_among_them(
    names: str, refuses: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that is set anew counts once."""
    monkeypatch.setattr("arvo.engine.step.apply_commands.TIMERS_MAX", 2)

    def function(turn: Turn[Any]) -> Any:
        set_now = "ab" if turn.record is None else names
        return [Emit(ChargeCard("o1", 1)), *(Schedule(name, after=5) for name in set_now)]

    system = System([workflow(function)])
    begun = committed(system, placing())
    answer = answering(begun.events[0], CardCharged("r"))

    stepped = step(system, answer, begun.record, now=NOW)

    assert isinstance(stepped, Failure) is refuses
    assert ("schedule: expected at most 2 timers, got 3" in str(stepped)) is refuses


def test_one_bad_emission_refuses_the_whole_step() -> None:
    """F096, I5: all or nothing."""
    commands = [Emit(CardCharged("r")), Emit({"receipt": 1}, type="evt.payment.charged")]

    assert "data.receipt" in str(refused(System([paying(lambda _: commands)]), charging()))


def test_a_system_error_goes_to_every_resolved_domain_once() -> None:
    """F105."""
    handler = EventHandler(
        charge,
        {"1.0.0": lambda _: Fail("no")},
        domains=HandlerDomains(system_error=("us", None, Domain.FROM_CURRENT_SUBJECT, "eu")),
    )

    commit = committed(System([handler]), charging(subject=IN_EU))

    assert [event.domain for event in commit.events] == ["us", None, "eu"]
    assert len({event.id for event in commit.events}) == 3


def test_what_a_reason_says_is_cut_to_what_can_be_sent() -> None:
    """Everything is bounded; a reason may quote its whole input."""
    commit = committed(System([paying(lambda _: Fail("x" * 100_000 + "\ud800"))]), charging())

    assert commit.events[0].data.message == "x" * 4096
    wrong: Any = 5
    assert "data.errorMessage: expected a string, got 5" in str(
        refused(System([paying(lambda _: Fail(wrong))]), charging())
    )


def test_extensions_of_a_command_are_on_the_event() -> None:
    """F093."""
    emit = Emit(CardCharged("r"), extensions={"tenant": "t1"}, executionunits=2.5)

    (event,) = committed(System([paying(lambda _: emit)]), charging()).events

    assert (event.extensions, event.executionunits) == ({"tenant": "t1"}, 2.5)


child = OrchestratorContract(
    uri="#/orchestrators/refund",
    name="order.refund",
    versions={"1.0.0": Workflow(init=PlaceOrder, complete=OrderFulfilled)},
)


def begins(payload: Any, **said: Any) -> Resumable[Any]:
    return Resumable(
        order,
        {"1.0.0": lambda _: Emit(payload, type="arvo.orc.order.refund", **said)},
        services=[child["1.0.0"]],
    )


def test_a_child_workflow_gets_a_subject_of_its_own() -> None:
    """B21, B22, F128: it follows from its cause, and its completion comes back."""
    system = System([begins(PlaceOrder("o1"))])

    (event,) = committed(system, placing()).events

    subject = Subject.parse(event.subject)
    assert subject.orchestrator.name == "arvo.orc.order.refund"
    assert subject.answers_to == "arvo.orc.order.fulfil"
    assert subject.orchestrator.version == "1.0.0"
    assert event.raw["parentSubject$$"] == placing().subject
    assert committed(system, placing()).events == (event,)


def test_a_child_in_two_domains_is_two_runs() -> None:
    """B33: two subjects, two ids."""
    events = committed(System([begins(PlaceOrder("o1"), domain=("eu", "us"))]), placing()).events

    assert [Subject.parse(event.subject).execution.domain for event in events] == ["eu", "us"]
    assert len({event.subject for event in events}) == len({event.id for event in events}) == 2


def test_old_children_that_are_done_are_forgotten_and_open_ones_never(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A workflow that begins one a day for ever does not grow with each."""
    monkeypatch.setattr("arvo.engine.step.build_commit.CHILDREN_KEPT_MAX", 3)
    begin = Emit(PlaceOrder("o1"), type=child.type)

    def function(turn: Turn[Any]) -> Any:
        return [begin, begin] if turn.input else begin

    system = System([Resumable(order, {"1.0.0": function}, services=[child["1.0.0"]])])
    turns = [committed(system, placing())]
    begun = [each.id for each in turns[0].events]
    for turn in range(2):
        completion = child["1.0.0"].complete(
            OrderFulfilled("t"),
            source=child.type,
            subject=placing().subject,
            to=order.type,
            parentid=begun[-1],
            id=f"d{turn}",
        )
        turns.append(committed(system, completion, turns[-1].record))
        begun += [each.id for each in turns[-1].events]

    kept = [list(turn.record.children) for turn in turns if turn.record is not None]
    waits, first, second, third = begun
    assert kept == [[waits, first], [waits, first, second], [waits, second, third]]


def test_timers_that_have_fired_are_waited_for_no_more() -> None:
    """Set again, they would fire twice."""
    system = System([workflow(lambda turn: Schedule("t", after=0) if turn.input else None)])
    begun = committed(system, placing())
    assert begun.record is not None

    fired = committed(system, begun.timers[0].event, begun.record)

    assert list(begun.record.timers) == ["t"]
    assert fired.record is not None
    assert (fired.record.timers, fired.cleared_timers) == ({}, ())


def test_a_turn_that_ends_a_workflow_sets_no_timer() -> None:
    """Nobody would be there to hear it."""
    commands = [Schedule("t", after=5), Complete(OrderFulfilled("t"))]

    done = committed(System([workflow(lambda _: commands)]), placing())

    assert done.record is not None
    assert (done.timers, done.record.timers, done.cleared_timers) == ((), {}, ())


def test_a_turn_that_fails_leaves_what_was_waited_for() -> None:
    """I9: an operator may revive the workflow, and it goes on from its last good turn."""

    def function(turn: Turn[Any]) -> Any:
        if turn.input:
            return [Emit(ChargeCard("o1", 1.0)), Schedule("t", after=5)]
        return [Cancel("t"), Schedule("other", after=5), Fail("no")]

    system = System([workflow(function)])
    begun = committed(system, placing())
    assert begun.record is not None

    failed = committed(system, answering(begun.events[0], CardCharged("r")), begun.record)

    assert failed.record is not None
    assert (failed.record.timers, failed.record.pending_requests) == (
        begun.record.timers,
        begun.record.pending_requests,
    )
    assert (failed.timers, failed.cleared_timers) == ((), (begun.record.timers["t"].id,))


def test_a_redirect_that_no_encoding_takes_is_refused() -> None:
    """It would stand in a child's subject."""
    violation = refused(System([begins(PlaceOrder("o1"), redirectto="x\ud800")]), placing())

    assert "subject.meta.redirectto: expected a text" in str(violation)


def test_a_workflows_requests_go_where_its_domains_say() -> None:
    """F154."""
    outside = Resumable(
        order,
        {"1.0.0": lambda _: Emit(ChargeCard("o", 1.0))},
        services=SERVICES,
        domains=WorkflowDomains(services="human"),
    )

    assert committed(System([outside]), placing()).events[0].domain == "human"
    inside = System([workflow(lambda _: Emit(ChargeCard("o", 1.0)))])
    assert committed(inside, placing()).events[0].domain is None
