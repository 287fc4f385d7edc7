"""Shop: contracts, payloads and handlers for the tests."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from attrs import frozen
from returns.result import Success

from arvo import (
    Commands,
    Commit,
    Complete,
    Contract,
    Emit,
    Event,
    EventHandler,
    Fail,
    OrchestratorContract,
    Persist,
    Record,
    Resumable,
    Stamp,
    System,
    Turn,
    Version,
    Workflow,
    stamping,
    step,
)

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
TIME = "2026-01-02T03:04:05.000+00:00"
WEB = "com.shop.web"


@frozen
class ChargeCard:
    order_id: str
    amount: float


@frozen
class CardCharged:
    receipt: str


@frozen
class CardDeclined:
    reason: str


@frozen
class BookShipment:
    order_id: str


@frozen
class ShipmentBooked:
    tracking: str


@frozen
class PlaceOrder:
    order_id: str
    amount: float = 10.0


@frozen
class OrderFulfilled:
    tracking: str


@frozen
class OrderState:
    order_id: str
    receipt: str | None = None


charge = Contract(
    uri="#/contracts/payment/charge",
    type="com.payment.charge",
    versions={
        "1.0.0": Version(
            accepts=ChargeCard,
            emits={"evt.payment.charged": CardCharged, "evt.payment.declined": CardDeclined},
        )
    },
)
ship = Contract(
    uri="#/contracts/shipping/book",
    type="com.shipping.book",
    versions={
        "1.0.0": Version(accepts=BookShipment, emits={"evt.shipping.booked": ShipmentBooked})
    },
)
order = OrchestratorContract(
    uri="#/orchestrators/order",
    name="order.fulfil",
    versions={"1.0.0": Workflow(init=PlaceOrder, complete=OrderFulfilled)},
)


def take_payment(event: Event[ChargeCard]) -> Emit:
    """Charge the card; a declined card is an ordinary event."""
    if event.data.amount > 1_000:
        return Emit(CardDeclined("limit"))
    return Emit(CardCharged(f"r-{event.data.order_id}"))


def book_shipment(event: Event[BookShipment]) -> Emit:
    """Book the shipment."""
    return Emit(ShipmentBooked(f"t-{event.data.order_id}"))


def fulfil(turn: Turn[OrderState]) -> Commands:
    """Charge the card, book the shipment, complete the order."""
    match turn.event.data:
        case PlaceOrder(order_id=order_id, amount=amount):
            return Persist(OrderState(order_id)), Emit(ChargeCard(order_id, amount))
        case CardCharged(receipt=receipt):
            state = OrderState(turn.state.order_id, receipt)
            return Persist(state), Emit(BookShipment(state.order_id))
        case CardDeclined(reason=reason):
            return Fail(f"payment declined: {reason}")
        case ShipmentBooked(tracking=tracking):
            return Complete(OrderFulfilled(tracking))
        case other:
            return Fail(f"unexpected: {other}")


payments = EventHandler(charge, {"1.0.0": take_payment})
shipping = EventHandler(ship, {"1.0.0": book_shipment})
SERVICES = (charge["1.0.0"], ship["1.0.0"])
fulfilment = Resumable(order, {"1.0.0": fulfil}, services=SERVICES, state=OrderState)
shop = System([payments, shipping, fulfilment])


def make_workflow(
    function: Callable[[Turn[Any]], Any], *, state: type[Any] | None = None
) -> Resumable[Any]:
    """Make a workflow of the order contract with *function*."""
    return Resumable(order, {"1.0.0": function}, services=SERVICES, state=state)


def payment_handler(function: Callable[[Event[Any]], Any]) -> EventHandler[Any]:
    """Make a handler of the charge contract with *function*."""
    return EventHandler(charge, {"1.0.0": function})


def charge_request(key: str = "c1", amount: float = 10.0, **options: Any) -> Event[ChargeCard]:
    """Make a request for payment; equal arguments make equal events."""
    with stamping(lambda: Stamp(key, TIME)):
        return charge["1.0.0"].accepts(
            ChargeCard("o1", amount), **{"source": WEB, "id": key, **options}
        )


def order_request(key: str = "i1", amount: float = 10.0, **options: Any) -> Event[PlaceOrder]:
    """Make the init event of an order workflow; equal arguments make equal events."""
    with stamping(lambda: Stamp(key, TIME)):
        return order["1.0.0"].init(
            PlaceOrder("o1", amount), **{"source": WEB, "id": key, **options}
        )


def reply_to(
    request: Event[Any],
    payload: object,
    key: str = "a1",
    source: str | None = None,
) -> Event[Any]:
    """Make the reply of a service to a workflow's *request*."""
    contract = next(service for service in SERVICES if service.type == request.type)
    return contract.emits(
        payload,
        source=source or request.type,
        id=key,
        time=TIME,
        subject=request.subject,
        parentid=request.id,
        to=request.redirectto,
    )


def expect_commit(system: System, event: Event[Any], record: Record | None = None) -> Commit:
    """Take a step that must succeed."""
    result = step(system, event, record, now=NOW)
    assert isinstance(result, Success), result
    commit = result.unwrap()
    assert isinstance(commit, Commit), commit
    return commit


def expect_violation(system: System, event: Event[Any], record: Record | None = None) -> Any:
    """Take a step that must fail, and return its violation."""
    result = step(system, event, record, now=NOW)
    assert not isinstance(result, Success), result
    return result.failure()
