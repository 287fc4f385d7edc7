"""Service and workflow: contracts and handlers from annotated functions."""

from collections.abc import Callable
from typing import Any

import pytest
from attrs import frozen
from returns.result import Failure, Result, Success

from arvo import (
    Contract,
    Effects,
    Emit,
    Event,
    EventHandler,
    Fail,
    Flow,
    OrchestratorContract,
    Resumable,
    System,
    Version,
    Violated,
    Workflow,
    ask,
    call,
    call_workflow,
    run,
    service,
    workflow,
)
from arvo.testing import check_handler, check_workflow


@frozen
class CheckCredit:
    name: str


@frozen
class CreditScored:
    score: int


@frozen
class CreditUnknown:
    name: str


@frozen
class LoanRequest:
    name: str
    amount: int


@frozen
class Decided:
    text: str


@service("com.credit.check")
def check(request: CheckCredit) -> CreditScored | CreditUnknown:
    """Score a name by its length."""
    return CreditScored(len(request.name)) if request.name else CreditUnknown(request.name)


@workflow("loan.approve", services=[check])
def approve(request: LoanRequest) -> Flow[Decided]:
    scored = yield from ask(check, CheckCredit(request.name))
    return Decided("unknown" if isinstance(scored, CreditUnknown) else str(scored.score))


@workflow("loan.review", services=[approve])
def review(request: LoanRequest) -> Flow[Decided]:
    decided = yield from call_workflow(approve, request)
    return Decided(f"child: {decided.text}")


CHECK = Contract(
    uri="#/com/credit/check",
    description="Score a name by its length.",
    type="com.credit.check",
    versions={
        "1.0.0": Version(
            accepts=CheckCredit,
            emits={
                "evt.com.credit.check.credit.scored": CreditScored,
                "evt.com.credit.check.credit.unknown": CreditUnknown,
            },
        )
    },
)
APPROVE = OrchestratorContract(
    uri="#/arvo/orc/loan/approve",
    name="loan.approve",
    versions={"1.0.0": Workflow(init=LoanRequest, complete=Decided)},
)


def answer(system: System, event: Event[Any]) -> Event[Any]:
    [answer] = run(system, event).answers
    return answer


def answer_of(handler: EventHandler[Any], payload: object) -> Event[Any]:
    event = handler.contract["1.0.0"].accepts(payload, source="com.bank.web")
    return answer(System([handler]), event)


def test_a_decorated_function_has_the_contract_that_its_annotations_say() -> None:
    """Its docstring is the description."""
    assert check.contract == CHECK
    assert approve.contract == APPROVE


def test_a_decorated_function_is_called_as_before() -> None:
    assert check(CheckCredit("ann")) == CreditScored(3)
    assert next(approve(LoanRequest("ann", 1))) is not None


def test_it_is_a_handler_of_a_system() -> None:
    assert answer_of(check, CheckCredit("ann")).data == CreditScored(3)
    assert answer_of(check, CheckCredit("")).type == "evt.com.credit.check.credit.unknown"


def test_a_flow_asks_a_decorated_function() -> None:
    event = approve["1.0.0"].init(LoanRequest("ann", 1), source="com.bank.web")
    assert answer(System([check, approve]), event).data == Decided("3")


def test_a_flow_starts_a_decorated_workflow_as_its_child_or_runs_it_as_a_part() -> None:
    @workflow("loan.part", services=[check])
    def part(request: LoanRequest) -> Flow[Decided]:
        return (yield from approve(request))

    system = System([check, approve, review, part])
    event = review["1.0.0"].init(LoanRequest("ann", 1), source="com.bank.web")
    assert answer(system, event).data == Decided("child: 3")
    event = part["1.0.0"].init(LoanRequest("ann", 1), source="com.bank.web")
    assert answer(system, event).data == Decided("3")


def test_every_kind_of_workflow_lists_decorated_functions() -> None:
    handler = Resumable(APPROVE, {"1.0.0": lambda turn: Emit(CheckCredit("ann"))}, services=[check])
    assert handler.services_of("1.0.0") == (check["1.0.0"],)


def test_the_laws_hold_for_decorated_functions() -> None:
    assert check_handler(check).tried
    assert check_workflow(approve).tried


def lookup(name: str) -> int:
    return len(name)


def test_a_function_with_effects_returns_the_payload_at_its_end() -> None:
    @service("com.credit.fetch")
    def fetch(request: CheckCredit) -> Effects[CreditScored]:
        return CreditScored((yield from call(lookup, request.name)))

    event = fetch["1.0.0"].accepts(CheckCredit("ann"), source="com.bank.web")
    [answered] = run(System([fetch]), event, effects={lookup: lookup}).answers
    assert answered.data == CreditScored(3)


def test_the_failure_of_a_result_is_a_system_error() -> None:
    @service("com.credit.read")
    def read(request: CheckCredit) -> Result[CreditScored, Fail]:
        return Success(CreditScored(1)) if request.name else Failure(Fail("no name"))

    assert answer_of(read, CheckCredit("ann")).data == CreditScored(1)
    assert answer_of(read, CheckCredit("")).type == "sys.com.credit.read.error"


def test_a_function_that_answers_nothing() -> None:
    seen: list[str] = []

    @service("com.credit.note")
    def note(request: CheckCredit) -> None:
        seen.append(request.name)

    event = note["1.0.0"].accepts(CheckCredit("ann"), source="com.bank.web")
    assert run(System([note]), event).answers == ()
    assert seen == ["ann"]
    assert note["1.0.0"].emitted == {}


def test_an_event_type_can_be_named() -> None:
    @service("com.credit.check", emits={"evt.credit.done": CreditScored})
    def named(request: CheckCredit) -> CreditScored | CreditUnknown:
        return CreditScored(1)

    assert set(named["1.0.0"].emitted) == {
        "evt.credit.done",
        "evt.com.credit.check.credit.unknown",
    }


def test_versions_stand_side_by_side() -> None:
    @service("com.credit.check", "2.0.0", earlier=check)
    def newer(request: LoanRequest) -> CreditScored:
        return CreditScored(request.amount)

    @workflow("loan.approve", "2.0.0", services=[newer], earlier=approve)
    def approve_newer(request: LoanRequest) -> Flow[Decided]:
        scored = yield from ask(newer, request)
        return Decided(f"new {scored.score}")

    system = System([newer, approve_newer])
    assert newer["1.0.0"] == check["1.0.0"]
    old = approve["1.0.0"].init(LoanRequest("ann", 7), source="com.bank.web")
    new = approve_newer["2.0.0"].init(LoanRequest("ann", 7), source="com.bank.web")
    assert answer(system, old).data == Decided("3")
    assert answer(system, new).data == Decided("new 7")


def test_a_version_that_is_there_is_refused() -> None:
    with pytest.raises(Violated, match=r"version: expected a version of its own, got 1\.0\.0"):
        service("com.credit.check", earlier=check)(check.function)


async def asynchronous(request: CheckCredit) -> CreditScored:
    return CreditScored(1)


def no_annotation(request):  # type: ignore[no-untyped-def]
    return CreditScored(1)


def no_result(request: CheckCredit):  # type: ignore[no-untyped-def]
    return CreditScored(1)


def no_class(request: "list[str]") -> CreditScored:
    return CreditScored(1)


def two_parameters(request: CheckCredit, other: int) -> CreditScored:
    return CreditScored(1)


def no_parameter() -> CreditScored:
    return CreditScored(1)


def unknown_name(request: "Nowhere") -> CreditScored:  # type: ignore[name-defined]  # noqa: F821
    return CreditScored(1)


def not_frozen(request: int) -> CreditScored:
    return CreditScored(1)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (asynchronous, "asynchronous: expected a plain function, with I/O by `call`"),
        (no_annotation, r"no_annotation\(request\): expected a payload class, got no annotation"),
        (no_result, "no_result ->: expected payload classes.*got no annotation"),
        (no_class, r"no_class\(request\): expected a payload class, got list\[str\]"),
        (two_parameters, r"two_parameters: expected one parameter.*got \(request, other\)"),
        (no_parameter, r"no_parameter: expected one parameter.*got \(\)"),
        (unknown_name, "unknown_name: expected annotations with names of the module.*Nowhere"),
        (
            not_frozen,
            r"versions\.1\.0\.0\.accepts: expected a payload class or a JSON Schema, got int",
        ),
    ],
)
@pytest.mark.parametrize("decorator", [service("com.credit.check"), workflow("credit.check")])
def test_a_function_that_names_no_payloads_is_refused(
    decorator: Callable[[Any], Any], function: Any, message: str
) -> None:
    with pytest.raises(Violated, match=message.replace("accepts", "(accepts|init)")):
        decorator(function)


def test_a_class_that_the_function_does_not_return_is_refused() -> None:
    with pytest.raises(Violated, match=r"emits\.evt\.credit\.done: expected a class that the func"):
        service("com.credit.check", emits={"evt.credit.done": LoanRequest})(check.function)


def test_asking_for_something_else_names_what_is_accepted() -> None:
    @workflow("loan.wrong", services=[check])
    def wrong(request: LoanRequest) -> Flow[Decided]:
        yield from ask(check, request)  # type: ignore[misc]
        return Decided("never")

    event = wrong["1.0.0"].init(LoanRequest("ann", 1), source="com.bank.web")
    [violation] = run(System([check, wrong]), event).violations
    assert "ask: expected the service and its CheckCredit" in str(violation)


def test_asking_a_function_that_answers_nothing_is_refused() -> None:
    @service("com.credit.note")
    def note(request: CheckCredit) -> None:
        return None

    @workflow("loan.wait", services=[note])
    def wait(request: LoanRequest) -> Flow[Decided]:
        yield from ask(note, CheckCredit("ann"))
        return Decided("never")

    event = wait["1.0.0"].init(LoanRequest("ann", 1), source="com.bank.web")
    [violation] = run(System([note, wait]), event).violations
    assert "a service that answers; tell() waits for no reply" in str(violation)


def answers_nothing(request: CheckCredit) -> CreditScored | CreditUnknown:
    if request.name == "ann":
        return CreditScored(1)
    return None  # type: ignore[return-value]


def answers_nothing_at_its_end(request: CheckCredit) -> Effects[CreditScored]:
    yield from call(len, request.name)
    return None  # type: ignore[return-value]


def answers_nothing_in_a_result(request: CheckCredit) -> Result[CreditScored, Fail]:
    return Success(None)  # type: ignore[arg-type]


def answers_a_fail(request: CheckCredit) -> CreditScored:
    return Fail("no such customer")  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (answers_nothing, "CreditScored or CreditUnknown, or `| None` in the annotation"),
        (answers_nothing_at_its_end, "CreditScored, or `| None` in the annotation"),
        (answers_nothing_in_a_result, "CreditScored, or `| None` in the annotation"),
        (answers_a_fail, "CreditScored, or an exception, or a `Result` with a `Fail`, to fail"),
    ],
)
def test_an_answer_that_is_forgotten_is_a_violation_with_its_function_and_line(
    function: Any, expected: str
) -> None:
    """The workflow that asked would wait for good, without a word in any log."""
    made = service("com.credit.forgets")(function)
    event = made["1.0.0"].accepts(CheckCredit("bob"), source="com.bank.web")

    trace = run(System([made]), event, effects={len: len})

    [violation] = trace.violations
    place = f"{function.__name__} at test_service.py:{function.__code__.co_firstlineno}"
    assert f"return of {place}: expected {expected}" in str(violation)


def test_an_annotation_with_none_lets_a_service_answer_nothing() -> None:
    def maybe(request: CheckCredit) -> CreditScored | None:
        return None

    def never(request: CheckCredit) -> None:
        return None

    for function in (maybe, never):
        made = service("com.credit.silent")(function)
        event = made["1.0.0"].accepts(CheckCredit("bob"), source="com.bank.web")
        trace = run(System([made]), event)
        assert (trace.answers, trace.violations) == ((), ())
