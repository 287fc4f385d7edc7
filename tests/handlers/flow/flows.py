"""Flows of the order contract, and the signals that they accept."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from attrs import frozen

from arvo import (
    Contract,
    Event,
    Flow,
    FlowHandler,
    OrchestratorContract,
    Record,
    System,
    Trace,
    Version,
    Workflow,
    ask,
    flow,
    run,
    wait_for,
)
from tests.shop import (
    NOW,
    SERVICES,
    CardCharged,
    CardDeclined,
    ChargeCard,
    OrderFulfilled,
    PlaceOrder,
    order,
    order_request,
    payments,
    shipping,
)


@frozen
class Approved:
    by: str


@frozen
class Vetoed:
    by: str


approval = Contract(
    uri="#/contracts/approval",
    type="com.approval.given",
    versions={"1.0.0": Version(accepts=Approved)},
)


veto = Contract(
    uri="#/contracts/veto", type="com.approval.vetoed", versions={"1.0.0": Version(accepts=Vetoed)}
)


SIGNALS = (approval["1.0.0"], veto["1.0.0"])


Script = Callable[[Event[PlaceOrder]], Flow[OrderFulfilled]]


def make_flow(script: Script) -> FlowHandler[PlaceOrder, OrderFulfilled]:
    """Make a flow of the order contract from a generator function."""
    return flow(order, "1.0.0", services=SERVICES, signals=SIGNALS)(script)


def system_with(script: Script, *more: Any) -> System:
    """Return a system of a flow and its services."""
    return System([payments, shipping, make_flow(script), *more])


def run_flow(script: Script, *more: Event[Any], **options: Any) -> Trace:
    return run(system_with(script), order_request(), *more, **options)


def answer(trace: Trace) -> Any:
    assert trace.answer is not None, trace.draw()
    return trace.answer.data


def record_of(record: Record | None) -> Record:
    assert record is not None
    return record


def charge(event: Event[PlaceOrder]) -> Flow[CardCharged | CardDeclined]:
    return ask(ChargeCard(event.data.order_id, event.data.amount), CardCharged, CardDeclined)


def make_signal(payload: Approved | Vetoed, after: float = 0.0, key: str = "s1") -> Event[Any]:
    """Return a signal to the workflow of `placing`, sent some seconds after it began."""
    contract: Contract[Any] = approval if isinstance(payload, Approved) else veto
    return contract["1.0.0"].accepts(
        payload,
        source="com.ops.staff",
        id=key,
        time=NOW + timedelta(seconds=after),
        subject=order_request().subject,
        to=order.type,
    )


def make_cancellation(after: float = 1.0) -> Event[Any]:
    return order["1.0.0"].cancel(
        "changed my mind",
        source="com.shop.web",
        subject=order_request().subject,
        id="c1",
        time=NOW + timedelta(seconds=after),
    )


def rate(currency: str) -> float:
    raise AssertionError(currency)


def waiting(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
    signal = yield from wait_for(Approved, Vetoed, where=lambda it: it.by != "eve", deadline=60)
    if signal is None:
        return OrderFulfilled("no answer")
    return OrderFulfilled(f"{type(signal).__name__} by {signal.by}")


@frozen
class Pack:
    order_id: str


@frozen
class Packed:
    boxes: int


packing = OrchestratorContract(
    uri="#/orchestrators/packing",
    name="order.pack",
    versions={"1.0.0": Workflow(init=Pack, complete=Packed)},
)
