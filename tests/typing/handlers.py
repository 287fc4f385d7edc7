"""Types of handlers, effects and workflows: checked by the type checker, never run."""

from datetime import timedelta
from typing import Any, assert_type

from attrs import frozen
from returns.pipeline import flow
from returns.pointfree import bind
from returns.result import Failure, Result, Success

from arvo import (
    Commands,
    Complete,
    Contract,
    Effects,
    Emit,
    Event,
    EventHandler,
    Fail,
    Persist,
    Record,
    Resumable,
    Retry,
    System,
    Turn,
    Version,
    call,
    query,
    run,
)
from tests.typing.contracts import (
    CardCharged,
    ChargeCard,
    OrderFulfilled,
    PlaceOrder,
    charge,
    order,
)


@frozen
class User:
    name: str


async def fetch_user(key: str) -> User:
    return User(key)


def count(key: str, least: int) -> int:
    return max(least, len(key))


def take_payment(event: Event[ChargeCard]) -> Emit:
    assert_type(event.data, ChargeCard)
    return Emit(CardCharged(event.data.order_id))


def enrich(event: Event[ChargeCard]) -> Effects[Emit]:
    user = yield from call(fetch_user, event.data.order_id, retry=Retry(attempts=3), timeout=2.0)
    assert_type(user, User)
    number = yield from call(count, user.name, 3, timeout=timedelta(seconds=1))
    assert_type(number, int)
    return Emit(CardCharged(user.name * number))


def wrong_arguments(event: Event[ChargeCard]) -> Effects[None]:
    yield from call(count, event.data.order_id, "3")  # type: ignore[arg-type, call-arg]  # pyright: ignore[reportArgumentType, reportCallIssue]
    yield from call(count, 5, 3)  # type: ignore[arg-type, call-arg]  # pyright: ignore[reportArgumentType, reportCallIssue]


def limited(card: ChargeCard) -> Result[ChargeCard, Fail]:
    return Success(card) if card.amount < 1_000 else Failure(Fail("too much"))


def charged(card: ChargeCard) -> Result[Emit, Fail]:
    return Success(Emit(CardCharged(card.order_id)))


def pipeline(event: Event[ChargeCard]) -> Result[Emit, Fail]:
    return flow(event.data, limited, bind(charged))


def takes_another(event: Event[PlaceOrder]) -> Emit:
    return Emit(CardCharged(event.data.order_id))


payments = EventHandler(charge, {"1.0.0": take_payment})
assert_type(payments, EventHandler[ChargeCard])
EventHandler(charge, {"1.0.0": enrich})
EventHandler(charge, {"1.0.0": pipeline})


# The handlers of several contracts, and a table of effects, in a variable of their own.
named = Contract(
    uri="#/named",
    type="com.named.named",
    versions={"1.0.0": Version(accepts=PlaceOrder, emits={"evt.named.named": CardCharged})},
)
HANDLERS = [payments, EventHandler(named, {"1.0.0": takes_another})]
System(HANDLERS)
System([payments, EventHandler(named, {"1.0.0": takes_another})])


def find_user(key: str) -> User:
    return User(key)


def count_all(key: str, least: int) -> int:
    return 1


EFFECTS = {fetch_user: find_user, count: count_all}
run(System(HANDLERS), charge["1.0.0"].accepts(ChargeCard("o", 1.0), source="a.b"), effects=EFFECTS)


two = Contract[object](
    uri="#/two",
    type="com.two.two",
    versions={
        "1.0.0": Version[object](accepts=ChargeCard, emits={"evt.two.two": CardCharged}),
        "2.0.0": Version[object](accepts=PlaceOrder, emits={"evt.two.two": CardCharged}),
    },
)
both = EventHandler(two, {"1.0.0": take_payment, "2.0.0": takes_another})
assert_type(both, EventHandler[object])


@frozen
class OrderState:
    order_id: str


def fulfil(turn: Turn[OrderState]) -> Commands:
    assert_type(turn.state, OrderState)
    match turn.event.data:
        case PlaceOrder(order_id=order_id):
            return Persist(OrderState(order_id)), Emit(ChargeCard(order_id, 1.0))
        case CardCharged(receipt=receipt):
            return Complete(OrderFulfilled(receipt + turn.state.order_id))
        case _:
            return Fail("unexpected")


def careful(turn: Turn[OrderState | None]) -> Commands:
    assert_type(turn.state, OrderState | None)
    return None


fulfilment = Resumable(order, {"1.0.0": fulfil}, services=[charge["1.0.0"]], state=OrderState)
assert_type(fulfilment, Resumable[OrderState])
Resumable(order, {"1.0.0": careful}, state=OrderState)


def run_queries(record: Record) -> None:
    assert_type(query(fulfilment, record), OrderState | None)
    assert_type(query(System([fulfilment]), record), Any)


System([payments, both, fulfilment])

Resumable(order, {"1.0.0": fulfil}, state=User)  # type: ignore[dict-item]  # pyright: ignore[reportArgumentType]
Resumable(charge, {"1.0.0": fulfil})  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
EventHandler(charge, {"1.0.0": takes_another})  # type: ignore[dict-item]  # pyright: ignore[reportCallIssue, reportArgumentType]
System([charge])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]
Emit()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
