"""Late: the replies to a workflow that has failed, under faults."""

from typing import Literal

import pytest

from arvo import Event, Flow, System, ask, flow, gather
from arvo.testing import World, always, eventually, simulate, sometimes
from tests.shop import (
    SERVICES,
    BookShipment,
    CardCharged,
    ChargeCard,
    OrderFulfilled,
    PlaceOrder,
    ShipmentBooked,
    order,
    order_request,
    payments,
    shipping,
)


@flow(order, "1.0.0", services=SERVICES)
def both(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
    """Fail on the receipt of the charge, while the shipment is being booked, or has been."""

    def pay() -> Flow[str]:
        charged = yield from ask(ChargeCard("o1", 1.0), CardCharged)
        raise ValueError(charged.receipt)

    yield from gather(pay(), *(ask(BookShipment(f"o{n}"), ShipmentBooked) for n in range(3)))
    return OrderFulfilled("t")


def no_dead_letters(world: World) -> bool:
    return not world.dead_letters


def every_reply_is_in_the_record(world: World) -> bool:
    """All but the one that it failed on: those from before the failure, and those since."""
    failed = [record for record in world.records.values() if record.status == "failed"]
    return all(len(record.replies) == 3 for record in failed)


def some_reply_is_late(world: World) -> bool:
    return any(record.late_replies for record in world.records.values())


@pytest.mark.promise("I8")
@pytest.mark.parametrize("storage", ["store", "pair"])
def test_no_reply_to_a_failed_workflow_is_lost_or_a_dead_letter(
    storage: Literal["store", "pair"],
) -> None:
    """I8: an operator who revives it needs each of them once."""
    system = System([both, payments, shipping])

    simulate(
        system,
        [order_request()],
        checks=[
            always(no_dead_letters),
            eventually(every_reply_is_in_the_record),
            sometimes(some_reply_is_late),
        ],
        storage=storage,
        runs=40,
    )
