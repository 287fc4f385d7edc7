"""Advance: what a resumable is shown in its turn."""

from typing import Any

import orjson

from arvo import Emit, Record, System, Turn
from tests.shop import (
    BookShipment,
    CardCharged,
    ChargeCard,
    ShipmentBooked,
    answering,
    committed,
    placing,
    workflow,
)


def test_a_turn_says_what_came_and_from_whom() -> None:
    """The event that began it, an answer of a service, or neither: a timer, a signal."""
    seen: list[Turn[Any]] = []

    def function(turn: Turn[Any]) -> Any:
        seen.append(turn)
        return [Emit(ChargeCard("o1", 1.0)), Emit(BookShipment("o1"))] if turn.input else None

    system = System([workflow(function)])
    begun = committed(system, placing())
    assert begun.record is not None
    # As after a restart: the replies that came are read from JSON.
    pay, book = begun.events
    paid = committed(system, answering(pay, CardCharged("r")), begun.record)
    assert paid.record is not None
    stored = Record.from_dict(orjson.loads(orjson.dumps(paid.record.to_dict())))
    committed(system, answering(book, ShipmentBooked("t"), "a2"), stored)

    first, second, third = seen
    assert (first.input, first.service, first.collected) == (first.event, None, {})
    assert (second.input, second.service) == (None, second.event)
    assert (third.input, third.service) == (None, third.event)
    assert {kind: [each.data for each in came] for kind, came in third.collected.items()} == {
        "evt.payment.charged": [CardCharged("r")],
        "evt.shipping.booked": [ShipmentBooked("t")],
    }
