"""Run: a whole system as one function."""

from datetime import UTC, datetime
from typing import Any

import pytest

from arvo import Effects, Emit, Event, Fail, Record, System, call, run
from tests.shop import (
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
