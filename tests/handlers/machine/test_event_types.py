"""Event types: payload classes as keys of the states of a machine."""

from typing import Literal

from attrs import frozen

from arvo import (
    Cancellation,
    Contract,
    SystemFault,
    TimerFired,
    Version,
)
from arvo.statechart import State
from tests.fulfilment import machine
from tests.handlers.machine.machines import make_machine, rejection
from tests.shop import (
    CardCharged,
    OrderFulfilled,
    PlaceOrder,
    charge,
)


def test_a_payload_class_stands_for_the_event_that_carries_it() -> None:
    """A chart names events by their payloads, not by their types on the wire."""
    events = set(machine.chart.events)

    assert {"evt.payment.charged", "evt.payment.declined", "evt.shipping.booked"} <= events


def test_system_fault_stands_for_the_error_of_every_service() -> None:
    """A state may treat all failures alike and still handle one of them separately."""
    made = make_machine(
        initial="a",
        states={
            "a": State(on={SystemFault: "b", "sys.com.shipping.book.error": "c"}),
            "b": State(type="final"),
            "c": State(type="final"),
        },
    )

    (on,) = [node.on for node in made.chart.compiled.behaviours if node.on]
    nodes = made.chart.compiled.tree.nodes
    targets = {name: nodes[edge.targets[0]].key for name, (edge,) in on.items() if edge.targets}
    assert targets == {"sys.com.payment.charge.error": "b", "sys.com.shipping.book.error": "c"}


def test_cancellations_and_timers_may_be_keys() -> None:
    """They are events like any other."""
    made = make_machine(
        initial="a",
        states={"a": State(on={Cancellation: "b", TimerFired: "b"}), "b": State(type="final")},
    )

    own = {"sys.arvo.orc.order.fulfil.cancel", "sys.arvo.orc.order.fulfil.due"}
    assert own <= set(made.chart.events)


def test_a_class_that_two_services_send_is_rejected_with_the_names_of_both() -> None:
    """Only the author knows which of them is meant."""
    other = Contract(
        uri="#/contracts/wallet",
        type="com.payment.wallet",
        versions={"1.0.0": Version(accepts=PlaceOrder, emits={"evt.wallet.charged": CardCharged})},
    )

    message = rejection(
        services=[charge["1.0.0"], other["1.0.0"]],
        initial="a",
        states={"a": State(on={CardCharged: "b"}), "b": State(type="final")},
    )

    assert "evt.payment.charged of #/contracts/payment/charge/1.0.0" in message
    assert "evt.wallet.charged of #/contracts/wallet/1.0.0" in message
    assert "a.on" in message


def test_a_class_that_no_event_carries_is_rejected() -> None:
    """The state would wait for ever."""
    message = rejection(initial="a", states={"a": State(on={OrderFulfilled: "a"})})

    assert "a.on: expected a class that an event carries" in message
    assert "CardCharged" in message
    assert "got OrderFulfilled" in message


def test_an_event_with_two_keys_is_rejected() -> None:
    """The transitions of one key would never be tried."""
    on = {CardCharged: "a", "evt.payment.charged": "b"}

    assert "two for evt.payment.charged" in rejection(
        initial="a", states={"a": State(on=on), "b": State()}
    )


@frozen
class Coin:
    type: Literal["coin"] = "coin"


def test_a_payload_with_a_type_field_may_be_a_key() -> None:
    """The tag of a union is not an event type."""
    slot = Contract(
        uri="#/slot",
        type="com.hall.slot",
        versions={"1.0.0": Version(accepts=PlaceOrder, emits={"evt.slot.coin": Coin})},
    )

    made = make_machine(
        services=[slot["1.0.0"]],
        initial="a",
        states={"a": State(on={Coin: "b"}), "b": State(type="final")},
    )

    assert made.chart.events == ("evt.slot.coin",)
