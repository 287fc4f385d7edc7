"""Turn: one turn of any handler, written as given, when, then."""

from datetime import timedelta
from typing import Any

import pytest

from arvo import (
    Cancellation,
    Complete,
    ContractViolation,
    Effects,
    Emit,
    Event,
    Flow,
    Log,
    Persist,
    Schedule,
    SystemFault,
    Turn,
    ask,
    call,
    flow,
    sleep,
)
from arvo.testing import given
from tests.fulfilment import orders
from tests.shop import (
    SERVICES,
    BookShipment,
    CardCharged,
    CardDeclined,
    ChargeCard,
    OrderFulfilled,
    OrderState,
    PlaceOrder,
    ShipmentBooked,
    charging,
    fulfilment,
    order,
    paying,
    payments,
    placing,
    workflow,
)

ORDER = PlaceOrder("o1")


def test_a_handler_is_told_by_its_payload() -> None:
    """The shortest test there can be."""
    given(payments).when(ChargeCard("o1", 5.0)).then(Emit(CardCharged("r-o1")))


def test_an_event_may_be_given_whole() -> None:
    """Where the envelope matters."""
    given(payments).when(charging(amount=5_000.0)).then(Emit(CardDeclined("limit")))


def test_a_workflow_goes_on_after_what_happened() -> None:
    """Replies find the requests that they answer."""
    paid = given(fulfilment, after=[ORDER]).when(CardCharged("r"))
    done = given(fulfilment, after=[ORDER, CardCharged("r")]).when(ShipmentBooked("t"))

    paid.then(Emit(BookShipment("o1")), Persist(OrderState("o1", "r")))
    done.then(Complete(OrderFulfilled("t")))
    assert done.record is not None
    assert done.record.status == "done"


def test_a_workflow_may_be_put_in_a_state() -> None:
    """A late turn need not be led up to."""
    taken = given(fulfilment, state=OrderState("o7")).when(CardCharged("r"))

    taken.then(Persist(OrderState("o7", "r")), Emit(BookShipment("o7")))
    assert taken.view == OrderState("o7", "r")


def test_a_workflow_may_be_given_a_record() -> None:
    """One from production, say."""
    record = given(fulfilment).when(placing()).record

    given(fulfilment, record=record).when(CardCharged("r")).then(
        Persist(OrderState("o1", "r")), Emit(BookShipment("o1"))
    )


def test_an_orchestrator_is_told_the_same_way() -> None:
    """Its timers are its own, and not compared unless one is named."""
    taken = given(orders, after=[ORDER]).when(CardCharged("r"))

    taken.then(Emit(BookShipment("o1")))
    assert taken.view.value == "shipping"


def test_time_passes_to_the_timer_that_is_due() -> None:
    """Of a chart, a flow or a resumable alike."""
    given(orders, after=[ORDER]).when(timedelta(minutes=5)).fails("the order is cancelled")


@flow(order, "1.0.0", services=SERVICES)
def slow(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
    """Charge, wait for a day, complete."""
    paid = yield from ask(ChargeCard(event.data.order_id, 1.0), CardCharged, CardDeclined)
    yield from sleep(timedelta(days=1))
    return OrderFulfilled(str(paid))


def test_a_flow_is_told_the_same_way() -> None:
    """The ids of its requests are its own, too."""
    given(slow).when(ORDER).then(Emit(ChargeCard("o1", 1.0)))
    slept = given(slow, after=[ORDER, CardCharged("r")]).when(timedelta(days=2))

    slept.then(Complete(OrderFulfilled("CardCharged(receipt='r')")))


def test_time_that_reaches_no_timer_is_said() -> None:
    """And which timers there are."""
    with pytest.raises(AssertionError, match=r"no timer is due after 0:00:01 .*1 day"):
        given(slow, after=[ORDER, CardCharged("r")]).when(timedelta(seconds=1))


def test_a_cancellation_and_a_system_error_come_as_what_they_say() -> None:
    """To the run, and for the oldest open request."""
    cancelled = given(fulfilment, after=[ORDER]).when(Cancellation("enough"))
    broken = given(fulfilment, after=[ORDER]).when(
        SystemFault(errorName="Fail", errorMessage="down")
    )

    cancelled.fails("unexpected: Cancellation")
    broken.fails("unexpected: SystemFault")


def fetch(key: str) -> str:
    raise NotImplementedError(key)


def test_effects_are_answered_by_a_table() -> None:
    """As in `run`."""

    def function(event: Event[ChargeCard]) -> Effects[Emit]:
        found = yield from call(fetch, event.data.order_id)
        return Emit(CardCharged(found))

    given(paying(function), effects={fetch: str.upper}).when(ChargeCard("o1", 1.0)).then(
        Emit(CardCharged("O1"))
    )


def test_a_miss_shows_what_was_wanted_and_what_came_aligned() -> None:
    """The difference is what a reader looks for."""
    with pytest.raises(AssertionError) as missed:
        given(fulfilment).when(ORDER).then(
            Persist(OrderState("o1")), Emit(ChargeCard("o1", 11.0)), Complete(OrderFulfilled("t"))
        )

    assert str(missed.value) == (
        "arvo.orc.order.fulfil, when PlaceOrder('o1') comes:\n"
        "\n"
        "    - Complete(OrderFulfilled('t'))   (wanted)\n"
        "    - Emit(ChargeCard('o1', 11.0), type='com.payment.charge')   (wanted)\n"
        "    ?                        ^\n"
        "    + Emit(ChargeCard('o1', 10.0), type='com.payment.charge')   (came)\n"
        "    ?                        ^\n"
        "      Persist(OrderState('o1'))"
    )


def test_a_log_is_compared_only_where_one_is_demanded() -> None:
    """What is said to telemetry seldom matters to a test."""
    said = paying(lambda event: (Log("info", "paid"), Emit(CardCharged("r"))))
    taken = given(said).when(ChargeCard("o1", 1.0))

    taken.then(Emit(CardCharged("r")))
    taken.then(Emit(CardCharged("r")), Log("info", "paid"))
    with pytest.raises(AssertionError, match="due"):
        taken.then(Emit(CardCharged("r")), Log("info", "due"))


def test_timers_of_a_resumable_are_compared() -> None:
    """It names them itself."""
    waits = workflow(lambda turn: Schedule("late", after=60))

    given(waits).when(ORDER).then(Schedule("late", after=60))
    with pytest.raises(AssertionError, match="late"):
        given(waits).when(ORDER).then()


def test_a_failure_is_told_by_a_part_of_its_reason() -> None:
    """And by its name, where there is one."""
    taken = given(fulfilment, after=[ORDER]).when(CardDeclined("limit"))

    taken.fails("limit").fails(name="Fail")
    with pytest.raises(AssertionError, match=r"- Fail\('broke'\)"):
        taken.fails("broke")
    with pytest.raises(AssertionError, match="it does not fail"):
        given(payments).when(charging()).fails()


def test_an_exception_that_escapes_is_a_failure_of_its_name() -> None:
    """Tier 2 is whatever escapes."""

    def function(turn: Turn[Any]) -> None:
        raise LookupError("no stock")

    given(workflow(function)).when(ORDER).fails("no stock", name="LookupError")


def test_a_violation_is_told_by_its_kind_and_path() -> None:
    """Tier 3: the path says which field is to be mended."""
    wrong = paying(lambda event: Emit({"receipt": 1}, type="evt.payment.charged"))
    taken = given(wrong).when(ChargeCard("o1", 1.0))

    taken.violates(ContractViolation, path="data.receipt")
    with pytest.raises(AssertionError, match=r"wanted an issue at data\.x, got issues at data"):
        taken.violates(ContractViolation, path="data.x")
    with pytest.raises(AssertionError, match="wanted a ContractViolation, and none came"):
        given(payments).when(charging()).violates(ContractViolation)
    with pytest.raises(AssertionError, match="a violation came"):
        taken.then(Emit(CardCharged("r")))


def test_an_event_that_changes_nothing_says_why() -> None:
    """A late reply wants nothing."""
    after = [ORDER, CardCharged("r"), ShipmentBooked("t")]
    late = given(fulfilment, after=after).when(Cancellation("too late"))

    late.then()
    with pytest.raises(AssertionError, match="the workflow is done"):
        late.fails("x")


def test_what_nobody_waits_for_is_refused_with_what_is_awaited() -> None:
    """A slip in the test, not a fault of the handler."""
    with pytest.raises(TypeError, match=r"waits for an answer to com\.payment\.charge"):
        given(fulfilment, after=[ORDER]).when(ShipmentBooked("t"))
    with pytest.raises(TypeError, match="waits for ChargeCard, not"):
        given(payments).when(ORDER)
    with pytest.raises(TypeError, match="remembers nothing"):
        given(payments, state=1)
    with pytest.raises(TypeError, match="cannot remember"):
        given(fulfilment, state=OrderState(1))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="give its history"):
        given(orders, state=1)


def test_a_history_that_is_refused_says_which_event() -> None:
    """Otherwise the turn in question would look wrong."""
    wrong = workflow(lambda turn: Emit({"no": 1}, type="com.payment.charge"))

    with pytest.raises(AssertionError, match=r"given PlaceOrder\('o1'\): it is refused"):
        given(wrong, after=[ORDER]).when(CardCharged("r"))
