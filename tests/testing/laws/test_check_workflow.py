"""Workflows: deliberately wrong workflows, each caught, and right ones, left alone."""

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from attrs import frozen

from arvo import (
    Cancellation,
    Commands,
    Complete,
    ContractViolation,
    Emit,
    Event,
    Fail,
    Flow,
    Machine,
    Orchestrator,
    OrchestratorContract,
    Persist,
    Resumable,
    Schedule,
    System,
    SystemFault,
    TimerFired,
    Turn,
    Violate,
    Workflow,
    ask,
    flow,
    sleep,
)
from arvo.statechart import State, emit
from arvo.testing import LawViolated, check_workflow
from docs.examples.orders import as_flow, as_orchestrator, as_resumable
from tests.fulfilment import orders
from tests.shop import (
    SERVICES,
    BookShipment,
    CardCharged,
    CardDeclined,
    ChargeCard,
    OrderFulfilled,
    PlaceOrder,
    ShipmentBooked,
    fulfilment,
    order,
    workflow,
)
from tests.versions import versions

SEEN: dict[str, int] = {}


def loses_its_state(turn: Turn[Any]) -> Commands:
    """It keeps count in the process, not in the record."""
    subject = turn.event.subject
    SEEN[subject] = SEEN.get(subject, 0) + 1
    if turn.input is not None:
        return Emit(ChargeCard("o1", 1.0))
    return Complete(OrderFulfilled(f"{SEEN[subject]}"))


@flow(order, "1.0.0", services=SERVICES)
def reads_the_clock(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
    yield from ask(ChargeCard(f"{time.perf_counter()}", 1.0), CardCharged, CardDeclined)
    return OrderFulfilled("done")


def assumes_an_order(turn: Turn[Any]) -> Commands:
    """It asks twice at once, and takes the first answer for the first request's."""
    match turn.event.data:
        case PlaceOrder():
            return Persist([]), Emit(ChargeCard("o1", 1.0)), Emit(BookShipment("o1"))
        case SystemFault() | Cancellation():
            return Fail("no")
        case data:
            heard = [*turn.state, type(data).__name__]
            if len(heard) < 2:
                return Persist(heard)
            return Complete(OrderFulfilled(heard[0]))


def completes_with_the_first(turn: Turn[Any]) -> Commands:
    """The second answer comes late."""
    match turn.event.data:
        case PlaceOrder():
            return Emit(ChargeCard("o1", 1.0)), Emit(BookShipment("o1"))
        case ShipmentBooked():
            return Complete(OrderFulfilled("t"))
        case _:
            return Fail("not paid")


def asks_what_is_no_service(turn: Turn[Any]) -> Commands:
    if turn.input is not None:
        return Emit(ChargeCard("o1", 1.0))
    return Emit(PlaceOrder("o2"))


def crashes_on_an_answer(turn: Turn[Any]) -> Commands:
    match turn.event.data:
        case PlaceOrder(order_id=key, amount=amount):
            return Emit(ChargeCard(key, amount))
        case CardDeclined(reason=reason):
            return Fail(reason)
        case Cancellation():
            return None
        case answer:
            return Complete(OrderFulfilled(answer.receipt))


@flow(order, "1.0.0", services=SERVICES)
def forgets_an_answer(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
    """A declined card is not among the replies that it names."""
    paid = yield from ask(ChargeCard("o1", 1.0), CardCharged)
    return OrderFulfilled(paid.receipt)


def completes_twice_in_a_race(turn: Turn[Any]) -> Commands:
    """A timer that fires after the reply was noted completes once more."""
    match turn.event.data:
        case PlaceOrder():
            return Schedule("late", after=60), Emit(ChargeCard("o1", 1.0))
        case TimerFired():
            done = [Complete(OrderFulfilled("in time"))] if turn.collected else []
            return *done, Emit(BookShipment("o1")), Persist("late")
        case ShipmentBooked() if "evt.payment.charged" in turn.collected:
            return Complete(OrderFulfilled("a")), Complete(OrderFulfilled("b"))
        case CardCharged() if turn.state is None:
            return Complete(OrderFulfilled("in time"))
        case ShipmentBooked():
            return Complete(OrderFulfilled("late"))
        case SystemFault() | CardDeclined() | Cancellation():
            return Fail("no")
        case _:
            return None


def books_twice_in_a_race(turn: Turn[Any]) -> Commands:
    """The timer books, and so does the reply that comes after it."""
    match turn.event.data:
        case PlaceOrder():
            return Schedule("late", after=60), Emit(ChargeCard("o1", 1.0))
        case TimerFired() | CardCharged():
            return Emit(BookShipment("o1"))
        case ShipmentBooked():
            return Complete(OrderFulfilled("t"))
        case _:
            return Fail("no")


def asks_for_ever(turn: Turn[Any]) -> Commands:
    """What is declined is asked for again, without end."""
    match turn.event.data:
        case CardCharged():
            return Complete(OrderFulfilled("t"))
        case Cancellation():
            return None
        case _:
            return Emit(ChargeCard("o1", 1.0))


def waits_for_nothing(turn: Turn[Any]) -> Commands:
    """A system error is not handled."""
    match turn.event.data:
        case PlaceOrder():
            return Emit(ChargeCard("o1", 1.0))
        case CardCharged() | CardDeclined():
            return Complete(OrderFulfilled("t"))
        case _:
            return None


def refuses_to_be_cancelled(turn: Turn[Any]) -> Commands:
    match turn.event.data:
        case PlaceOrder():
            return Emit(ChargeCard("o1", 1.0))
        case Cancellation():
            return Violate(ContractViolation("not now"))
        case _:
            return Complete(OrderFulfilled("t"))


deaf = Machine(
    contract=order["1.0.0"],
    services=SERVICES,
    context=PlaceOrder,
    initial="charging",
    output=lambda c, e: OrderFulfilled("t"),
    states={
        "charging": State(
            entry=[emit(lambda c, e: ChargeCard(c.order_id, c.amount))],
            on={CardCharged: "done", CardDeclined: "done"},
        ),
        "done": State(type="final"),
    },
)


@frozen
class Part:
    number: int


@frozen
class PartDone:
    number: int


part = OrchestratorContract(
    uri="#/part", name="some.part", versions={"1.0.0": Workflow(init=Part, complete=PartDone)}
)


@flow(part, "1.0.0")
def rests_a_day(event: Event[Part]) -> Flow[PartDone]:
    yield from sleep(timedelta(days=1))
    return PartDone(event.data.number)


def whole(function: Callable[[Turn[Any]], Any]) -> System:
    services: list[Any] = [*SERVICES, part["1.0.0"]]
    return System([Resumable(order, {"1.0.0": function}, services=services), rests_a_day])


def begins_a_child_when_cancelled(turn: Turn[Any]) -> Commands:
    match turn.event.data:
        case PlaceOrder():
            return Emit(ChargeCard("o1", 1.0))
        case Cancellation():
            return Emit(Part(1), to="com.nobody.here") if turn.collected else Emit(Part(1))
        case _:
            return Complete(OrderFulfilled("t"))


def remember_receipt(state: dict[str, Any]) -> Any:
    """It expects what only later turns remember."""
    return {**state, "receipt": state["receipt"].upper()}


def moving(state: Callable[[Any], Any] | None) -> Callable[[], None]:
    return lambda: check_workflow(
        versions(),
        versions().contract["1.0.0"],
        migrate_to="2.0.0",
        migrate_state=state,
        laws=["migration"],
    )


def checking(what: Any, **options: Any) -> Callable[[], None]:
    system = workflow(what) if callable(what) else what
    return lambda: check_workflow(system, order["1.0.0"], **options)


WRONG: dict[str, tuple[Callable[[], None], str, str]] = {
    "state lost on redelivery": (checking(loses_its_state), "redelivery", "delivered again"),
    "a flow that reads the clock": (checking(reads_the_clock), "redelivery", "delivered again"),
    "reply order assumption": (checking(assumes_an_order), "order", "which comes first"),
    "the first answer ends it": (checking(completes_with_the_first), "order", "in the other order"),
    "asks what is no service": (checking(asks_what_is_no_service), "total", "PlaceOrder"),
    "crashes on an allowed answer": (checking(crashes_on_an_answer), "total", "AttributeError"),
    "an answer that a flow forgets": (checking(forgets_an_answer), "total", "UnexpectedReply"),
    "completes twice in a race": (checking(completes_twice_in_a_race), "race", "completes twice"),
    "books twice in a race": (
        checking(books_twice_in_a_race, once=[BookShipment]),
        "race",
        "asks for BookShipment 2 times",
    ),
    "never rests": (checking(asks_for_ever), "rest", "still going on after 60 steps"),
    "waits for nothing": (checking(waits_for_nothing), "rest", "nothing that can come moves it"),
    "a chart that hears no error": (checking(Orchestrator([deaf])), "rest", "still active"),
    "refuses its cancellation": (
        checking(refuses_to_be_cancelled),
        "cancellation",
        "it violates: ContractViolation",
    ),
    "cancellation leaves a child": (
        checking(whole(begins_a_child_when_cancelled)),
        "cancellation",
        "arvo.orc.some.part",
    ),
    "a migration that is partial": (moving(remember_receipt), "migration", "cannot move"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_workflow_is_caught(name: str) -> None:
    """A kit that catches nothing proves nothing."""
    check, law, problem = WRONG[name]

    with pytest.raises(LawViolated) as caught:
        check()

    broken = caught.value.broken
    assert f"({law})" in broken.law
    assert problem in str(broken)
    assert len(broken.story) <= 12


def test_a_history_that_breaks_a_law_is_told_step_by_step() -> None:
    """In the order in which things came, with what was sent."""
    with pytest.raises(LawViolated) as caught:
        checking(waits_for_nothing)()

    assert str(caught.value) == (
        "the workflow of #/orchestrators/order/1.0.0 breaks a law\n"
        "\n"
        "a workflow always comes to rest (rest): arvo.orc.order.fulfil is still active, and nothing"
        " that can come moves it\n"
        "\n"
        "    1. PlaceOrder('') comes to arvo.orc.order.fulfil -> ChargeCard('o1', 1.0)\n"
        "    2. SystemFault('Fail', 'no') answers (com.payment.charge)\n"
        "\n"
        "remedy: handle this answer (Complete, Fail, or ask for something else), or set a timer"
    )


RIGHT: dict[str, Any] = {
    "the shop's resumable": fulfilment,
    "the shop's orchestrator": orders,
    "the example's resumable": as_resumable.fulfilment,
    "the example's flow": as_flow.fulfilment,
    "the example's orchestrator": as_orchestrator.fulfilment,
}


@pytest.mark.parametrize("name", RIGHT)
def test_a_right_workflow_is_left_alone(name: str) -> None:
    """A kit that cries wolf is switched off."""
    check_workflow(RIGHT[name], may_violate=[ContractViolation])
