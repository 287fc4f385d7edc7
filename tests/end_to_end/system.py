"""System: an order that makes calls, asks a service and takes five signals; in two versions."""

import os
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from attrs import frozen

from arvo import (
    Contract,
    Effects,
    Emit,
    Event,
    EventHandler,
    Flow,
    OrchestratorContract,
    ServiceFailed,
    System,
    Version,
    Workflow,
    ask,
    call,
    flow,
    flows,
    gather,
    sleep,
    wait_for,
)

# The address of the test, which begins the workflows and gets their outcomes.
CALLER: Final = "com.e2e.test"
SIGNALS: Final = 5
# The exit status of a process that user code ended.
POISONED: Final = 86
# The receipt of a charge whose handler raised.
REFUSED: Final = "refused"


@frozen
class Begin:
    run: int
    how: str = ""


@frozen
class Ended:
    """What a workflow completes with: *marks* in the order in which it received them, *results* of
    its calls in the order of `STAGES`.
    """

    run: int
    marks: list[int]
    receipt: str
    results: list[str]


@frozen
class Charge:
    run: int
    how: str = ""


@frozen
class ChargeInCurrency:
    run: int
    currency: str
    how: str = ""


@frozen
class Charged:
    receipt: str


@frozen
class Refund:
    run: int


@frozen
class Mark:
    run: int
    number: int
    how: str = ""


# What makes a call of a workflow, and returns its result.
Perform: TypeAlias = Callable[[int, str], Any]

_CHARGED: Final = {"evt.e2e.charged": Charged}
_ONE: Final = Version(accepts=Charge, emits=_CHARGED)
_TWO: Final = Version(accepts=ChargeInCurrency, emits=_CHARGED)
_ORDER: Final = Workflow(init=Begin, complete=Ended)

old_charge: Contract[Any] = Contract(
    uri="#/e2e/charge", type="com.e2e.charge", versions={"1.0.0": _ONE}
)
charge: Contract[Any] = Contract(
    uri="#/e2e/charge", type="com.e2e.charge", versions={"1.0.0": _ONE, "2.0.0": _TWO}
)
refund = Contract(
    uri="#/e2e/refund",
    type="com.e2e.refund",
    versions={"1.0.0": Version(accepts=Refund, emits={})},
)
mark = Contract(
    uri="#/e2e/mark", type="com.e2e.mark", versions={"1.0.0": Version(accepts=Mark, emits={})}
)
old_order = OrchestratorContract(uri="#/e2e/order", name="e2e.order", versions={"1.0.0": _ORDER})
order = OrchestratorContract(
    uri="#/e2e/order", name="e2e.order", versions={"1.0.0": _ORDER, "2.0.0": _ORDER}
)


@frozen
class Code:
    """What a worker runs. *perform*, and *perform_in_thread*, a plain function, make a call of a
    workflow, which they get with its number. *poison* ends the process at an event.
    """

    perform: Perform
    perform_in_thread: Perform
    poison: Callable[[int, str], None]

    def handle_charge(self, event: Event[Any]) -> Effects[Emit]:
        """Charge, or end the process, or raise."""
        data = event.data
        if data.how == "exit in handler":
            self.poison(data.run, event.id)
        if data.how == "exit in effect":
            yield from call(self.poison, data.run, event.id)
        if data.how == "raise":
            raise SystemExit("poison")
        receipt = yield from call(self.perform, data.run, "charge")
        return Emit(Charged(receipt))

    def handle_refund(self, event: Event[Refund]) -> Effects[None]:
        """Refund a charge."""
        yield from call(self.perform, event.data.run, "refund")

    def follow(self, event: Event[Begin], request: object) -> Flow[Ended]:
        """Make calls, in parallel and in turn, charge by *request*, and take signals in order."""
        run, perform = event.data.run, self.perform
        first = yield from call(self.perform_in_thread, run, "first")
        left, right = yield from gather(call(perform, run, "left"), call(perform, run, "right"))
        results, marks = [first, left, right], []
        try:
            charged = yield from ask(request, Charged, compensate=Refund(run))
            receipt = charged.receipt
        except ServiceFailed:
            receipt = REFUSED
        for _ in range(SIGNALS):
            received = yield from wait_for(Mark)
            if received.how:
                self.poison(run, f"poison-{run}")
            marks.append(received.number)
            results.append((yield from call(perform, run, f"mark-{received.number}")))
        yield from sleep(0.01)
        results.append((yield from call(perform, run, "last")))
        return Ended(run, marks, receipt, results)


def make_systems(code: Code) -> Mapping[str, System]:
    """Make the system before and after a deploy: "old", and "new" with a second version of both."""
    signals, others = [mark["1.0.0"]], refund["1.0.0"]

    @flow(old_order, "1.0.0", services=[old_charge["1.0.0"], others], signals=signals)
    def follow_old(event: Event[Begin]) -> Flow[Ended]:
        return (yield from code.follow(event, Charge(event.data.run, event.data.how)))

    @flow(order, "1.0.0", services=[charge["1.0.0"], others], signals=signals)
    def follow_one(event: Event[Begin]) -> Flow[Ended]:
        return (yield from code.follow(event, Charge(event.data.run, event.data.how)))

    @flow(order, "2.0.0", services=[charge["2.0.0"], others], signals=signals)
    def follow_two(event: Event[Begin]) -> Flow[Ended]:
        request = ChargeInCurrency(event.data.run, "EUR", event.data.how)
        return (yield from code.follow(event, request))

    refunds, handle = EventHandler(refund, {"1.0.0": code.handle_refund}), code.handle_charge
    old_charges = EventHandler(old_charge, {"1.0.0": handle})
    charges = EventHandler(charge, {"1.0.0": handle, "2.0.0": handle})
    return {
        "old": System([old_charges, refunds, follow_old]),
        "new": System([charges, refunds, flows(follow_one, follow_two)]),
    }


def end_process() -> None:
    """End this process as a segmentation fault does."""
    os._exit(POISONED)
