"""Rolling: two versions of a system, as two deployments of one application run side by side."""

from collections.abc import Callable
from typing import Any, Final

from attrs import frozen

from arvo import (
    Backend,
    Commands,
    Complete,
    Contract,
    Emit,
    Event,
    EventHandler,
    OrchestratorContract,
    Persist,
    Resumable,
    Runtime,
    Stamp,
    System,
    Turn,
    Version,
    Workflow,
    stamping,
)
from tests.interpreters.until import until
from tests.shop import TIME, WEB, CardCharged, ChargeCard, PlaceOrder


@frozen
class ChargeInCurrency:
    order_id: str
    amount: float
    currency: str


@frozen
class Refund:
    order_id: str


@frozen
class Paid:
    receipt: str


CHARGED: Final = {"evt.payment.charged": CardCharged}
ONE: Final = Version(accepts=ChargeCard, emits=CHARGED)
TWO: Final = Version(accepts=ChargeInCurrency, emits=CHARGED)
BEGIN: Final = Workflow(init=PlaceOrder, complete=Paid)

old_charge = Contract(uri="#/rolling/charge", type="com.pay.charge", versions={"1.0.0": ONE})
charge: Contract[Any] = Contract(
    uri="#/rolling/charge", type="com.pay.charge", versions={"1.0.0": ONE, "2.0.0": TWO}
)
old_order = OrchestratorContract(
    uri="#/rolling/order", name="rolling.order", versions={"1.0.0": BEGIN}
)
order = OrchestratorContract(
    uri="#/rolling/order", name="rolling.order", versions={"1.0.0": BEGIN, "2.0.0": BEGIN}
)
# A workflow that only the new system has; it asks a service that both have.
refund = OrchestratorContract(
    uri="#/rolling/refund",
    name="rolling.refund",
    versions={"1.0.0": Workflow(init=Refund, complete=Paid)},
)


def pay(event: Event[Any]) -> Emit:
    """Charge the card, in any version."""
    return Emit(CardCharged(f"{type(event.data).__name__} {event.data.order_id}"))


def fulfil(turn: Turn[int]) -> Commands:
    """Charge by the version that both systems have, then complete."""
    match turn.event.data:
        case PlaceOrder(order_id=order_id) | Refund(order_id=order_id):
            return Persist(1), Emit(ChargeCard(order_id, 1.0))
        case CardCharged(receipt=receipt):
            return Complete(Paid(receipt))
        case _:
            return None


SERVICES: Final = [charge["1.0.0"]]
old = System(
    [
        EventHandler(old_charge, {"1.0.0": pay}),
        Resumable(old_order, {"1.0.0": fulfil}, services=[old_charge["1.0.0"]]),
    ]
)
new = System(
    [
        EventHandler(charge, {"1.0.0": pay, "2.0.0": pay}),
        Resumable(order, {"1.0.0": fulfil, "2.0.0": fulfil}, services=SERVICES),
        Resumable(refund, {"1.0.0": fulfil}, services=SERVICES),
    ]
)


def charge_event(number: int) -> Event[Any]:
    """Make a request of the new version."""
    payload = ChargeInCurrency(f"o{number}", 1.0, "EUR")
    with stamping(lambda: Stamp(f"charge-{number}", TIME)):
        return charge["2.0.0"].accepts(payload, source=WEB)


def order_event(number: int) -> Event[Any]:
    """Make the event that starts a workflow of the new version."""
    with stamping(lambda: Stamp(f"order-{number}", TIME)):
        return order["2.0.0"].init(PlaceOrder(f"o{number}"), source=WEB)


def refund_event(number: int) -> Event[Any]:
    """Make the event that starts a workflow of the new handler."""
    with stamping(lambda: Stamp(f"refund-{number}", TIME)):
        return refund["1.0.0"].init(Refund(f"o{number}"), source=WEB)


async def deploy(
    open_backend: Callable[[], Backend], events: int, *, waits_for_stop: bool = False
) -> None:
    """Send events of the new version to an old and a new worker, then stop the old one.

    *waits_for_stop*: the old process has partitions of its own, whose events wait until it stops.
    """
    async with Runtime(new, open_backend()) as after:
        async with Runtime(old, open_backend()) as before:

            def has_met_all() -> bool:
                return before.stats().released + after.stats().handled >= events

            def has_handled_all() -> bool:
                return before.stats().handled + after.stats().handled >= 4 * events

            for number in range(events):
                await after.send(charge_event(number))
                await after.send(order_event(number))
            await until(has_met_all if waits_for_stop else has_handled_all)
        await until(has_handled_all)
        assert await after.dead_letters() == ()
        await after.drain()
