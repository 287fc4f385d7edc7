"""Types of decorated functions: checked by the type checker, never run."""

from typing import assert_type

from attrs import frozen
from returns.result import Failure, Result, Success

from arvo import (
    Effects,
    Event,
    EventHandler,
    Fail,
    Flow,
    Service,
    System,
    VersionedContract,
    VersionedWorkflow,
    WorkflowFunction,
    ask,
    call,
    call_workflow,
    service,
    workflow,
)


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
class Approved:
    by: str


@service("com.credit.check")
def check(request: CheckCredit) -> CreditScored | CreditUnknown:
    return CreditScored(len(request.name))


def fetch(name: str) -> int:
    return len(name)


@service("com.credit.fetch")
def effectful(request: CheckCredit) -> Effects[CreditScored | CreditUnknown]:
    score = yield from call(fetch, request.name)
    return CreditScored(score) if score else CreditUnknown(request.name)


@service("com.credit.read")
def of_result(request: CheckCredit) -> Result[CreditScored, Fail]:
    return Success(CreditScored(1)) if request.name else Failure(Fail("no name"))


@workflow("loan.approve", services=[check, effectful, of_result["1.0.0"]])
def approve(request: CheckCredit) -> Flow[Approved]:
    one = yield from ask(check, request)
    assert_type(one, CreditScored | CreditUnknown)
    two = yield from ask(effectful, request, compensate=lambda it: CheckCredit(str(it)))
    assert_type(two, CreditScored | CreditUnknown)
    three = yield from ask(of_result, request)
    assert_type(three, CreditScored)
    yield from ask(check, CreditScored(1))  # type: ignore[misc]
    foreign = yield from ask(request, CreditScored)
    assert_type(foreign, CreditScored)
    return Approved("ann")


@workflow("loan.review", services=[approve])
def review(request: CheckCredit) -> Flow[Approved]:
    by_child = yield from call_workflow(approve, request)
    assert_type(by_child, Approved)
    part = yield from approve(request)
    assert_type(part, Approved)
    return part


@workflow("loan.decide", services=[approve])
def decide(request: CheckCredit) -> Flow[Approved | CreditUnknown]:
    if not request.name:
        return CreditUnknown("no name")
    return (yield from call_workflow(approve, request))


@workflow("loan.ask", services=[decide])
def ask_child(request: CheckCredit) -> Flow[Approved]:
    outcome = yield from call_workflow(decide, request)
    assert_type(outcome, Approved | CreditUnknown)
    return outcome if isinstance(outcome, Approved) else Approved("no one")


def types(event: Event[CheckCredit]) -> None:
    assert_type(decide, WorkflowFunction[CheckCredit, Approved | CreditUnknown])
    assert_type(check(event.data), CreditScored | CreditUnknown)
    assert_type(
        check, Service[CheckCredit, CreditScored | CreditUnknown, CreditScored | CreditUnknown]
    )
    handler: EventHandler[CheckCredit] = check
    assert_type(check.declared, VersionedContract[CheckCredit])
    assert_type(approve, WorkflowFunction[CheckCredit, Approved])
    assert_type(approve["1.0.0"], VersionedWorkflow[CheckCredit, Approved])
    System([check, effectful, of_result, approve, review, handler])
