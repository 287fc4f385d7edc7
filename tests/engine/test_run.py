"""Run: a whole system as one function."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from arvo import Effects, Emit, Event, Fail, Record, Schedule, System, Turn, call, run
from arvo.engine.trace import Refused, Stepped
from tests.shop import (
    NOW,
    WEB,
    CardCharged,
    ChargeCard,
    OrderFulfilled,
    ShipmentBooked,
    charge,
    charging,
    paying,
    placing,
    shop,
    workflow,
)


def test_a_whole_system_is_one_function() -> None:
    """Order, payment, shipment: seen as data, from the first event to the answer."""
    trace = run(shop, placing())

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
    assert trace == run(shop, placing())


def test_events_are_delivered_first_in_first_out() -> None:
    """B02: the reference delivers the last one first."""
    seen: list[str] = []

    def takes(event: Event[ChargeCard]) -> None:
        seen.append(event.data.order_id)

    asks = workflow(lambda _: [Emit(ChargeCard(str(n), 1.0)) for n in range(4)])

    run(System([paying(takes), asks]), placing())

    assert seen == ["0", "1", "2", "3"]


def test_two_handlers_that_answer_each_other_for_ever_end_as_pending() -> None:
    """Everything is bounded, and what is left is told (I8)."""
    system = System([paying(lambda _: Emit(CardCharged("r"))), looping()])

    trace = run(system, placing(), steps_max=50)

    assert len(trace.happened) == 50
    assert len(trace.pending) == 1
    assert not trace.at_rest


def looping() -> Any:
    return workflow(lambda _: Emit(ChargeCard("o", 1.0)))


def test_no_step_at_all_leaves_the_root_pending() -> None:
    """The bound is exact."""
    assert run(shop, placing(), steps_max=0).pending == (placing(),)


def test_a_refused_event_ends_in_the_trace() -> None:
    """I8: the rest goes on, and the violation is there to be asserted."""
    trace = run(System([paying(lambda _: Emit(CardCharged("r"), type="evt.no.no"))]), charging())

    assert [type(each).__name__ for each in trace.violations] == ["ContractViolation"]
    assert run(shop, charging(to="com.no.one")).unroutable[0][0] == charging(to="com.no.one")


def test_effects_are_answered_from_a_table() -> None:
    """Tests hand in another function."""

    def looks_up(event: Event[ChargeCard]) -> Effects[Emit]:
        receipt = yield from call(fetch, event.data.order_id)
        return Emit(CardCharged(receipt))

    trace = run(System([paying(looks_up)]), charging(), effects={fetch: lambda key: f"fake {key}"})

    assert trace.answer is not None
    assert trace.answer.data == CardCharged("fake o1")


def fetch(key: str) -> str:
    raise AssertionError("not in a test")


def test_a_workflow_goes_on_from_what_is_remembered() -> None:
    """A run may begin in the middle."""
    asks = System([workflow(lambda turn: Emit(ChargeCard("o", 1.0)) if turn.input else Fail("no"))])
    first = run(asks, placing())
    (request,) = first.commits[0].events
    answer = charge["1.0.0"].emits(
        CardCharged("r"),
        source="com.payment.charge",
        subject=request.subject,
        parentid=request.id,
        to=request.redirectto,
    )

    second = run(asks, answer, records=first.records)

    record = second.records[request.subject]
    assert isinstance(record, Record)
    assert record.status == "failed"
    assert first.records[request.subject].status == "active"


@pytest.mark.parametrize("now", [None, datetime(2030, 1, 1, tzinfo=UTC)])
def test_time_is_an_argument(now: datetime | None) -> None:
    """I10: by default that of the first event."""
    trace = run(shop, placing(), now=now)

    year = "2026" if now is None else "2030"
    assert {event.time[:4] for event in trace.events[1:]} == {year}


def test_a_business_failure_is_an_ordinary_event() -> None:
    """Tier 1, then tier 2: the workflow tells whoever asked."""
    trace = run(shop, placing(amount=5_000.0))

    assert trace.answer is not None
    assert (trace.answer.type, trace.answer.to) == ("sys.arvo.orc.order.fulfil.error", WEB)
    assert trace.answer.data.message == "payment declined: limit"
    assert ShipmentBooked not in {type(event.data) for event in trace.events}


def test_what_happened_is_told_step_by_step() -> None:
    """Each event, what was remembered before it, and what came of it."""
    trace = run(shop, placing())

    steps = [each for each in trace.happened if isinstance(each, Stepped)]
    assert [each.event for each in steps] == list(trace.events[:-1])
    turns = [each for each in steps if each.commit.record is not None]
    before = [None, *(each.commit.record for each in turns[:-1])]
    assert [each.before for each in turns] == before


def test_a_refused_event_is_told_with_its_violation() -> None:
    """Whoever reads the trace finds what to deliver again."""
    wrong = System([paying(lambda _: Emit(CardCharged("r"), type="evt.no.no"))])

    trace = run(wrong, charging())

    assert trace.happened == (Refused(charging(), trace.violations[0]),)


def test_what_waits_beyond_the_end_of_time_is_not_pending() -> None:
    """A run up to a time ends at rest where all that was due by then is done."""
    times = System([workflow(lambda _: [Schedule("soon", after=5), Schedule("late", after=50)])])
    soon, late = run(times, placing(), now=NOW, steps_max=1).pending

    def pending(seconds: float) -> Any:
        until = NOW + timedelta(seconds=seconds)
        return run(times, placing(), now=NOW, steps_max=1, until=until).pending

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

    run(System([workflow(function)]), placing())

    assert fired == ["b", "a", "c"]


def test_the_timer_of_a_workflow_that_failed_does_not_fire() -> None:
    """Its record still holds it, as its last good turn left it (I9)."""

    def function(turn: Turn[Any]) -> Any:
        if turn.record is None:
            return [Emit(ChargeCard("o", 1.0)), Schedule("t", after=5)]
        return Fail("no")

    system = System([workflow(function), paying(lambda _: Emit(CardCharged("r")))])

    trace = run(system, placing())

    assert [commit.outcome for commit in trace.commits] == ["handled", "handled", "failed"]
    assert trace.at_rest
