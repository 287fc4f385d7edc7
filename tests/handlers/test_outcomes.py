"""Outcomes: workflows that complete with one of several payloads."""

from typing import Any

import pytest
from attrs import frozen

from arvo import (
    Complete,
    Contract,
    Event,
    Flow,
    Machine,
    Orchestrator,
    OrchestratorContract,
    Resumable,
    System,
    Turn,
    Violated,
    Workflow,
    call_workflow,
    flow,
    run,
    workflow,
)
from arvo.statechart import State


@frozen
class AskLoan:
    amount: int


@frozen
class Approved:
    by: str


@frozen
class Rejected:
    reason: str


@frozen
class Notified:
    text: str


Outcome = Approved | Rejected

loan = OrchestratorContract(
    uri="#/loan",
    name="loan.approve",
    versions={"1.0.0": Workflow(init=AskLoan, complete=(Approved, Rejected))},
)


def answer_of(system: System, event: Event[Any]) -> Event[Any]:
    answer = run(system, event).answer
    assert answer is not None
    return answer


def decide(amount: int) -> Outcome:
    return Approved("ann") if amount < 100 else Rejected("too much")


@flow(loan, "1.0.0")
def as_flow(event: Event[AskLoan]) -> Flow[Outcome]:
    yield from ()
    return decide(event.data.amount)


def turn(turn: Turn[None]) -> Complete:
    assert isinstance(turn.event.data, AskLoan)
    return Complete(decide(turn.event.data.amount))


as_resumable = Resumable(loan, {"1.0.0": turn}, state=None)
as_chart = Orchestrator(
    [
        Machine(
            contract=loan["1.0.0"],
            services=[],
            initial="done",
            states={"done": State(type="final")},
            context=lambda event: {"amount": event.data.amount},
            output=lambda context, _: (
                {"by": "ann"} if context["amount"] < 100 else {"reason": "too much"}
            ),
        )
    ]
)


@workflow("loan.tell", services=[loan["1.0.0"]])
def tell(request: AskLoan) -> Flow[Notified]:
    match (yield from call_workflow(loan["1.0.0"], request)):
        case Approved(by=by):
            return Notified(by)
        case Rejected(reason=reason):
            return Notified(reason)


@workflow("loan.approve")
def as_function(request: AskLoan) -> Flow[Approved | Rejected]:
    yield from ()
    return decide(request.amount)


@pytest.mark.parametrize("handler", [as_flow, as_resumable, as_chart])
@pytest.mark.parametrize("amount", [1, 1_000])
def test_a_workflow_completes_with_the_payload_of_its_outcome(handler: Any, amount: int) -> None:
    """A declined loan is an outcome and no failure: the caller gets it as a payload."""
    system = System([handler, tell])

    done = answer_of(system, loan["1.0.0"].init(AskLoan(amount), source="com.bank.web"))
    assert (done.type, done.data) == ("arvo.orc.loan.approve.done", decide(amount))
    answered = answer_of(system, tell["1.0.0"].init(AskLoan(amount), source="com.bank.web"))
    assert answered.data == Notified("ann" if amount < 100 else "too much")


def test_a_function_declares_its_outcomes_by_its_annotation() -> None:
    assert as_function["1.0.0"].completed == loan["1.0.0"].completed
    event = as_function["1.0.0"].init(AskLoan(1_000), source="com.bank.web")
    assert answer_of(System([as_function]), event).data == Rejected("too much")


def test_a_contract_with_outcomes_is_read_back_from_its_json_schema() -> None:
    """Clients in other languages get the alternatives, and their answers are the same events."""
    read = Contract.from_json_schema(loan.json_schema())

    assert read.json_schema() == loan.json_schema()
    completed = read["1.0.0"].emitted["arvo.orc.loan.approve.done"]
    assert completed.read({"reason": "no"}) == {"reason": "no"}


def test_a_payload_of_no_outcome_is_a_violation() -> None:
    @flow(loan, "1.0.0")
    def wrong(event: Event[AskLoan]) -> Flow[Any]:
        yield from ()
        return Notified("?")

    trace = run(System([wrong]), loan["1.0.0"].init(AskLoan(1), source="com.bank.web"))

    assert trace.answers == ()
    [violation] = trace.violations
    expected = "expected Approved or Rejected, or `return fail(reason)` to fail, got Notified("
    assert expected in str(violation)


@frozen
class AlsoApproved:
    by: str


@pytest.mark.parametrize("kind", [Approved | AlsoApproved, (Approved, AlsoApproved)])
def test_outcomes_that_no_reader_can_tell_apart_are_refused(kind: Any) -> None:
    with pytest.raises(Violated, match=r"versions\.1\.0\.0\.complete.*a Literal of its own"):
        OrchestratorContract(
            uri="#/loan",
            name="loan.approve",
            versions={"1.0.0": Workflow(init=AskLoan, complete=kind)},
        )


def test_a_request_is_of_one_class() -> None:
    with pytest.raises(Violated, match=r"versions\.1\.0\.0\.init: expected a payload class"):
        OrchestratorContract(
            uri="#/loan",
            name="loan.approve",
            versions={"1.0.0": Workflow(init=Approved | Rejected, complete=Notified)},  # type: ignore[arg-type]
        )
