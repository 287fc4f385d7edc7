"""Build commit: the commands of a handler become a commit."""

from typing import Any

import pytest
from returns.result import Failure

from arvo import (
    Cancel,
    Compensate,
    Complete,
    Domain,
    Emit,
    Event,
    EventHandler,
    ExecutionViolation,
    Fail,
    Flow,
    HandlerDomains,
    Issue,
    Log,
    OrchestratorContract,
    Persist,
    Record,
    Resumable,
    Schedule,
    Subject,
    System,
    Turn,
    Violate,
    Workflow,
    WorkflowDomains,
    ask,
    fail,
    flow,
    step,
    tell,
)
from tests.shop import (
    NOW,
    SERVICES,
    WEB,
    CardCharged,
    ChargeCard,
    OrderFulfilled,
    PlaceOrder,
    charge,
    charge_request,
    expect_commit,
    expect_violation,
    make_workflow,
    order,
    order_request,
    payment_handler,
    reply_to,
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
def test_an_event_handler_cannot_return_the_commands_of_workflows(command: Any) -> None:
    """It has no record, no timers and no completion."""
    violation = expect_violation(System([payment_handler(lambda _: command)]), charge_request())

    assert isinstance(violation, ExecutionViolation)
    assert "only a workflow can return the other commands" in str(violation)
    assert f"got {type(command).__name__}" in str(violation)


def test_a_failure_after_an_emission_sends_only_the_failure() -> None:
    """Half of the work must not leave the handler; logs do."""
    commands = [Emit(CardCharged("r")), Log("info", "half"), Fail("no")]

    commit = expect_commit(System([payment_handler(lambda _: commands)]), charge_request())

    assert [event.type for event in commit.events] == ["sys.com.payment.charge.error"]
    assert commit.logs == (Log("info", "half"),)


def test_the_outcome_of_a_commit_shows_whether_its_handler_failed() -> None:
    """Metrics count by outcome."""
    handled = expect_commit(
        System([payment_handler(lambda _: Emit(CardCharged("r")))]), charge_request()
    )
    failed = expect_commit(System([payment_handler(lambda _: Fail("no"))]), charge_request())

    assert (handled.outcome, failed.outcome) == ("handled", "failed")


def test_a_handler_refuses_an_event_by_returning_a_violation() -> None:
    """Its other commands are dropped."""
    broken = ExecutionViolation("not now", Issue("data", "something else", "this"))
    commands = [Emit(CardCharged("r")), Violate(broken)]

    assert (
        expect_violation(System([payment_handler(lambda _: commands)]), charge_request()) == broken
    )


def test_the_number_of_pending_requests_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A record stays small; the last request within the limit is still sent."""
    monkeypatch.setattr("arvo.engine.step.build_commit.PENDING_REQUESTS_MAX", 2)
    asks = [Emit(ChargeCard("o1", amount)) for amount in range(3)]

    assert (
        len(expect_commit(System([make_workflow(lambda _: asks[:2])]), order_request()).events) == 2
    )
    violation = expect_violation(System([make_workflow(lambda _: asks)]), order_request())
    assert isinstance(violation, ExecutionViolation)
    assert "pending_requests: expected at most 2 requests, got 3" in str(violation)


def test_the_number_of_compensations_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A record stays small."""
    monkeypatch.setattr("arvo.engine.step.apply_commands.COMPENSATIONS_MAX", 2)
    compensations = [Compensate(Emit(ChargeCard("o1", amount))) for amount in range(3)]

    assert (
        expect_commit(System([make_workflow(lambda _: compensations[:2])]), order_request()).outcome
        == "handled"
    )
    violation = expect_violation(System([make_workflow(lambda _: compensations)]), order_request())
    assert isinstance(violation, ExecutionViolation)
    assert "compensate: expected at most 2 compensations, got 3" in str(violation)


@pytest.mark.parametrize(("names", "refuses"), [("ab", False), ("b", False), ("bc", True)])
def test_the_number_of_pending_timers_of_all_turns_is_bounded(
    names: str, refuses: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rescheduled timer counts once."""
    monkeypatch.setattr("arvo.engine.step.apply_commands.TIMERS_MAX", 2)

    def function(turn: Turn[Any]) -> Any:
        scheduled = "ab" if turn.record is None else names
        return [Emit(ChargeCard("o1", 1)), *(Schedule(name, after=5) for name in scheduled)]

    system = System([make_workflow(function)])
    begun = expect_commit(system, order_request())
    answer = reply_to(begun.events[0], CardCharged("r"))

    stepped = step(system, answer, begun.record, now=NOW)

    assert isinstance(stepped, Failure) is refuses
    assert ("schedule: expected at most 2 timers, got 3" in str(stepped)) is refuses


@pytest.mark.promise("I5")
def test_one_bad_emission_refuses_the_whole_step() -> None:
    """I5: a step is all or nothing."""
    commands = [Emit(CardCharged("r")), Emit({"receipt": 1}, type="evt.payment.charged")]

    assert "data.receipt" in str(
        expect_violation(System([payment_handler(lambda _: commands)]), charge_request())
    )


def test_a_system_error_goes_to_every_resolved_domain_once() -> None:
    """Two rules that give the same domain make one event."""
    handler = EventHandler(
        charge,
        {"1.0.0": lambda _: Fail("no")},
        domains=HandlerDomains(system_error=("us", None, Domain.FROM_CURRENT_SUBJECT, "eu")),
    )

    commit = expect_commit(System([handler]), charge_request(subject=IN_EU))

    assert [event.domain for event in commit.events] == ["us", None, "eu"]
    assert len({event.id for event in commit.events}) == 3


def test_the_reason_of_a_failure_is_cut_to_the_maximum_length() -> None:
    """A reason may quote its whole input."""
    commit = expect_commit(
        System([payment_handler(lambda _: Fail("x" * 100_000 + "\ud800"))]), charge_request()
    )

    assert commit.events[0].data.message == "x" * 4096
    wrong: Any = 5
    assert "data.errorMessage: expected a string, got 5" in str(
        expect_violation(System([payment_handler(lambda _: Fail(wrong))]), charge_request())
    )


def test_extensions_of_a_command_are_on_the_event() -> None:
    """The author sets them for brokers and tools outside the system."""
    emit = Emit(CardCharged("r"), extensions={"tenant": "t1"}, executionunits=2.5)

    (event,) = expect_commit(System([payment_handler(lambda _: emit)]), charge_request()).events

    assert (event.extensions, event.executionunits) == ({"tenant": "t1"}, 2.5)


child = OrchestratorContract(
    uri="#/orchestrators/refund",
    name="order.refund",
    versions={"1.0.0": Workflow(init=PlaceOrder, complete=OrderFulfilled)},
)


def starting(payload: Any, **options: Any) -> Resumable[Any]:
    return Resumable(
        order,
        {"1.0.0": lambda _: Emit(payload, type="arvo.orc.order.refund", **options)},
        services=[child["1.0.0"]],
    )


def test_a_child_workflow_gets_a_subject_of_its_own() -> None:
    """B21, B22: it is derived from the cause, and its completion goes to the starter."""
    system = System([starting(PlaceOrder("o1"))])

    (event,) = expect_commit(system, order_request()).events

    subject = Subject.parse(event.subject)
    assert subject.orchestrator.name == "arvo.orc.order.refund"
    assert subject.answers_to == "arvo.orc.order.fulfil"
    assert subject.orchestrator.version == "1.0.0"
    assert event.raw["parentSubject$$"] == order_request().subject
    assert expect_commit(system, order_request()).events == (event,)


def test_a_child_in_two_domains_is_two_runs() -> None:
    """B33: with one id, the second event would be dropped as a duplicate of the first."""
    events = expect_commit(
        System([starting(PlaceOrder("o1"), domain=("eu", "us"))]), order_request()
    ).events

    assert [Subject.parse(event.subject).execution.domain for event in events] == ["eu", "us"]
    assert len({event.subject for event in events}) == len({event.id for event in events}) == 2


def test_the_oldest_finished_children_are_dropped_and_open_ones_never(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A workflow that starts one child a day forever must not grow with each."""
    monkeypatch.setattr("arvo.engine.step.pending.CHILDREN_MAX", 3)
    begin = Emit(PlaceOrder("o1"), type=child.type)

    def function(turn: Turn[Any]) -> Any:
        return [begin, begin] if turn.input else begin

    system = System([Resumable(order, {"1.0.0": function}, services=[child["1.0.0"]])])
    turns = [expect_commit(system, order_request())]
    begun = [event.id for event in turns[0].events]
    for turn in range(2):
        completion = child["1.0.0"].complete(
            OrderFulfilled("t"),
            source=child.type,
            subject=order_request().subject,
            to=order.type,
            parentid=begun[-1],
            id=f"d{turn}",
        )
        turns.append(expect_commit(system, completion, turns[-1].record))
        begun += [event.id for event in turns[-1].events]

    children = [list(turn.record.children) for turn in turns if turn.record is not None]
    waits, first, second, third = begun
    assert children == [[waits, first], [waits, first, second], [waits, second, third]]


def test_a_timer_that_has_fired_is_no_longer_pending() -> None:
    """Otherwise a backend would set it again, and it would fire twice."""
    system = System([make_workflow(lambda turn: Schedule("t", after=0) if turn.input else None)])
    begun = expect_commit(system, order_request())
    assert begun.record is not None

    fired = expect_commit(system, begun.timers[0].event, begun.record)

    assert list(begun.record.timers) == ["t"]
    assert fired.record is not None
    assert (fired.record.timers, fired.cleared_timers) == ({}, ())


def test_a_turn_that_ends_a_workflow_sets_no_timer() -> None:
    """No turn would handle it."""
    commands = [Schedule("t", after=5), Complete(OrderFulfilled("t"))]

    done = expect_commit(System([make_workflow(lambda _: commands)]), order_request())

    assert done.record is not None
    assert (done.timers, done.record.timers, done.cleared_timers) == ((), {}, ())


@pytest.mark.promise("I9")
def test_a_failed_turn_leaves_requests_and_timers_unchanged() -> None:
    """I9: an operator may revive the workflow, which continues from its last good turn."""

    def function(turn: Turn[Any]) -> Any:
        if turn.input:
            return [Emit(ChargeCard("o1", 1.0)), Schedule("t", after=5)]
        return [Cancel("t"), Schedule("other", after=5), Fail("no")]

    system = System([make_workflow(function)])
    begun = expect_commit(system, order_request())
    assert begun.record is not None

    failed = expect_commit(system, reply_to(begun.events[0], CardCharged("r")), begun.record)

    assert failed.record is not None
    assert (failed.record.timers, failed.record.pending_requests) == (
        begun.record.timers,
        begun.record.pending_requests,
    )
    assert (failed.timers, failed.cleared_timers) == ((), (begun.record.timers["t"].id,))


def test_a_redirect_that_cannot_be_encoded_is_refused() -> None:
    """It would be part of the child's subject."""
    violation = expect_violation(
        System([starting(PlaceOrder("o1"), redirectto="x\ud800")]), order_request()
    )

    assert "subject.meta.redirectto: expected a string, got" in str(violation)


def test_the_requests_of_a_workflow_go_to_its_service_domains() -> None:
    """An author sets the domains once for the workflow, not in each command."""
    outside = Resumable(
        order,
        {"1.0.0": lambda _: Emit(ChargeCard("o", 1.0))},
        services=SERVICES,
        domains=WorkflowDomains(services="human"),
    )

    assert expect_commit(System([outside]), order_request()).events[0].domain == "human"
    inside = System([make_workflow(lambda _: Emit(ChargeCard("o", 1.0)))])
    assert expect_commit(inside, order_request()).events[0].domain is None


def test_a_failure_states_its_own_cost() -> None:
    """A refused request may cost less, or more, than an answered one."""

    @flow(order, "1.0.0")
    def fulfil(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
        yield from ()
        return fail("no", executionunits=3.5)

    def turn(_: Turn[Any]) -> Fail:
        return Fail("no", executionunits=3.5)

    systems = System([make_workflow(turn)]), System([fulfil])
    requests = [expect_commit(system, order_request()) for system in systems]
    handler = EventHandler(charge, {"1.0.0": lambda _: Fail("no")}, executionunits=2)
    dear = payment_handler(lambda _: Fail("no", executionunits=3.5))

    assert [commit.events[0].executionunits for commit in requests] == [3.5, 3.5]
    assert expect_commit(System([dear]), charge_request()).events[0].executionunits == 3.5
    assert expect_commit(System([handler]), charge_request()).events[0].executionunits == 2


def test_of_what_a_flow_tells_the_last_stay_in_its_record(monkeypatch: pytest.MonkeyPatch) -> None:
    """It may tell something each hour for years, and a reply to it still belongs to it."""
    monkeypatch.setattr("arvo.engine.step.pending.ANSWERED_REQUESTS_MAX", 2)

    @flow(order, "1.0.0", services=SERVICES)
    def tells(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
        for amount in range(3):
            yield from tell(ChargeCard("o1", amount))
        paid = yield from ask(ChargeCard("o1", 4), CardCharged)
        return OrderFulfilled(paid.receipt)

    commit = expect_commit(System([tells]), order_request())

    *events, asked = [event.id for event in commit.events]
    assert commit.record is not None
    assert commit.record.open_requests == (asked,)
    assert list(commit.record.pending_requests) == [*events[1:], asked]
    assert Record.from_dict(commit.record.to_dict()) == commit.record
    reply = expect_commit(
        System([tells]), reply_to(commit.events[1], CardCharged("r")), commit.record
    )
    assert (reply.outcome, reply.events) == ("handled", ())
