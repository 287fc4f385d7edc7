"""Application: the workflow of a loan, and the child that identifies the customer."""

from datetime import timedelta

from arvo import Flow, System, ask, call_workflow, fail, sleep, wait_for, workflow
from docs.examples.loan import services as bank

WITHDRAWAL = timedelta(days=1)


@workflow("loan.identify", signals=[bank.show_passport["1.0.0"]])
def identify(request: bank.Identify) -> Flow[bank.Identified]:
    shown = yield from wait_for(bank.ShowPassport, deadline=timedelta(days=30))
    if shown is None:
        return fail(f"{request.name} has shown no passport")
    return bank.Identified(shown.passport)


@workflow(
    "loan.apply",
    services=[identify, bank.score_credit, bank.pay_out, bank.take_back, bank.insure],
    signals=[bank.decide["1.0.0"]],
)
def apply(loan: bank.Apply) -> Flow[bank.LoanPaid | bank.LoanRefused]:
    begin = call_workflow(identify, bank.Identify(loan.name), workflow_id=f"{loan.number}-passport")
    customer = yield from begin
    credit = yield from ask(bank.score_credit, bank.ScoreCredit(customer.passport))
    if credit.score < 300:
        return bank.LoanRefused(f"a score of {credit.score}")
    decision = yield from wait_for(bank.Decide, deadline=timedelta(days=14))
    if decision is None or not decision.is_granted:
        return bank.LoanRefused(f"refused by {decision.by}" if decision else "no decision in time")
    yield from sleep(WITHDRAWAL)
    paid = yield from ask(
        bank.pay_out,
        bank.PayOut(loan.iban, loan.cents),
        compensate=lambda it: bank.TakeBack(it.transfer),
    )
    insured = yield from ask(bank.insure, bank.Insure(customer.passport, loan.cents))
    return bank.LoanPaid(paid.transfer, insured.policy)


system = System([bank.score_credit, bank.pay_out, bank.take_back, bank.insure, identify, apply])
