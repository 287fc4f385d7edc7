"""Advance: the turn that a resumable gets."""

from typing import Any

import orjson

from arvo import Emit, Record, System, Turn
from tests.shop import (
    BookShipment,
    CardCharged,
    ChargeCard,
    ShipmentBooked,
    expect_commit,
    make_workflow,
    order_request,
    reply_to,
)


def test_a_turn_has_its_event_and_the_source_of_it() -> None:
    """It is the event that started the workflow, a reply, or neither: a timer or a signal."""
    seen: list[Turn[Any]] = []

    def function(turn: Turn[Any]) -> Any:
        seen.append(turn)
        return [Emit(ChargeCard("o1", 1.0)), Emit(BookShipment("o1"))] if turn.input else None

    system = System([make_workflow(function)])
    begun = expect_commit(system, order_request())
    assert begun.record is not None
    # As after a restart: the stored replies are read from JSON.
    pay, book = begun.events
    paid = expect_commit(system, reply_to(pay, CardCharged("r")), begun.record)
    assert paid.record is not None
    stored = Record.from_dict(orjson.loads(orjson.dumps(paid.record.to_dict())))
    expect_commit(system, reply_to(book, ShipmentBooked("t"), "a2"), stored)

    first, second, third = seen
    assert (first.input, first.service, first.collected) == (first.event, None, {})
    assert (second.input, second.service) == (None, second.event)
    assert (third.input, third.service) == (None, third.event)
    assert {
        kind: [reply.data for reply in replies] for kind, replies in third.collected.items()
    } == {
        "evt.payment.charged": [CardCharged("r")],
        "evt.shipping.booked": [ShipmentBooked("t")],
    }
