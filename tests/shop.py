"""Shop: the contracts, payloads and handlers that the tests share."""

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
    """A business failure is an ordinary event."""
    if event.data.amount > 1_000:
        return Emit(CardDeclined("limit"))
    return Emit(CardCharged(f"r-{event.data.order_id}"))


def book(event: Event[BookShipment]) -> Emit:
    """Book at once."""
    return Emit(ShipmentBooked(f"t-{event.data.order_id}"))


def fulfil(turn: Turn[OrderState]) -> Commands:
    """Charge, ship, done."""
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
shipping = EventHandler(ship, {"1.0.0": book})
SERVICES = (charge["1.0.0"], ship["1.0.0"])
fulfilment = Resumable(order, {"1.0.0": fulfil}, services=SERVICES, state=OrderState)
shop = System([payments, shipping, fulfilment])


def workflow(
    function: Callable[[Turn[Any]], Any], *, state: type[Any] | None = None
) -> Resumable[Any]:
    """Make a workflow of the order contract out of any function."""
    return Resumable(order, {"1.0.0": function}, services=SERVICES, state=state)


def paying(function: Callable[[Event[Any]], Any]) -> EventHandler[Any]:
    """Make a handler of the charge contract out of any function."""
    return EventHandler(charge, {"1.0.0": function})


def charging(key: str = "c1", amount: float = 10.0, **envelope: Any) -> Event[ChargeCard]:
    """Make a request for payment, the same each time."""
    with stamping(lambda: Stamp(key, TIME)):
        return charge["1.0.0"].accepts(
            ChargeCard("o1", amount), **{"source": WEB, "id": key, **envelope}
        )


def placing(key: str = "i1", amount: float = 10.0, **envelope: Any) -> Event[PlaceOrder]:
    """Begin a workflow, the same each time."""
    with stamping(lambda: Stamp(key, TIME)):
        return order["1.0.0"].init(
            PlaceOrder("o1", amount), **{"source": WEB, "id": key, **envelope}
        )


def answering(
    asked: Event[Any],
    payload: object,
    key: str = "a1",
    source: str | None = None,
) -> Event[Any]:
    """Answer a workflow's request as its service would."""
    contract = next(each for each in SERVICES if each.type == asked.type)
    return contract.emits(
        payload,
        source=source or asked.type,
        id=key,
        time=TIME,
        subject=asked.subject,
        parentid=asked.id,
        to=asked.redirectto,
    )


def committed(system: System, event: Event[Any], record: Record | None = None) -> Commit:
    """Take a step that must succeed."""
    stepped = step(system, event, record, now=NOW)
    assert isinstance(stepped, Success), stepped
    commit = stepped.unwrap()
    assert isinstance(commit, Commit), commit
    return commit


def refused(system: System, event: Event[Any], record: Record | None = None) -> Any:
    """Take a step that must fail."""
    stepped = step(system, event, record, now=NOW)
    assert not isinstance(stepped, Success), stepped
    return stepped.failure()
