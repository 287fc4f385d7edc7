"""Types of composed functions and handlers: checked by the type checker, never run."""

from typing import assert_type

from arvo import Effects, Emit, Event, EventHandler, Fail, Log, Result, Success, call
from arvo.compose import (
    annotate,
    authorise,
    choose,
    fuse,
    guard,
    identity,
    map_input,
    map_output,
    recover,
    sequence,
)
from tests.typing.contracts import CardCharged, ChargeCard, OrderFulfilled, PlaceOrder, charge


def price(event: Event[PlaceOrder]) -> Emit:
    return Emit(ChargeCard(event.data.order_id, 1.0))


def pay(event: Event[ChargeCard]) -> Result[Emit, Fail]:
    return Success(Emit(CardCharged(event.data.order_id)))


def count(text: str) -> int:
    return len(text)


def known(event: Event[ChargeCard]) -> Effects[bool]:
    return (yield from call(count, event.data.order_id)) > 1


def is_dear(event: Event[ChargeCard]) -> bool:
    return event.data.amount > 100


def decline(event: Event[ChargeCard], fail: Fail) -> Emit:
    return Emit(CardCharged(fail.reason + event.data.order_id))


def as_card(order: PlaceOrder) -> ChargeCard:
    return ChargeCard(order.order_id, 1.0)


paying = annotate(
    recover(authorise(choose((is_dear, pay), otherwise=guard(pay, pay)), known), decline),
    Log("info", "paying"),
    domain=("eu", None),
    accesscontrol="staff",
)
payments = EventHandler(charge, {"1.0.0": paying})
assert_type(payments, EventHandler[ChargeCard])
EventHandler(charge, {"1.0.0": sequence(pay, identity)})
EventHandler(charge, {"1.0.0": map_output(pay, lambda _: OrderFulfilled("t"))})

ordered = sequence(price, pay)
ordered(Event[PlaceOrder].parse("{}"))
map_input(pay, as_card)(Event[PlaceOrder].parse("{}"))
assert_type(fuse(payments, payments, uri="#/fused"), EventHandler[ChargeCard])

EventHandler(charge, {"1.0.0": ordered})  # type: ignore[dict-item]  # pyright: ignore[reportCallIssue, reportArgumentType]
EventHandler(charge, {"1.0.0": map_input(pay, as_card)})  # type: ignore[arg-type]  # pyright: ignore[reportCallIssue, reportArgumentType]
recover(pay, pay)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
