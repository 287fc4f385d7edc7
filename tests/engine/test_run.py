"""Run: execute a whole system as one pure function, in virtual time."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from arvo import Effects, Emit, Event, Fail, Record, Schedule, System, Turn, call, run
from arvo.engine.trace import Refused, StepTaken
from tests.shop import (
    NOW,
    WEB,
    CardCharged,
    ChargeCard,
    OrderFulfilled,
    ShipmentBooked,
    charge,
    charge_request,
    make_workflow,
    order_request,
    payment_handler,
    shop,
)


def test_a_whole_system_is_one_function() -> None:
    """Order, payment and shipment are data, from the first event to the answer."""
    trace = run(shop, order_request())

    assert [event.type for event in trace.events] == [
        "arvo.orc.order.fulfil",
        "com.payment.charge",
        "evt.payment.charged",
        "com.shipping.book",
        "evt.shipping.booked",
        "arvo.orc.order.fulfil.done",
    ]
    assert trace.answer is not None
    assert trace.answer.data == OrderFulfilled("t-o1")
    assert trace.at_rest
    assert (trace.violations, trace.unroutable, trace.outside) == ((), (), ())
    assert trace == run(shop, order_request())


def test_events_are_delivered_first_in_first_out() -> None:
    """B02: the TypeScript package delivers the last event first."""
    seen: list[str] = []

    def takes(event: Event[ChargeCard]) -> None:
        seen.append(event.data.order_id)

    calls = make_workflow(lambda _: [Emit(ChargeCard(str(n), 1.0)) for n in range(4)])

    run(System([payment_handler(takes), calls]), order_request())

    assert seen == ["0", "1", "2", "3"]


@pytest.mark.promise("I8")
def test_an_endless_exchange_of_two_handlers_ends_as_pending() -> None:
    """I8: a run is bounded, and reports the events that are left."""
    system = System([payment_handler(lambda _: Emit(CardCharged("r"))), looping()])

    trace = run(system, order_request(), steps_max=50)

    assert len(trace.entries) == 50
    assert len(trace.pending) == 1
    assert not trace.at_rest


def looping() -> Any:
    return make_workflow(lambda _: Emit(ChargeCard("o", 1.0)))


def test_no_step_at_all_leaves_the_root_pending() -> None:
    """The limit is exact."""
    assert run(shop, order_request(), steps_max=0).pending == (order_request(),)


@pytest.mark.promise("I8")
def test_a_refused_event_is_in_the_trace() -> None:
    """I8: the run continues, and a test can assert on the violation."""
    trace = run(
        System([payment_handler(lambda _: Emit(CardCharged("r"), type="evt.no.no"))]),
        charge_request(),
    )

    assert [type(violation).__name__ for violation in trace.violations] == ["ContractViolation"]
    assert run(shop, charge_request(to="com.no.one")).unroutable[0][0] == charge_request(
        to="com.no.one"
    )


def test_effects_are_replaced_by_functions() -> None:
    """Tests pass another function."""

    def looks_up(event: Event[ChargeCard]) -> Effects[Emit]:
        receipt = yield from call(fetch, event.data.order_id)
        return Emit(CardCharged(receipt))

    trace = run(
        System([payment_handler(looks_up)]),
        charge_request(),
        effects={fetch: lambda key: f"fake {key}"},
    )

    assert trace.answer is not None
    assert trace.answer.data == CardCharged("fake o1")


def fetch(key: str) -> str:
    raise AssertionError("not in a test")


def test_a_run_may_continue_from_records() -> None:
    """A test may start in the middle of a workflow."""
    system = System(
        [make_workflow(lambda turn: Emit(ChargeCard("o", 1.0)) if turn.input else Fail("no"))]
    )
    first = run(system, order_request())
    (request,) = first.commits[0].events
    answer = charge["1.0.0"].emits(
        CardCharged("r"),
        source="com.payment.charge",
        subject=request.subject,
        parentid=request.id,
        to=request.redirectto,
    )

    second = run(system, answer, records=first.records)

    record = second.records[request.subject]
    assert isinstance(record, Record)
    assert record.status == "failed"
    assert first.records[request.subject].status == "active"


@pytest.mark.promise("I10")
@pytest.mark.parametrize("now", [None, datetime(2030, 1, 1, tzinfo=UTC)])
def test_time_is_an_argument(now: datetime | None) -> None:
    """I10: the default is the time of the first event."""
    trace = run(shop, order_request(), now=now)

    year = "2026" if now is None else "2030"
    assert {event.time[:4] for event in trace.events[1:]} == {year}


def test_a_business_failure_is_an_ordinary_event() -> None:
    """Tier 1, then tier 2: the workflow reports the failure to its caller."""
    trace = run(shop, order_request(amount=5_000.0))

    assert trace.answer is not None
    assert (trace.answer.type, trace.answer.to) == ("sys.arvo.orc.order.fulfil.error", WEB)
    assert trace.answer.data.message == "payment declined: limit"
    assert ShipmentBooked not in {type(event.data) for event in trace.events}


def test_the_trace_has_an_entry_for_each_step() -> None:
    """An entry has the event, the record before the step, and the commit."""
    trace = run(shop, order_request())

    steps = [entry for entry in trace.entries if isinstance(entry, StepTaken)]
    assert [entry.event for entry in steps] == list(trace.events[:-1])
    turns = [entry for entry in steps if entry.commit.record is not None]
    before = [None, *(entry.commit.record for entry in turns[:-1])]
    assert [entry.before for entry in turns] == before


def test_a_refused_event_has_an_entry_with_its_violation() -> None:
    """A reader of the trace finds the event to deliver again."""
    wrong = System([payment_handler(lambda _: Emit(CardCharged("r"), type="evt.no.no"))])

    trace = run(wrong, charge_request())

    assert trace.entries == (Refused(charge_request(), trace.violations[0]),)


def test_a_timer_after_the_end_of_the_run_is_not_pending() -> None:
    """A run up to a time is at rest when everything due by then is done."""
    system = System(
        [make_workflow(lambda _: [Schedule("soon", after=5), Schedule("late", after=50)])]
    )
    soon, late = run(system, order_request(), now=NOW, steps_max=1).pending

    def pending(seconds: float) -> Any:
        until = NOW + timedelta(seconds=seconds)
        return run(system, order_request(), now=NOW, steps_max=1, until=until).pending

    assert [pending(seconds) for seconds in (4, 5, 49, 50)] == [
        *((), (soon,), (soon,), (soon, late)),
    ]


def test_timers_of_one_time_fire_in_the_order_in_which_they_were_set() -> None:
    """The same run twice is the same trace."""
    fired: list[str] = []

    def function(turn: Turn[Any]) -> Any:
        if turn.record is None:
            return [Schedule(name, after=5) for name in "bac"]
        fired.append(turn.event.data.name)
        return None

    run(System([make_workflow(function)]), order_request())

    assert fired == ["b", "a", "c"]


@pytest.mark.promise("I9")
def test_the_timers_of_a_failed_workflow_do_not_fire() -> None:
    """I9: the record still holds them, as the last good turn left them."""

    def function(turn: Turn[Any]) -> Any:
        if turn.record is None:
            return [Emit(ChargeCard("o", 1.0)), Schedule("t", after=5)]
        return Fail("no")

    system = System([make_workflow(function), payment_handler(lambda _: Emit(CardCharged("r")))])

    trace = run(system, order_request())

    assert [commit.outcome for commit in trace.commits] == ["handled", "handled", "failed"]
    assert trace.at_rest
