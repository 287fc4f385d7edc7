"""Generators: a flow or an effect that was made and never driven is a warning with its line."""

import inspect
import warnings
from collections.abc import Callable, Generator
from datetime import UTC, datetime
from typing import Any

import pytest

from arvo import (
    Effects,
    Emit,
    Event,
    Flow,
    System,
    ask,
    call,
    call_workflow,
    compensate_with,
    gather,
    race,
    run,
    sleep,
    step,
    tell,
    wait_for,
)
from tests.handlers.flow.flows import make_flow
from tests.shop import (
    NOW,
    BookShipment,
    CardCharged,
    ChargeCard,
    OrderFulfilled,
    PlaceOrder,
    charge_request,
    order,
    order_request,
    payment_handler,
)

MAKERS: list[tuple[str, Callable[[], Any]]] = [
    ("call", lambda: call(str, 1)),
    ("ask", lambda: ask(ChargeCard("o1", 1.0), CardCharged)),
    ("call_workflow", lambda: call_workflow(order["1.0.0"], PlaceOrder("o1"))),
    ("tell", lambda: tell(BookShipment("o1"))),
    ("compensate_with", lambda: compensate_with(BookShipment("o1"))),
    ("sleep", lambda: sleep(1)),
    ("wait_for", lambda: wait_for(CardCharged)),
    ("gather", lambda: gather()),
    ("race", lambda: race()),
]


def made_by(function: Callable[[], Any]) -> list[warnings.WarningMessage]:
    """Return what a function warns about when it is called and its result is dropped."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        function()
    return caught


@pytest.mark.parametrize(("name", "make"), MAKERS, ids=[name for name, _ in MAKERS])
def test_one_that_is_dropped_names_its_line(name: str, make: Callable[[], Any]) -> None:
    """Python drops it in silence, and the handler goes on as if the work were done."""
    [warning] = made_by(make)

    text = f"{name}(...) does nothing by itself: write `yield from {name}(...)`"
    assert str(warning.message) == text
    assert warning.category is RuntimeWarning
    assert (warning.filename, warning.lineno) == (__file__, make.__code__.co_firstlineno)


def test_the_line_is_that_of_the_call_within_a_long_function() -> None:
    """Not that of the function, nor the one where the last reference ends."""

    def handler() -> int:
        effect = call(
            str,
            1,
        )
        del effect
        return 1

    [warning] = made_by(handler)

    lines = inspect.getsourcelines(handler)
    assert warning.lineno == lines[1] + 1


def forgets(event: Event[ChargeCard]) -> Effects[Emit]:
    """Forget to drive an effect."""
    call(str, 1)
    receipt = yield from call(str, 2)
    return Emit(CardCharged(receipt))


def test_an_effect_that_a_handler_forgets_is_found_in_its_step() -> None:
    """The step itself succeeds, as far as it can know."""
    system = System([payment_handler(forgets)])

    [warning] = made_by(lambda: step(system, charge_request(), None, now=NOW))

    assert (warning.filename, warning.lineno) == (__file__, forgets.__code__.co_firstlineno + 2)


def early(event: Event[ChargeCard]) -> Effects[Emit]:
    """Make two effects before the first of them is driven."""
    first, second = call(str, 1), call(str, 2)
    return Emit(CardCharged((yield from first) + (yield from second)))


def patient(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
    """Make two waits before the first of them is driven, and branches that never start."""
    first, second = sleep(1), sleep(2)
    yield from first
    yield from second
    yield from race(_at_once(), sleep(3), ask(ChargeCard("o1", 1.0), CardCharged))
    return OrderFulfilled("t")


def _at_once() -> Flow[None]:
    yield from ()


def test_one_that_is_driven_later_is_not_reported() -> None:
    """Each step of a handler ends at its next effect, and closes what it has made until then."""
    flow_system = System([make_flow(patient)])

    def both() -> None:
        run(System([payment_handler(early)]), charge_request(), effects={str: str})
        trace = run(flow_system, order_request())
        assert trace.events[-1].data == OrderFulfilled("t")

    assert made_by(both) == []


def test_a_line_is_reported_once_by_default() -> None:
    """A handler that forgets an effect does so for every event."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        for _ in range(3):
            MAKERS[0][1]()

    assert len(caught) <= 1


def test_one_that_was_started_is_not_reported() -> None:
    """Also where it is driven by hand, and left."""

    def by_hand() -> None:
        generator: Generator[Any, Any, Any] = sleep(until=datetime(2026, 1, 1, tzinfo=UTC))
        next(generator)

    assert made_by(by_hand) == []
