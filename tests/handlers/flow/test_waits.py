"""Waits: signals, and the arguments of waits."""

from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest

from arvo import (
    Emit,
    Event,
    Flow,
    System,
    ask,
    call,
    gather,
    race,
    run,
    sleep,
    wait_for,
)
from tests.handlers.flow.flows import (
    Approved,
    Vetoed,
    answer,
    charge,
    make_flow,
    make_signal,
    rate,
    run_flow,
    waiting,
)
from tests.shop import (
    NOW,
    ChargeCard,
    OrderFulfilled,
    PlaceOrder,
    expect_violation,
    order_request,
)


def test_a_flow_waits_for_a_signal() -> None:
    """An event from outside, by contract."""
    trace = run_flow(waiting, make_signal(Approved("ann"), after=10))

    assert answer(trace) == OrderFulfilled("Approved by ann")
    assert trace.now == NOW + timedelta(seconds=10)


def test_a_signal_that_the_predicate_refuses_stays_unread() -> None:
    """Signals are matched by class and predicate, up to a deadline."""
    refused_signal = make_signal(Approved("eve"), after=10)
    trace = run_flow(waiting, refused_signal, make_signal(Vetoed("bob"), after=20, key="s2"))

    assert answer(trace) == OrderFulfilled("Vetoed by bob")
    assert answer(run_flow(waiting, refused_signal)) == OrderFulfilled("no answer")


def test_a_signal_that_arrives_early_is_stored_until_it_is_read() -> None:
    """Oldest first, and also after a restart from the record."""

    def slow(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
        yield from sleep(60)
        first = yield from wait_for(Approved)
        second = yield from wait_for(Approved)
        return OrderFulfilled(f"{first.by} {second.by}")

    handler = make_flow(slow)
    system = System([handler])
    events = [make_signal(Approved("ann"), 1), make_signal(Approved("bob"), 2, key="s2")]

    assert answer(run(system, order_request(), *events)) == OrderFulfilled("ann bob")

    halfway = run(system, order_request(), *events, until=NOW + timedelta(seconds=5))
    handler.cache.clear()
    rest = run(system, make_signal(Vetoed("x"), 6), records=halfway.records)
    assert rest.outside == ()
    assert rest.events[-1].data == OrderFulfilled("ann bob")


def test_a_predicate_that_raises_fails_the_flow() -> None:
    """The flow cannot catch it, because a replay would not raise it."""

    def wary(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
        with suppress(ZeroDivisionError):
            yield from wait_for(Approved, where=lambda it: 1 / 0 > 1)
        return OrderFulfilled("never")

    trace = run_flow(wary, make_signal(Approved("ann")))

    assert answer(trace).name == "ZeroDivisionError"


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda _: sleep(-1), "not below 0"),
        (lambda _: sleep("5s"), "sleep: expected seconds or a timedelta"),  # type: ignore[arg-type]
        (lambda _: sleep("5s"), "timedelta(seconds=5), got '5s'"),  # type: ignore[arg-type]
        (lambda _: sleep(float("nan")), "sleep: expected seconds or a timedelta"),
        (lambda _: sleep(until="noon"), "sleep.until: expected a datetime with an offset"),  # type: ignore[arg-type]
        (lambda _: sleep(1, until=NOW), "and not both"),
        (lambda _: wait_for(Approved, deadline="1h"), "wait_for.deadline: expected seconds"),  # type: ignore[call-overload]
        (lambda _: call(rate, "EUR", timeout="1h"), "call.timeout: expected seconds"),  # type: ignore[call-overload]
        (lambda _: sleep(until=NOW.replace(tzinfo=None)), "with an offset"),
        (lambda _: sleep(), "seconds or a timedelta"),
        (lambda _: wait_for(), "at least one class"),  # type: ignore[call-overload]
        (lambda _: wait_for(Approved | Vetoed), "a class, got"),  # type: ignore[arg-type]
        (lambda _: wait_for(Approved, "Vetoed"), "wait_for[1]"),  # type: ignore[call-overload]
        (lambda _: ask(ChargeCard("o", 1.0), "CardCharged"), "a class, got"),  # type: ignore[call-overload]
        (lambda _: ask(Emit(ChargeCard("o", 1.0), id="mine")), "no id"),
        (lambda _: gather(sleep(1), charge), "a flow that has not begun"),  # type: ignore[call-overload]
        (lambda _: sleep(timedelta.max), "between the years 1 and 9999"),
        (lambda _: race(), "at least one flow"),
        (lambda _: gather(*(sleep(1) for _ in range(1_001))), "at most 1000 branches"),
        (lambda _: iter_of(7), "an operation, by `yield from`"),
    ],
)
def test_an_invalid_operation_is_refused(wrong: Any, message: str) -> None:
    """The violation names the argument and the remedy."""
    assert message in str(expect_violation(System([make_flow(wrong)]), order_request()))


def iter_of(value: object) -> Flow[Any]:
    yield value  # type: ignore[misc]
