"""FlowScheduler: concurrent branches of a flow."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from arvo import (
    Cancelled,
    Commit,
    Event,
    Fail,
    Flow,
    ServiceFailed,
    System,
    ask,
    continue_as_new,
    gather,
    race,
    run,
    sleep,
    step,
)
from tests.handlers.flow.flows import (
    answer,
    charge,
    make_flow,
    record_of,
    run_flow,
)
from tests.shop import (
    NOW,
    BookShipment,
    CardCharged,
    ChargeCard,
    OrderFulfilled,
    PlaceOrder,
    ShipmentBooked,
    expect_commit,
    expect_violation,
    order_request,
    payment_handler,
    reply_to,
)


def test_branches_run_concurrently_and_return_in_the_order_of_the_arguments() -> None:
    """Fan-out and fan-in, for either order of the replies."""

    def both(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
        booked, paid = yield from gather(
            ask(BookShipment(event.data.order_id), ShipmentBooked),
            ask(ChargeCard(event.data.order_id, 1.0), CardCharged),
        )
        return OrderFulfilled(f"{booked.tracking} {paid.receipt}")

    system = System([make_flow(both)])
    begun = expect_commit(system, order_request())
    replies = {
        "com.shipping.book": ShipmentBooked("t"),
        "com.payment.charge": CardCharged("r"),
    }
    for requests in (begun.events, begun.events[::-1]):
        first = expect_commit(
            system, reply_to(requests[0], replies[requests[0].type], key="a0"), begun.record
        )
        second = expect_commit(
            system, reply_to(requests[1], replies[requests[1].type], key="a1"), first.record
        )

        assert first.events == ()
        assert [event.data for event in second.events] == [OrderFulfilled("t r")]


def test_branches_are_flows_of_their_own() -> None:
    """A branch may perform any number of operations."""

    def one(event: Event[PlaceOrder], wait: int) -> Flow[str]:
        yield from sleep(wait)
        paid = yield from ask(ChargeCard(f"{event.data.order_id}-{wait}", 1.0), CardCharged)
        return paid.receipt

    def many(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
        receipts = yield from gather(*(one(event, wait) for wait in (3, 1, 2)))
        return OrderFulfilled(" ".join(receipts))

    assert answer(run_flow(many)) == OrderFulfilled("r-o1-3 r-o1-1 r-o1-2")


def test_a_branch_that_raises_closes_the_others() -> None:
    """Their requests are abandoned and their timers cleared."""

    def broken(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
        try:
            yield from gather(charge(event), sleep(60), ask(BookShipment("x"), ShipmentBooked))
        except ServiceFailed as failed:
            return OrderFulfilled(f"{failed.service}: {failed.fault.message}")
        raise AssertionError

    def down(_: object) -> Fail:
        return Fail("out of order")

    trace = run(System([payment_handler(down), make_flow(broken)]), order_request())

    assert answer(trace) == OrderFulfilled("com.payment.charge: out of order")
    assert trace.now == NOW


def test_a_generator_cannot_be_two_branches() -> None:
    """Each branch would receive the answers of the other."""

    def twice(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
        paying = charge(event)
        yield from gather(paying, paying)
        raise AssertionError

    assert "a flow that has not begun" in str(
        expect_violation(System([make_flow(twice)]), order_request())
    )


def test_a_branch_that_loses_may_raise_while_it_is_closed() -> None:
    """An exception that left the step would stop a worker."""

    def loser(last: Callable[[], Any]) -> Flow[None]:
        try:
            yield from sleep(60)
        finally:
            last()

    def cancelled() -> None:
        raise Cancelled("too late")

    def fulfil(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
        anew = lambda: continue_as_new(event.data)  # noqa: E731
        yield from race(sleep(1), loser(cancelled), loser(anew))
        return OrderFulfilled("done")

    assert answer(run_flow(fulfil)) == OrderFulfilled("done")


def test_a_race_of_many_timers_may_end() -> None:
    """Cleared timers do not count towards the limit of pending timers."""

    def patient(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
        yield from race(sleep(1), *(sleep(100) for _ in range(700)))
        return OrderFulfilled("done")

    assert answer(run_flow(patient)) == OrderFulfilled("done")


def test_a_race_is_won_by_the_first() -> None:
    """A request with a timeout of a minute; a late reply does no harm."""

    def patient(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
        paid = yield from race(charge(event), sleep(60))
        return OrderFulfilled("too late" if paid is None else "in time")

    assert answer(run_flow(patient)) == OrderFulfilled("in time")
    assert run_flow(patient).now == NOW

    alone = System([make_flow(patient)])
    trace = run(alone, order_request())
    assert answer(trace) == OrderFulfilled("too late")
    assert trace.now == NOW + timedelta(seconds=60)


def test_a_late_reply_to_a_race_that_is_over_changes_nothing() -> None:
    """B07, forgotten requests, the other way round: an abandoned request is not pending."""

    def patient(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
        yield from race(charge(event), sleep(60))
        yield from sleep(60)
        return OrderFulfilled("done")

    system = System([make_flow(patient)])
    begun = expect_commit(system, order_request())
    due = begun.timers[0]
    later = step(system, due.event, begun.record, now=due.due).unwrap()
    assert isinstance(later, Commit)
    late = expect_commit(system, reply_to(begun.events[0], CardCharged("r")), later.record)

    assert (late.outcome, late.record) == ("late", None)
    assert record_of(later.record).pending_requests == {}
    assert "answers no open request" in late.logs[0].attributes["arvo_reason"]


def test_a_request_that_was_not_sent_yet_is_dropped_with_its_branch() -> None:
    """The race is decided before the turn ends."""

    def hasty(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
        def at_once() -> Flow[str]:
            yield from ()
            return "at once"

        return OrderFulfilled(str((yield from race(charge(event), sleep(9), at_once()))))

    commit = expect_commit(System([make_flow(hasty)]), order_request())

    assert [event.type for event in commit.events] == ["arvo.orc.order.fulfil.done"]
    assert commit.timers == ()
