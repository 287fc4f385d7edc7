"""Expenses: a system with a service, a workflow that asks a person by a domain, and secrets."""

import asyncio
from typing import Annotated, Final

from attrs import frozen

from arvo import (
    Contract,
    Event,
    Flow,
    Secret,
    System,
    Version,
    ask,
    fail,
    service,
    workflow,
)

DOMAIN: Final = "human.approval"
WEB: Final = "com.office.web"


@frozen
class Expense:
    employee: str
    amount: int
    pin: Annotated[str, Secret()] | None = None


@frozen
class MayIPay:
    employee: str
    amount: int
    pin: Annotated[str, Secret()] | None = None


@frozen
class Decision:
    granted: bool
    reason: str | None = None


@frozen
class Postponed:
    until: str


@frozen
class Paid:
    receipt: str


@frozen
class Pin:
    pin: Annotated[str, Secret()]


approval: Final = Contract(
    uri="#/contracts/human/approval",
    type="com.human.approval",
    domain=DOMAIN,
    description="May this expense be paid?",
    versions={
        "1.0.0": Version(
            accepts=MayIPay,
            emits={"evt.human.decided": Decision, "evt.human.postponed": Postponed},
        )
    },
)


@service("com.payment.pay")
def pay(expense: Expense) -> Paid:
    """Pay an expense at once."""
    if expense.amount > 1_000:
        raise ValueError("more than there is")
    return Paid(f"r-{expense.amount}")


@service("com.payment.pin")
def show_pin(expense: Expense) -> Pin:
    return Pin("1234")


@workflow("expense.approve", services=[approval["1.0.0"], pay])
def approve(expense: Expense) -> Flow[Paid]:
    question = MayIPay(expense.employee, expense.amount, expense.pin)
    answer = yield from ask(question, Decision, Postponed, domain=DOMAIN)
    if not isinstance(answer, Decision):
        yield from fail(f"postponed until {answer.until}")
    if not answer.granted:
        yield from fail(answer.reason or "no reason")
    return (yield from ask(pay, expense))


system: Final = System([pay, show_pin, approve])


async def leave_open(event: Event[object]) -> None:
    """Take a question, which waits for a person at a client of the server."""
    del event
    await asyncio.sleep(0)
