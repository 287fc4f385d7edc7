"""Check workflow: every wrong workflow fails its law, and correct workflows pass."""

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
from arvo.testing import CheckReport, LawViolated, check_workflow
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
    make_workflow,
    order,
)
from tests.versions import versions

CALLS: dict[str, int] = {}


def loses_its_state(turn: Turn[Any]) -> Commands:
    """Counts in the process instead of the record."""
    subject = turn.event.subject
    CALLS[subject] = CALLS.get(subject, 0) + 1
    if turn.input is not None:
        return Emit(ChargeCard("o1", 1.0))
    return Complete(OrderFulfilled(f"{CALLS[subject]}"))


@flow(order, "1.0.0", services=SERVICES)
def reads_the_clock(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
    yield from ask(ChargeCard(f"{time.perf_counter()}", 1.0), CardCharged, CardDeclined)
    return OrderFulfilled("done")


def assumes_an_order(turn: Turn[Any]) -> Commands:
    """Sends two requests at once, and takes the first reply for that of the first request."""
    match turn.event.data:
        case PlaceOrder():
            return Persist([]), Emit(ChargeCard("o1", 1.0)), Emit(BookShipment("o1"))
        case SystemFault() | Cancellation():
            return Fail("no")
        case data:
            replies = [*turn.state, type(data).__name__]
            if len(replies) < 2:
                return Persist(replies)
            return Complete(OrderFulfilled(replies[0]))


def completes_with_the_first(turn: Turn[Any]) -> Commands:
    """Ignores that the second reply comes later."""
    match turn.event.data:
        case PlaceOrder():
            return Emit(ChargeCard("o1", 1.0)), Emit(BookShipment("o1"))
        case ShipmentBooked():
            return Complete(OrderFulfilled("t"))
        case _:
            return Fail("not paid")


def requests_an_undeclared_service(turn: Turn[Any]) -> Commands:
    if turn.input is not None:
        return Emit(ChargeCard("o1", 1.0))
    return Emit(PlaceOrder("o2"))


def crashes_on_a_reply(turn: Turn[Any]) -> Commands:
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
def forgets_a_reply(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
    """Does not name the reply for a declined card."""
    paid = yield from ask(ChargeCard("o1", 1.0), CardCharged)
    return OrderFulfilled(paid.receipt)


def completes_twice_in_a_race(turn: Turn[Any]) -> Commands:
    """Completes again when the timer fires after the reply."""
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
    """Books when the timer fires, and again when the reply comes."""
    match turn.event.data:
        case PlaceOrder():
            return Schedule("late", after=60), Emit(ChargeCard("o1", 1.0))
        case TimerFired() | CardCharged():
            return Emit(BookShipment("o1"))
        case ShipmentBooked():
            return Complete(OrderFulfilled("t"))
        case _:
            return Fail("no")


def retries_forever(turn: Turn[Any]) -> Commands:
    """Requests a declined payment again, without limit."""
    match turn.event.data:
        case CardCharged():
            return Complete(OrderFulfilled("t"))
        case Cancellation():
            return None
        case _:
            return Emit(ChargeCard("o1", 1.0))


def ignores_a_system_error(turn: Turn[Any]) -> Commands:
    """Does not handle a system error."""
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


ignoring_errors = Machine(
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
def sleeps_a_day(event: Event[Part]) -> Flow[PartDone]:
    yield from sleep(timedelta(days=1))
    return PartDone(event.data.number)


def with_child(function: Callable[[Turn[Any]], Any]) -> System:
    services: list[Any] = [*SERVICES, part["1.0.0"]]
    return System([Resumable(order, {"1.0.0": function}, services=services), sleeps_a_day])


def begins_a_child_when_cancelled(turn: Turn[Any]) -> Commands:
    match turn.event.data:
        case PlaceOrder():
            return Emit(ChargeCard("o1", 1.0))
        case Cancellation():
            return Emit(Part(1), to="com.elsewhere") if turn.collected else Emit(Part(1))
        case _:
            return Complete(OrderFulfilled("t"))


def require_receipt(state: dict[str, Any]) -> Any:
    """Requires a state that only later turns persist."""
    return {**state, "receipt": state["receipt"].upper()}


def migrating(state: Callable[[Any], Any] | None) -> Callable[[], CheckReport]:
    return lambda: check_workflow(
        versions(),
        versions().contract["1.0.0"],
        migrate_to="2.0.0",
        migrate_state=state,
        laws=["migration"],
    )


def checking(target: Any, **options: Any) -> Callable[[], CheckReport]:
    system = make_workflow(target) if callable(target) else target
    return lambda: check_workflow(system, order["1.0.0"], **options)


WRONG: dict[str, tuple[Callable[[], CheckReport], str, str]] = {
    "state lost on redelivery": (checking(loses_its_state), "redelivery", "delivered again"),
    "a flow that reads the clock": (checking(reads_the_clock), "redelivery", "delivered again"),
    "assumes an order of replies": (checking(assumes_an_order), "order", "which reply comes first"),
    "the first reply ends it": (checking(completes_with_the_first), "order", "in the other order"),
    "requests an undeclared service": (
        checking(requests_an_undeclared_service),
        "total",
        "PlaceOrder",
    ),
    "crashes on a permitted reply": (checking(crashes_on_a_reply), "total", "AttributeError"),
    "a flow forgets a reply": (checking(forgets_a_reply), "total", "UnexpectedReply"),
    "completes twice in a race": (checking(completes_twice_in_a_race), "race", "completes twice"),
    "books twice in a race": (
        checking(books_twice_in_a_race, once=[BookShipment]),
        "race",
        "requests BookShipment 2 times",
    ),
    "never ends": (checking(retries_forever), "rest", "still running after 60 steps"),
    "waits for nothing": (
        checking(ignores_a_system_error),
        "rest",
        "no event can come that ends it",
    ),
    "a chart ignores a system error": (
        checking(Orchestrator([ignoring_errors])),
        "rest",
        "still active",
    ),
    "refuses its cancellation": (
        checking(refuses_to_be_cancelled),
        "cancellation",
        "a turn violates: ContractViolation",
    ),
    "cancellation leaves a child": (
        checking(with_child(begins_a_child_when_cancelled)),
        "cancellation",
        "arvo.orc.some.part",
    ),
    "a partial migration": (migrating(require_receipt), "migration", "cannot be migrated"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_workflow_is_found(name: str) -> None:
    """A check that finds nothing proves nothing."""
    check, law, problem = WRONG[name]

    with pytest.raises(LawViolated) as caught:
        check()

    violation = caught.value.violation
    assert f"({law})" in violation.law
    assert problem in str(violation)
    assert len(violation.trace) <= 12


def test_a_history_that_breaks_a_law_is_reported_step_by_step() -> None:
    """With the received events in order, and the events that the workflow sent."""
    with pytest.raises(LawViolated) as caught:
        checking(ignores_a_system_error)()

    assert str(caught.value) == (
        "the workflow of #/orchestrators/order/1.0.0 breaks a law\n"
        "\n"
        "a workflow ends or waits for an event that can come (rest): arvo.orc.order.fulfil is"
        " still active, and no event can come that ends it\n"
        "\n"
        "    1. arvo.orc.order.fulfil receives PlaceOrder('') -> ChargeCard('o1', 1.0)\n"
        "    2. com.payment.charge replies SystemFault('Fail', 'no')\n"
        "\n"
        "remedy: handle this reply (Complete, Fail, or send another request), or set a timer"
    )


CORRECT: dict[str, Any] = {
    "the shop's resumable": fulfilment,
    "the shop's orchestrator": orders,
    "the example's resumable": as_resumable.fulfilment,
    "the example's flow": as_flow.fulfilment,
    "the example's orchestrator": as_orchestrator.fulfilment,
}


@pytest.mark.parametrize("name", CORRECT)
def test_a_correct_workflow_passes(name: str) -> None:
    """A check with false alarms would be switched off."""
    check_workflow(CORRECT[name], may_violate=[ContractViolation])
