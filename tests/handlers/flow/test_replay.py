"""Replay: a flow that is rebuilt from its record."""

import gc
import sys
from typing import Any

import pytest
from attrs import evolve

from arvo import (
    Event,
    Flow,
    System,
    ask,
    continue_as_new,
    migrate,
    run,
    sleep,
    step,
    tell,
)
from arvo.core.change import record_change
from tests.handlers.flow.flows import (
    Approved,
    charge,
    make_cancellation,
    make_flow,
    make_signal,
    record_of,
    system_with,
    waiting,
)
from tests.shop import (
    NOW,
    BookShipment,
    CardCharged,
    OrderFulfilled,
    PlaceOrder,
    ShipmentBooked,
    expect_commit,
    expect_violation,
    order,
    order_request,
    reply_to,
)


def test_a_changed_flow_is_refused_with_its_first_difference() -> None:
    """The violation shows both operations and the position."""

    def before(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
        yield from charge(event)
        yield from ask(BookShipment("a"), ShipmentBooked)
        raise AssertionError

    def after(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
        yield from charge(event)
        yield from ask(BookShipment("b"), ShipmentBooked)
        raise AssertionError

    def longer(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
        yield from tell(BookShipment("a"))
        yield from charge(event)
        raise AssertionError

    old = System([make_flow(before)])
    begun = expect_commit(old, order_request())
    charged = expect_commit(old, reply_to(begun.events[0], CardCharged("r")), begun.record)
    reply = reply_to(charged.events[0], ShipmentBooked("t"), key="a2")

    message = str(expect_violation(System([make_flow(after)]), reply, charged.record))
    assert 'journal[1]: expected ask BookShipment {"order_id":"a"}, got ask BookShipment' in message
    assert "keep the old version, or migrate" in message
    message = str(expect_violation(System([make_flow(longer)]), reply, charged.record))
    assert (
        'journal[0]: expected ask ChargeCard {"amount":10.0,"order_id":"o1"}, got tell' in message
    )


def test_a_flow_that_is_discarded_is_closed() -> None:
    """Else Python reports on garbage collection that the generator ignored GeneratorExit."""
    reports: list[object] = []

    def tidy(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
        try:
            yield from sleep(60)
        finally:
            yield from tell(BookShipment("return"))
        raise AssertionError

    handler = make_flow(tidy)
    begun = expect_commit(System([handler]), order_request())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "unraisablehook", reports.append)
        handler.query(record_of(begun.record))
        migrate(handler, record_of(begun.record), to="1.0.0", state=None)
        step(
            System([handler]),
            make_cancellation(),
            evolve(record_of(begun.record), state={}),
            now=NOW,
        )
        handler.cache.clear()
        gc.collect()

    assert reports == []


def test_a_query_shows_the_pending_operations_and_variables_of_a_flow() -> None:
    """It is a pure function of the record."""

    def fulfil(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
        stage = "paying"
        yield from charge(event)
        stage = "shipping"
        yield from ask(BookShipment(stage), ShipmentBooked)
        raise AssertionError

    handler = make_flow(fulfil)
    system = System([handler])
    begun = expect_commit(system, order_request())
    charged = expect_commit(system, reply_to(begun.events[0], CardCharged("r")), begun.record)

    view = handler.query(record_of(charged.record))

    assert view.waiting == ('ask BookShipment {"order_id":"shipping"}',)
    assert view.variables["stage"] == "shipping"
    assert handler.query(record_of(begun.record)).variables["stage"] == "paying"


def test_a_record_that_is_not_of_a_flow_is_refused() -> None:
    """It may be that of another handler, or damaged."""
    handler = make_flow(waiting)
    begun = record_of(expect_commit(System([handler]), order_request()).record)
    handler.cache.clear()

    state: Any = begun.state
    description = state["waiting"]["0"]
    for broken in (
        evolve(begun, journal=()),
        evolve(begun, state=[1]),
        evolve(begun, state={}),
        evolve(begun, state={**state, "waiting": {"first": "a"}}),
        evolve(begun, journal=(*begun.journal, {"at": 0, "asked": description, "got": "x"})),
    ):
        assert "the record is not that of a flow" in str(
            expect_violation(System([handler]), make_signal(Approved("a")), broken)
        )


def test_a_turn_appends_to_the_journal_or_begins_it_anew() -> None:
    """A store then writes only the new entries."""

    def page(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
        yield from charge(event)
        if event.data.amount < 12:
            return continue_as_new(evolve(event.data, amount=event.data.amount + 1))
        return OrderFulfilled("done")

    trace = run(system_with(page), order_request(amount=10.0))

    commits = [commit for commit in trace.commits if commit.handler == order.type]
    changes = [
        record_change(commit.before, record_of(commit.record))["lists"]["journal"]
        for commit in commits
        if commit.before is not None
    ]
    assert [(retained, len(entries)) for retained, entries in changes] == [(0, 1), (0, 1), (1, 1)]
