"""The loan example: each way that an application can go, and a process that is killed."""

import asyncio
import signal
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from arvo import Client, Event, EventHandler, Fail, Runtime, System, SystemFault, Trace, run
from arvo.testing import check_workflow
from docs.examples.loan import application, services
from docs.examples.loan.application import apply, identify, system
from docs.examples.loan.services import (
    Apply,
    Decide,
    Identify,
    LoanPaid,
    LoanRefused,
    PayOut,
    ShowPassport,
    TakeBack,
    decide,
    insure,
    show_passport,
)
from tests.interpreters.until import until

ROOT = Path(__file__).parents[2]
WEB = "com.bank.web"
LOAN = Apply("loan-7", "ann", "NL91", 500_000)
PASSPORT = "loan-7-passport"
# The example is to stay small: lines that are not blank.
FLOW_LINES_MAX = 40
SERVICE_LINES_MAX = 100
# Generous: only a failure waits for it.
SECONDS_MAX = 120.0

BEGIN = apply["1.0.0"].init(LOAN, source=WEB, workflow_id=LOAN.number)
CHILD = identify["1.0.0"].init(
    Identify(LOAN.name), source=WEB, parent=BEGIN.subject, workflow_id=PASSPORT
)


def at(days: float) -> datetime:
    return datetime.fromisoformat(BEGIN.time) + timedelta(days=days)


def shown(passport: str = "P1") -> Event[Any]:
    to, subject = identify.source, CHILD.subject
    return show_passport["1.0.0"].accepts(
        ShowPassport(passport), source=WEB, to=to, subject=subject, time=at(1)
    )


def decided(*, days: float = 2, is_granted: bool = True) -> Event[Any]:
    to, subject = apply.source, BEGIN.subject
    return decide["1.0.0"].accepts(
        Decide("bob", is_granted), source=WEB, to=to, subject=subject, time=at(days)
    )


def answer_of(trace: Trace) -> object:
    assert trace.answer is not None
    assert trace.violations == ()
    return trace.answer.data


def test_the_wiring_has_no_findings() -> None:
    assert system.check() == ()


def test_a_loan_that_a_clerk_grants_is_paid_out_and_insured_a_day_later() -> None:
    trace = run(system, BEGIN, shown(), decided())

    assert answer_of(trace) == LoanPaid("transfer-NL91", "policy-P1")
    assert trace.now == at(2) + application.WITHDRAWAL


def test_a_loan_that_a_clerk_refuses_is_not_paid_out() -> None:
    trace = run(system, BEGIN, shown(), decided(is_granted=False))

    assert answer_of(trace) == LoanRefused("refused by bob")
    assert not [event for event in trace.events if isinstance(event.data, PayOut)]


def test_a_clerk_who_is_too_late_changes_nothing() -> None:
    trace = run(system, BEGIN, shown(), decided(days=20))

    assert answer_of(trace) == LoanRefused("no decision in time")


def test_a_low_score_asks_no_clerk() -> None:
    assert answer_of(run(system, BEGIN, shown("X1"))) == LoanRefused("a score of 100")


def test_a_failure_after_the_money_moved_takes_it_back() -> None:
    broken = EventHandler(insure.contract, {"1.0.0": lambda event: Fail("the insurer is down")})
    others = [handler for handler in system.handlers if handler.source != insure.source]

    trace = run(System([*others, broken]), BEGIN, shown(), decided())

    fault = answer_of(trace)
    assert isinstance(fault, SystemFault)
    assert fault.message.endswith("the insurer is down")
    taken_back = [event.data for event in trace.events if isinstance(event.data, TakeBack)]
    assert taken_back == [TakeBack("transfer-NL91")]
    assert trace.records[BEGIN.subject].status == "failed"


def test_a_customer_without_a_passport_gets_no_loan() -> None:
    """The child fails after a month, and the application with it."""
    trace = run(system, BEGIN)

    fault = answer_of(trace)
    assert isinstance(fault, SystemFault)
    assert "ann has shown no passport" in fault.message
    assert {record.status for record in trace.records.values()} == {"failed"}
    assert trace.now == at(30)


def test_every_history_obeys_the_laws() -> None:
    """Whatever the services answer, whenever the signals come."""
    check_workflow(apply)
    check_workflow(identify)


@pytest.mark.parametrize(
    ("module", "lines_max"),
    [(application, FLOW_LINES_MAX), (services, SERVICE_LINES_MAX)],
    ids=["flow", "services"],
)
def test_the_program_is_as_short_as_the_documentation_promises(module: Any, lines_max: int) -> None:
    """Imports and docstrings count, blank lines do not."""
    lines = Path(module.__file__).read_text().splitlines()

    assert len([line for line in lines if line.strip()]) <= lines_max
    assert max(map(len, lines)) <= 100
    assert "Any" not in " ".join(lines).split()


# A worker that is killed when the insurer is asked: the money has moved.
KILLED = """
import asyncio, os, signal, sys
from datetime import timedelta
from arvo import EventHandler, Runtime, System
from docs.examples.loan import application
from docs.examples.loan.services import insure


def die(event):
    os.kill(os.getpid(), signal.SIGKILL)


application.WITHDRAWAL = timedelta(0)
others = [handler for handler in application.system.handlers if handler.source != insure.source]
dying = System([*others, EventHandler(insure.contract, {"1.0.0": die})])
asyncio.run(Runtime(dying, sys.argv[1]).serve())
"""


def test_a_process_that_is_killed_after_the_money_moved_pays_out_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next process continues where it ended."""
    url = f"sqlite:///{tmp_path / 'loans.db'}"
    monkeypatch.setattr(application, "WITHDRAWAL", timedelta(0))
    worker = subprocess.Popen([sys.executable, "-c", KILLED, url], cwd=ROOT)

    async def go() -> None:
        async with asyncio.timeout(SECONDS_MAX), Client(system, url) as client:
            await client.send(BEGIN)
            await until(lambda: _has_begun(client, CHILD.subject))
            await client.signal(PASSPORT, ShowPassport("P1"))
            await client.signal(LOAN.number, Decide("bob", is_granted=True))
            assert await asyncio.to_thread(worker.wait, SECONDS_MAX) == -signal.SIGKILL
        async with Runtime(system, url) as runtime:
            done = await runtime.request(BEGIN, timeout=SECONDS_MAX)
            history = await runtime.history(LOAN.number)

        assert done.data == LoanPaid("transfer-NL91", "policy-P1")
        sent = [entry.event.data for entry in history if entry.kind == "produced" and entry.event]
        assert [data for data in sent if isinstance(data, PayOut | TakeBack)] == [
            PayOut(LOAN.iban, LOAN.cents)
        ]

    try:
        asyncio.run(go())
    finally:
        worker.kill()
        worker.wait()


async def _has_begun(client: Client, subject: str) -> bool:
    record = await client.record(subject)
    return record is not None
