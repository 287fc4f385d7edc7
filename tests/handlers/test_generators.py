"""Generators: a flow or an effect that was made and never driven is a warning with its line."""

import inspect
import re
import warnings
from collections.abc import Callable, Generator
from datetime import UTC, datetime
from typing import Any

import pytest

import arvo
from arvo import (
    Effects,
    Emit,
    Event,
    Fail,
    Flow,
    System,
    Violated,
    ask,
    call,
    call_workflow,
    compensate_with,
    fail,
    gather,
    race,
    run,
    sleep,
    step,
    tell,
    wait_for,
)
from arvo.handlers.generators import mistaken_calls
from docs.examples.orders import as_flow
from property_tests import test_flows as program_laws
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
    """Forget to drive an effect, as only its run shows."""
    forgotten = call(str, 1)
    del forgotten
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


def _charge() -> Flow[CardCharged]:
    return (yield from ask(ChargeCard("o1", 1.0), CardCharged))


def _double(number: int) -> int:
    return 2 * number


def alone(_: Any) -> Any:
    sleep(1)
    yield from sleep(2)


def with_module(_: Any) -> Any:
    yield from sleep(2)
    arvo.sleep(
        1,
    )


def own(_: Any) -> Any:
    _charge()
    yield from sleep(2)


def plain_yield(_: Any) -> Any:
    yield ask(ChargeCard("o1", 1.0), CardCharged)


def inside(_: Any) -> Any:
    def part() -> Flow[None]:
        sleep(1)
        yield from sleep(2)

    yield from part()


def without_any(_: Any) -> Any:
    call(_double, 1)


@pytest.mark.parametrize(
    ("function", "called", "line"),
    [
        (alone, "sleep", 1),
        (with_module, "sleep", 2),
        (own, "_charge", 1),
        (plain_yield, "ask", 1),
        (inside, "sleep", 2),
        (without_any, "call", 1),
    ],
)
def test_a_call_without_yield_from_is_refused_where_the_handler_is_made(
    function: Any, called: str, line: int
) -> None:
    """Before any event comes, and with its line."""
    line += function.__code__.co_firstlineno
    text = f"expected `yield from {called}(...)` at test_generators.py:{line}, got a call alone"

    with pytest.raises(Violated, match=re.escape(text)):
        make_flow(function)
    with pytest.raises(Violated, match=re.escape(text)):
        payment_handler(function)


def raises(_: Any) -> Any:
    raise Fail("no")  # type: ignore[misc]


def test_a_command_that_is_raised_is_refused_where_the_handler_is_made() -> None:
    """Python would say that exceptions must derive from BaseException."""
    text = f"`return Fail(...)`, at test_generators.py:{raises.__code__.co_firstlineno + 1}, got"

    for make in (make_flow, payment_handler):
        with pytest.raises(Violated, match=re.escape(text)):
            make(raises)


def branches(_: Any) -> Flow[OrderFulfilled]:
    """Use each form of call that has its generator run."""
    first, *_ = yield from gather(_charge(), _charge())
    yield from gather(*(sleep(it) for it in range(2)))
    parts = [sleep(1), _charge()]
    yield from gather(*parts)
    yield from race(*_parts(), sleep(2) if first.receipt else sleep(3))
    str(sleep)
    if not first.receipt:
        fail("not charged")
        raise ValueError(str(Fail("no")))
    return OrderFulfilled(first.receipt)


def _parts() -> Generator[Flow[Any], None, None]:
    yield sleep(1)
    yield _charge()


def test_a_call_whose_generator_runs_later_is_not_refused() -> None:
    assert list(mistaken_calls(branches)) == []
    assert list(mistaken_calls(patient)) == []
    assert list(mistaken_calls(len)) == []


def test_no_function_of_the_examples_lacks_a_yield_from() -> None:
    """The search reads instructions, and must alarm about none of a correct program."""
    for module in (as_flow, program_laws):
        for value in vars(module).values():
            assert list(mistaken_calls(value)) == []
