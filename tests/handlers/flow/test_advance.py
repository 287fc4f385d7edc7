"""Advance: cancellation and continue-as-new of a flow."""

from datetime import timedelta

from attrs import evolve

from arvo import (
    Cancelled,
    Event,
    Flow,
    System,
    SystemFault,
    continue_as_new,
    flow,
    gather,
    run,
    sleep,
    tell,
)
from tests.handlers.flow.flows import (
    Pack,
    Packed,
    answer,
    charge,
    make_cancellation,
    make_flow,
    packing,
    run_flow,
    system_with,
)
from tests.shop import (
    NOW,
    SERVICES,
    BookShipment,
    OrderFulfilled,
    PlaceOrder,
    expect_violation,
    order,
    order_request,
)


def test_a_cancelled_flow_may_still_send_events_but_not_wait() -> None:
    """`Cancelled` is raised where each branch waits."""
    log: list[str] = []

    def branch(name: str) -> Flow[None]:
        try:
            yield from sleep(60)
        except Cancelled as cancelled:
            log.append(f"{name}: {cancelled.reason}")
            yield from tell(BookShipment(f"return {name}"))
            yield from sleep(60)
            log.append("never")

    def fulfil(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
        try:
            yield from gather(branch("a"), branch("b"))
        finally:
            log.append("finally")
        raise AssertionError

    trace = run_flow(fulfil, make_cancellation())

    assert log == ["a: changed my mind", "b: changed my mind", "finally"]
    assert answer(trace) == SystemFault(errorName="Cancelled", errorMessage="changed my mind")
    assert trace.records[order_request().subject].status == "cancelled"
    sent = [event.data.order_id for event in trace.events if event.type == "com.shipping.book"]
    assert sent == ["return a", "return b"]
    assert trace.now == NOW + timedelta(seconds=1)


def test_a_cancelled_flow_does_not_continue_as_new() -> None:
    """Its requests would have no workflow that waits for them."""

    def page(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
        if event.data.amount == 1.0:
            yield from charge(event)
        try:
            yield from sleep(60)
        except Cancelled:
            return continue_as_new(evolve(event.data, amount=1.0))
        raise AssertionError

    trace = run_flow(page, make_cancellation())

    assert answer(trace).name == "Cancelled"
    assert [event.type for event in trace.events if event.type == "com.payment.charge"] == []


def test_a_flow_may_continue_as_new_with_an_empty_history() -> None:
    """The journal of a workflow that runs for ever stays short."""

    def page(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
        yield from charge(event)
        if event.data.amount < 5:
            return continue_as_new(evolve(event.data, amount=event.data.amount + 1))
        return OrderFulfilled(f"page {event.data.amount}")

    trace = run(system_with(page), order_request(amount=1.0))

    assert answer(trace) == OrderFulfilled("page 5.0")
    record = trace.records[order_request().subject]
    assert isinstance(record.state, dict)
    assert record.state["generation"] == 4
    assert len(record.journal) == 2
    amounts = [event.data.amount for event in trace.events if event.type == "com.payment.charge"]
    assert amounts == [1.0, 2.0, 3.0, 4.0, 5.0]


def test_a_flow_that_continues_as_new_forgets_its_requests() -> None:
    """Requests that are never answered would otherwise pile up to the limit."""

    @flow(packing, "1.0.0")
    def pack(event: Event[Pack]) -> Flow[Packed]:
        yield from sleep(60)
        return Packed(2)

    @flow(order, "1.0.0", services=[*SERVICES, packing["1.0.0"]])
    def page(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
        yield from tell(BookShipment("of old"))
        yield from tell(Pack("of old"))
        yield from sleep(1)
        if event.data.amount < 5:
            return continue_as_new(evolve(event.data, amount=event.data.amount + 1))
        return OrderFulfilled("done")

    begun = order_request(amount=4.0)
    trace = run(System([pack, page]), begun, until=NOW + timedelta(seconds=1))

    record = trace.records[begun.subject]
    assert len(record.children) == 2
    sent = {event.id: event.type for event in trace.events}
    pack_type, book_type = packing.type, "com.shipping.book"
    assert [sent[id_] for id_ in record.pending_requests] == [pack_type, book_type, pack_type]


def test_a_flow_that_continues_as_new_without_end_is_stopped() -> None:
    """Everything is bounded."""

    def spin(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
        yield from ()
        return continue_as_new(event.data)

    assert "continues as new without end" in str(
        expect_violation(System([make_flow(spin)]), order_request())
    )
