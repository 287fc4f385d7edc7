"""Services: payloads, contracts and the programs that a loan needs."""

from typing import Annotated

from annotated_types import Gt, Interval
from attrs import frozen

from arvo import Contract, Pattern, Version, service

Cents = Annotated[int, Gt(0)]


@frozen
class Apply:
    number: Annotated[str, Pattern("^[a-z0-9-]{1,40}$")]
    name: str
    iban: str
    cents: Cents


@frozen
class LoanPaid:
    transfer: str
    policy: str


@frozen
class LoanRefused:
    reason: str


@frozen
class Identify:
    name: str


@frozen
class Identified:
    passport: str


@frozen
class ShowPassport:
    passport: str


@frozen
class Decide:
    by: str
    is_granted: bool


@frozen
class ScoreCredit:
    passport: str


@frozen
class CreditScored:
    score: Annotated[int, Interval(ge=0, le=1_000)]


@frozen
class PayOut:
    iban: str
    cents: Cents


@frozen
class PaidOut:
    transfer: str


@frozen
class TakeBack:
    transfer: str


@frozen
class TakenBack:
    transfer: str


@frozen
class Insure:
    passport: str
    cents: Cents


@frozen
class Insured:
    policy: str


show_passport = Contract(
    uri="#/contracts/loan/passport",
    type="com.loan.passport",
    versions={"1.0.0": Version(accepts=ShowPassport)},
)
decide = Contract(
    uri="#/contracts/loan/decide",
    type="com.loan.decide",
    versions={"1.0.0": Version(accepts=Decide)},
)


@service("com.bureau.score")
def score_credit(request: ScoreCredit) -> CreditScored:
    return CreditScored(100 if request.passport.startswith("X") else 700)


@service("com.bank.pay")
def pay_out(request: PayOut) -> PaidOut:
    return PaidOut(f"transfer-{request.iban}")


@service("com.bank.back")
def take_back(request: TakeBack) -> TakenBack:
    return TakenBack(request.transfer)


@service("com.insurer.insure")
def insure(request: Insure) -> Insured:
    return Insured(f"policy-{request.passport}")
