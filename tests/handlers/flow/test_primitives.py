"""Primitives: requests, endings and compensations of a flow."""

from typing import Any

from attrs import evolve

from arvo import (
    Emit,
    Event,
    ExecutionViolation,
    Flow,
    System,
    SystemFault,
    UnexpectedReply,
    Violated,
    ask,
    compensate_with,
    continue_as_new,
    fail,
    run,
    tell,
)
from tests.handlers.flow.flows import (
    answer,
    charge,
    make_flow,
    run_flow,
    system_with,
)
from tests.shop import (
    BookShipment,
    CardCharged,
    CardDeclined,
    ChargeCard,
    OrderFulfilled,
    PlaceOrder,
    ShipmentBooked,
    expect_commit,
    expect_violation,
    order_request,
)


def test_a_flow_sends_requests_and_completes() -> None:
    """The whole order workflow as one generator function."""

    def fulfil(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
        paid = yield from charge(event)
        if isinstance(paid, CardDeclined):
            return fail(f"payment declined: {paid.reason}")
        booked = yield from ask(BookShipment(event.data.order_id), ShipmentBooked)
        return OrderFulfilled(f"{booked.tracking} {paid.receipt}")

    assert answer(run_flow(fulfil)) == OrderFulfilled("t-o1 r-o1")
    declined = run(system_with(fulfil), order_request(amount=2_000))
    assert answer(declined) == SystemFault(errorName="Fail", errorMessage="payment declined: limit")


def test_a_flow_without_operations_completes_at_once() -> None:
    """A generator is not required where there is nothing to wait for."""
    assert answer(run_flow(lambda _: OrderFulfilled("none"))) == OrderFulfilled("none")  # type: ignore[arg-type,return-value]


def test_a_function_that_is_no_generator_may_end_the_flow_as_well() -> None:
    """Its exceptions are those of the flow, not of the step."""

    def strict(event: Event[PlaceOrder]) -> Any:
        if event.data.amount > 100:
            raise ValueError("too much")
        if event.data.amount > 10:
            return fail("much")
        if event.data.amount > 1:
            return continue_as_new(evolve(event.data, amount=1.0))
        return OrderFulfilled("little")

    answers = [
        answer(run(system_with(strict), order_request(amount=amount)))
        for amount in (1000.0, 50.0, 5.0)
    ]

    assert answers == [
        SystemFault(errorName="ValueError", errorMessage="too much"),
        SystemFault(errorName="Fail", errorMessage="much"),
        OrderFulfilled("little"),
    ]


def test_an_unexpected_reply_is_raised_at_the_request() -> None:
    """A flow that names one reply must not take another for it."""

    def narrow(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
        try:
            yield from ask(ChargeCard(event.data.order_id, 2_000), CardCharged)
        except UnexpectedReply as other:
            return OrderFulfilled(f"{other.event_type} {other.reply}")
        raise AssertionError

    reply = "evt.payment.declined CardDeclined(reason='limit')"
    assert answer(run_flow(narrow)) == OrderFulfilled(reply)


def test_a_request_that_no_service_accepts_is_refused() -> None:
    """The violation names the mistake, and nothing changes."""

    def lost(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
        yield from ask(CardCharged("r"))
        raise AssertionError

    assert "names no event with this payload" in str(
        expect_violation(System([make_flow(lost)]), order_request())
    )


def test_an_exception_that_escapes_is_a_system_error() -> None:
    """Tier 2, as in every handler."""

    def broken(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
        yield from charge(event)
        raise LookupError("no stock")

    trace = run_flow(broken)

    assert answer(trace) == SystemFault(errorName="LookupError", errorMessage="no stock")
    assert trace.records[order_request().subject].status == "failed"


def test_a_violation_that_is_raised_is_the_result_of_the_step() -> None:
    """Tier 3: nothing changes."""
    broken = ExecutionViolation("broken")

    def violating(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
        yield from ()
        raise Violated(broken)

    assert expect_violation(System([make_flow(violating)]), order_request()) == broken


def test_tell_sends_its_request_once_and_does_not_wait() -> None:
    """A replay does not send it again."""

    def chatty(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
        yield from tell(BookShipment("hint"))
        paid = yield from charge(event)
        return OrderFulfilled(str(paid))

    trace = run_flow(chatty)

    assert [event.type for event in trace.events].count("com.shipping.book") == 1


def test_compensations_are_sent_last_first_when_a_flow_fails() -> None:
    """A payload counts from the request on, a function once the reply has arrived."""

    def fulfil(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
        yield from ask(ChargeCard("a", 1.0), CardCharged, compensate=BookShipment("cancel a"))
        yield from ask(
            ChargeCard("b", 1.0),
            CardCharged,
            compensate=lambda it: BookShipment(f"cancel {it.receipt}"),
        )
        yield from ask(ChargeCard("c", 2_000), CardDeclined, compensate=lambda it: None)
        yield from compensate_with(BookShipment("cancel d"))
        return fail("no stock")

    trace = run_flow(fulfil)

    sent = [event.data.order_id for event in trace.events if event.type == "com.shipping.book"]
    assert sent == ["cancel d", "cancel r-b", "cancel a"]
    assert answer(trace) == SystemFault(errorName="Fail", errorMessage="no stock")
    assert trace.records[order_request().subject].compensations == ()


def test_tell_takes_an_emit_with_its_options() -> None:
    """Options of the call are added to those of the `Emit`."""

    def fulfil(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
        yield from tell(Emit(ChargeCard("o", 1.0), accesscontrol="a"), to="com.payment.other")
        return OrderFulfilled("done")

    sent = expect_commit(System([make_flow(fulfil)]), order_request()).events[0]

    assert (sent.to, sent.accesscontrol) == ("com.payment.other", "a")
