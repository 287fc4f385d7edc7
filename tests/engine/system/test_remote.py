"""Remote: handlers of other processes, which a system names by their contracts."""

from typing import Any

import pytest
from attrs import frozen

from arvo import EventHandler, Flow, System, Violated, ask, run, service, workflow
from arvo.engine.step.doors import check_outside
from arvo.engine.step.route import ToHandler


@frozen
class CheckCredit:
    name: str


@frozen
class CreditScored:
    score: int


@frozen
class LoanRequest:
    name: str


@frozen
class LoanDecided:
    score: int


@service("com.credit.check")
def check(request: CheckCredit) -> CreditScored:
    return CreditScored(len(request.name))


@workflow("loan.approve", services=[check])
def approve(request: LoanRequest) -> Flow[LoanDecided]:
    scored = yield from ask(check, CheckCredit(request.name))
    return LoanDecided(scored.score)


FRONT = System([approve], remote=[check])
BACK = System([check], remote=[approve["1.0.0"]])
BEGIN = approve["1.0.0"].init(LoanRequest("ann"), source="com.bank.web")


def test_a_request_goes_to_the_process_that_has_its_handler() -> None:
    trace = run(FRONT, BEGIN)
    [request] = trace.remote
    assert dict(trace.sent)[request] == ToHandler("com.credit.check", None)
    assert not trace.unroutable
    assert not trace.answers
    assert trace.at_rest


def test_the_reply_goes_to_the_remote_workflow_and_not_to_a_caller() -> None:
    [request] = run(FRONT, BEGIN).remote
    answered = run(BACK, request)
    [reply] = answered.remote
    assert dict(answered.sent)[reply] == ToHandler("arvo.orc.loan.approve", BEGIN.subject)
    assert answered.answers == ()

    record = run(FRONT, BEGIN).records[BEGIN.subject]
    ended = run(FRONT, reply, records={BEGIN.subject: record})
    assert [event.data for event in ended.answers] == [LoanDecided(3)]


def test_check_does_not_miss_a_remote_service() -> None:
    [missing] = System([approve]).check()
    assert missing.expected.startswith("a handler here or in remote=")
    assert FRONT.check() == ()


def test_several_versions_may_be_remote() -> None:
    @service("com.credit.check", "2.0.0", earlier=check)
    def newer(request: CheckCredit) -> CreditScored:
        return CreditScored(0)

    System([approve], remote=[newer["1.0.0"], newer["2.0.0"]])
    with pytest.raises(Violated, match=r"expected a version that its handler has \(2\.0\.0\)"):
        System([approve], remote=[newer["2.0.0"]])


def other_contract() -> EventHandler[Any]:
    @service("com.credit.check", uri="#/other")
    def other(request: CheckCredit) -> CreditScored:
        return CreditScored(0)

    return other


@pytest.mark.parametrize(
    ("handlers", "remote", "message"),
    [
        ([check], [check], r"remote\[0\]: expected an address that no handler of this system has"),
        ([approve], [other_contract()], "expected the contract of its handler, #/other"),
        ([], [check.contract], r"remote\[0\]: expected one version of a contract"),
        ([], [check["1.0.0"], check["1.0.0"]], "expected a version of its own, got 1.0.0"),
    ],
)
def test_what_cannot_be_remote_is_refused(handlers: Any, remote: Any, message: str) -> None:
    with pytest.raises(Violated, match=message):
        System(handlers, remote=remote)


def test_an_event_from_outside_cannot_speak_for_a_remote_handler() -> None:
    forged = approve["1.0.0"].init(LoanRequest("ann"), source="com.credit.check")
    assert "an address outside of this system" in str(check_outside(FRONT, forged, None))
    assert check_outside(FRONT, BEGIN, None) is None


def test_a_system_without_remote_ones_is_equal_to_one_that_names_none() -> None:
    assert System([check]) == System([check], remote=[]) != System([check], remote=[approve])
