"""Fuse: which handlers become one, and which are refused."""

from typing import Any

import pytest
from attrs import frozen

from arvo import (
    Contract,
    Domain,
    Emit,
    Event,
    EventHandler,
    HandlerDomains,
    System,
    Version,
    Violated,
    run,
)
from arvo.compose import fuse
from tests.shop import (
    WEB,
    BookShipment,
    CardCharged,
    CardDeclined,
    ChargeCard,
    ShipmentBooked,
    expect_violation,
    fulfilment,
    payments,
    shipping,
)

packing = Contract(
    uri="#/contracts/packing",
    type="com.packing.pack",
    versions={
        "1.0.0": Version(
            accepts=ChargeCard,
            emits={"evt.packing.packed": BookShipment, "evt.packing.declined": CardDeclined},
        )
    },
)


def pack(event: Event[ChargeCard]) -> Emit:
    if event.data.amount > 100:
        return Emit(CardDeclined("too heavy"))
    return Emit(BookShipment(event.data.order_id))


packer = EventHandler(packing, {"1.0.0": pack})
sent = fuse(packer, shipping, uri="#/contracts/pack.and.ship")


def make_request(handler: EventHandler[Any], amount: float = 1.0) -> Event[Any]:
    return handler.contract["1.0.0"].accepts(ChargeCard("o1", amount), source=WEB, id="e1")


def test_the_new_contract_lacks_the_events_that_are_handed_on() -> None:
    """They no longer leave the handler."""
    contract = sent.contract["1.0.0"]

    assert (contract.uri, contract.type) == ("#/contracts/pack.and.ship", "com.packing.pack")
    assert contract.accepted.type is ChargeCard
    assert {name: payload.type for name, payload in contract.emitted.items()} == {
        "evt.packing.declined": CardDeclined,
        "evt.shipping.booked": ShipmentBooked,
    }


def test_two_steps_are_one() -> None:
    """The caller gets the answer of the second, or an event of the first that is not handed on."""
    booked = run(System([sent]), make_request(sent))
    declined = run(System([sent]), make_request(sent, 200.0))

    assert [event.data for event in booked.answers] == [ShipmentBooked("t-o1")]
    assert [event.data for event in declined.answers] == [CardDeclined("too heavy")]
    assert len(booked.commits) == 1


def test_more_than_two_are_fused_from_the_left() -> None:
    """A longer chain is still one step."""
    tracking = Contract(
        uri="#/contracts/tracking",
        type="com.tracking.follow",
        versions={"3.0.0": Version(accepts=ShipmentBooked, emits={"evt.tracked": CardCharged})},
    )
    tracker = EventHandler(
        tracking, {"3.0.0": lambda event: Emit(CardCharged(event.data.tracking))}
    )

    whole = fuse(packer, shipping, tracker, uri="#/whole", type="com.whole.thing")

    trace = run(System([whole, packer]), make_request(whole))
    assert [event.data for event in trace.answers] == [CardCharged("t-o1")]
    assert trace.answers[0].source == "com.whole.thing"


@frozen
class Pallet:
    kilos: float


def test_a_version_is_fused_with_the_highest_version_that_accepts_its_event() -> None:
    """The contracts decide, not version numbers that happen to be equal."""
    taking: Contract[object] = Contract(
        uri="#/taking",
        type="com.taking.take",
        versions={
            "1.0.0": Version[object](accepts=Pallet, emits={}),
            "2.0.0": Version[object](accepts=BookShipment, emits={"evt.two": CardCharged}),
            "10.0.0": Version[object](accepts=BookShipment, emits={"evt.ten": CardCharged}),
        },
    )
    functions: dict[str, Any] = dict.fromkeys(taking.versions, lambda _: None)

    fused = fuse(packer, EventHandler(taking, functions), uri="#/fused")

    assert "evt.ten" in fused.contract["1.0.0"].emitted


def test_equal_json_schemas_fit() -> None:
    """Imported contracts have no classes."""
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}}
    first: Contract[Any] = Contract(
        uri="#/a",
        type="com.a.a",
        versions={"1.0.0": Version(accepts=schema, emits={"evt.a": schema})},
    )
    second: Contract[Any] = Contract(
        uri="#/b",
        type="com.b.b",
        versions={"1.0.0": Version(accepts=dict(schema), emits={"evt.b": schema})},
    )
    fused = fuse(
        EventHandler(first, {"1.0.0": lambda e: Emit({"n": e.data["n"] + 1}, type="evt.a")}),
        EventHandler(second, {"1.0.0": lambda e: Emit({"n": e.data["n"] * 10}, type="evt.b")}),
        uri="#/c",
    )

    trace = run(System([fused]), fused.contract["1.0.0"].accepts({"n": 1}, source=WEB))

    assert [event.data for event in trace.answers] == [{"n": 20}]


conflicting = EventHandler(
    Contract(
        uri="#/conflicting",
        type="com.conflicting.ship",
        versions={
            "1.0.0": Version(accepts=BookShipment, emits={"evt.packing.declined": CardCharged})
        },
    ),
    {"1.0.0": lambda _: None},
)
leaving = EventHandler(packing, {"1.0.0": pack}, domains=HandlerDomains(emits="ops"))


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        (
            payments,
            shipping,
            (
                "#/contracts/payment/charge and #/contracts/shipping/book cannot be fused: "
                "#/contracts/payment/charge/1.0.0 emits: expected a payload that "
                "#/contracts/shipping/book accepts (BookShipment); map_output makes one, "
                "got CardCharged, CardDeclined"
            ),
        ),
        (packer, conflicting, "evt.packing.declined: expected CardCharged, as #/conflicting/1.0.0"),
        (leaving, shipping, "#/contracts/packing domains.emits: expected an answer to the caller"),
        (packer, fulfilment, "fuse[1]: expected an EventHandler (of functions: sequence)"),
        (packer, pack, "fuse[1]: expected an EventHandler (of functions: sequence), got <function"),
    ],
)
def test_handlers_that_cannot_be_fused_are_refused_and_both_named(
    first: Any, second: Any, message: str
) -> None:
    """The mistake is found at construction, with its remedy."""
    with pytest.raises(Violated) as violated:
        fuse(first, second, uri="#/fused")

    assert message in str(violated.value)


@pytest.mark.parametrize(
    ("emit", "message"),
    [
        (Emit(BookShipment("o"), to="com.b.b"), "emit.to: expected nothing (or the caller)"),
        (Emit(BookShipment("o"), domain="ops"), "emit.domain: expected nothing (or None)"),
        (
            Emit(BookShipment("o"), domain=Domain.FROM_TRIGGERING_EVENT),
            "emit.domain: expected nothing (or None)",
        ),
    ],
)
def test_an_event_that_is_handed_on_cannot_go_elsewhere(emit: Emit, message: str) -> None:
    """Its address would be lost silently, because the event is not sent."""
    fused = fuse(EventHandler(packing, {"1.0.0": lambda _: emit}), shipping, uri="#/fused")

    assert message in str(expect_violation(System([fused]), make_request(fused)))


def test_each_event_that_is_handed_on_has_an_id_of_its_own() -> None:
    """Effects use it as an idempotency key: equal in each run, and different for each event."""
    seen: list[str] = []
    twice = EventHandler(packing, {"1.0.0": lambda _: [Emit(BookShipment("o"))] * 2})
    second = EventHandler(shipping.contract, {"1.0.0": lambda event: seen.append(event.id)})
    fused = System([fuse(twice, second, uri="#/fused")])
    event = make_request(next(iter(fused.handlers)))  # type: ignore[arg-type]

    run(fused, event)
    run(fused, event)

    apart = run(
        System([twice]),
        twice.contract["1.0.0"].accepts(
            ChargeCard("o1", 1.0), source=WEB, id="e1", subject=event.subject
        ),
    )
    assert seen == [event.id for event in apart.answers] * 2
