"""Turn: one turn of any handler, as given, when, then."""

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
    charge_request,
    fulfilment,
    make_workflow,
    order,
    order_request,
    payment_handler,
    payments,
)

ORDER = PlaceOrder("o1")


def test_a_payload_is_enough_to_test_an_event_handler() -> None:
    """The shortest possible test."""
    given(payments).when(ChargeCard("o1", 5.0)).then(Emit(CardCharged("r-o1")))


def test_when_takes_an_event_too() -> None:
    """For tests in which the envelope matters."""
    given(payments).when(charge_request(amount=5_000.0)).then(Emit(CardDeclined("limit")))


def test_a_workflow_continues_after_its_history() -> None:
    """A reply payload becomes the reply to the open request of its service."""
    paid = given(fulfilment, after=[ORDER]).when(CardCharged("r"))
    done = given(fulfilment, after=[ORDER, CardCharged("r")]).when(ShipmentBooked("t"))

    paid.then(Emit(BookShipment("o1")), Persist(OrderState("o1", "r")))
    done.then(Complete(OrderFulfilled("t")))
    assert done.record is not None
    assert done.record.status == "done"


def test_a_resumable_can_start_from_a_state() -> None:
    """A test of a late turn needs no history."""
    result = given(fulfilment, state=OrderState("o7")).when(CardCharged("r"))

    result.then(Persist(OrderState("o7", "r")), Emit(BookShipment("o7")))
    assert result.view == OrderState("o7", "r")


def test_a_workflow_can_start_from_a_record() -> None:
    """For example with a record from production."""
    record = given(fulfilment).when(order_request()).record

    given(fulfilment, record=record).when(CardCharged("r")).then(
        Persist(OrderState("o1", "r")), Emit(BookShipment("o1"))
    )


def test_an_orchestrator_is_tested_the_same_way() -> None:
    """Its timers are internal, and compared only if the test names one."""
    result = given(orders, after=[ORDER]).when(CardCharged("r"))

    result.then(Emit(BookShipment("o1")))
    assert result.view.value == "shipping"


def test_a_timedelta_fires_the_timer_that_is_due() -> None:
    """For charts, flows and resumables."""
    given(orders, after=[ORDER]).when(timedelta(minutes=5)).fails("the order is cancelled")


@flow(order, "1.0.0", services=SERVICES)
def slow(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
    """Charge, wait for a day, complete."""
    paid = yield from ask(ChargeCard(event.data.order_id, 1.0), CardCharged, CardDeclined)
    yield from sleep(timedelta(days=1))
    return OrderFulfilled(str(paid))


def test_a_flow_is_tested_the_same_way() -> None:
    """The ids of its requests are internal, too."""
    given(slow).when(ORDER).then(Emit(ChargeCard("o1", 1.0)))
    slept = given(slow, after=[ORDER, CardCharged("r")]).when(timedelta(days=2))

    slept.then(Complete(OrderFulfilled("CardCharged(receipt='r')")))


def test_a_timedelta_that_reaches_no_timer_fails_and_lists_the_timers() -> None:
    """A wrong timedelta is a mistake in the test."""
    with pytest.raises(AssertionError, match=r"no timer is due after 0:00:01 .*1 day"):
        given(slow, after=[ORDER, CardCharged("r")]).when(timedelta(seconds=1))


def test_a_cancellation_and_a_system_error_are_given_as_payloads() -> None:
    """The system error becomes the reply to the oldest open request."""
    cancelled = given(fulfilment, after=[ORDER]).when(Cancellation("enough"))
    broken = given(fulfilment, after=[ORDER]).when(
        SystemFault(errorName="Fail", errorMessage="down")
    )

    cancelled.fails("unexpected: Cancellation")
    broken.fails("unexpected: SystemFault")


def fetch(key: str) -> str:
    raise NotImplementedError(key)


def test_effects_run_functions_of_a_table() -> None:
    """As in `run`."""

    def function(event: Event[ChargeCard]) -> Effects[Emit]:
        found = yield from call(fetch, event.data.order_id)
        return Emit(CardCharged(found))

    given(payment_handler(function), effects={fetch: str.upper}).when(ChargeCard("o1", 1.0)).then(
        Emit(CardCharged("O1"))
    )


def test_a_failed_comparison_shows_a_diff_of_the_commands() -> None:
    """A reader looks for the difference."""
    with pytest.raises(AssertionError) as failed:
        given(fulfilment).when(ORDER).then(
            Persist(OrderState("o1")), Emit(ChargeCard("o1", 11.0)), Complete(OrderFulfilled("t"))
        )

    assert str(failed.value) == (
        "arvo.orc.order.fulfil, when it receives PlaceOrder('o1'):\n"
        "\n"
        "    - Complete(OrderFulfilled('t'))   (expected)\n"
        "    - Emit(ChargeCard('o1', 11.0), type='com.payment.charge')   (expected)\n"
        "    ?                        ^\n"
        "    + Emit(ChargeCard('o1', 10.0), type='com.payment.charge')   (actual)\n"
        "    ?                        ^\n"
        "      Persist(OrderState('o1'))"
    )


def test_a_log_is_compared_only_if_the_test_names_one() -> None:
    """Telemetry seldom matters to a test."""
    logging = payment_handler(lambda event: (Log("info", "paid"), Emit(CardCharged("r"))))
    result = given(logging).when(ChargeCard("o1", 1.0))

    result.then(Emit(CardCharged("r")))
    result.then(Emit(CardCharged("r")), Log("info", "paid"))
    with pytest.raises(AssertionError, match="due"):
        result.then(Emit(CardCharged("r")), Log("info", "due"))


def test_timers_of_a_resumable_are_compared() -> None:
    """A resumable names its timers itself."""
    waits = make_workflow(lambda turn: Schedule("late", after=60))

    given(waits).when(ORDER).then(Schedule("late", after=60))
    with pytest.raises(AssertionError, match="late"):
        given(waits).when(ORDER).then()


def test_a_failure_is_matched_by_a_part_of_its_reason() -> None:
    """And by the name of its error."""
    result = given(fulfilment, after=[ORDER]).when(CardDeclined("limit"))

    result.fails("limit").fails(name="Fail")
    with pytest.raises(AssertionError, match=r"- Fail\('broke'\)"):
        result.fails("broke")
    with pytest.raises(AssertionError, match="expected a Fail, but the turn does not fail"):
        given(payments).when(charge_request()).fails()


def test_an_unhandled_exception_is_a_failure_with_its_name() -> None:
    """An exception that the handler does not catch is a system error (tier 2)."""

    def function(turn: Turn[Any]) -> None:
        raise LookupError("no stock")

    given(make_workflow(function)).when(ORDER).fails("no stock", name="LookupError")


def test_a_violation_is_matched_by_its_kind_and_path() -> None:
    """Tier 3: the path names the field to correct."""
    wrong = payment_handler(lambda event: Emit({"receipt": 1}, type="evt.payment.charged"))
    result = given(wrong).when(ChargeCard("o1", 1.0))

    result.violates(ContractViolation, path="data.receipt")
    with pytest.raises(AssertionError, match=r"expected an issue at data\.x, got issues at data"):
        result.violates(ContractViolation, path="data.x")
    with pytest.raises(AssertionError, match="expected a ContractViolation, but there is none"):
        given(payments).when(charge_request()).violates(ContractViolation)
    with pytest.raises(AssertionError, match="expected commands, got a violation"):
        result.then(Emit(CardCharged("r")))


def test_an_event_that_changes_nothing_is_reported_with_the_reason() -> None:
    """A late event leads to no commands."""
    after = [ORDER, CardCharged("r"), ShipmentBooked("t")]
    late = given(fulfilment, after=after).when(Cancellation("too late"))

    late.then()
    with pytest.raises(AssertionError, match="the workflow is done"):
        late.fails("x")


def test_an_unexpected_payload_is_refused_with_the_expected_ones() -> None:
    """It is a mistake in the test, not a fault of the handler."""
    with pytest.raises(TypeError, match=r"waits for a reply to com\.payment\.charge"):
        given(fulfilment, after=[ORDER]).when(ShipmentBooked("t"))
    with pytest.raises(TypeError, match="waits for ChargeCard, not"):
        given(payments).when(ORDER)
    with pytest.raises(TypeError, match="it has no state or record"):
        given(payments, state=1)
    with pytest.raises(TypeError, match="cannot persist this state"):
        given(fulfilment, state=OrderState(1))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="pass its history as after"):
        given(orders, state=1)


def test_a_refused_history_is_reported_with_its_event() -> None:
    """Otherwise the turn under test would look wrong."""
    wrong = make_workflow(lambda turn: Emit({"no": 1}, type="com.payment.charge"))

    with pytest.raises(AssertionError, match=r"given PlaceOrder\('o1'\): refused"):
        given(wrong, after=[ORDER]).when(CardCharged("r"))
