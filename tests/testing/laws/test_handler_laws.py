"""Handlers: deliberately wrong handlers, each caught, and right ones, left alone."""

import random
import time
from collections.abc import Callable
from typing import Annotated, Any

import pytest
from annotated_types import Interval
from attrs import frozen
from hypothesis import strategies as st

from arvo import (
    Contract,
    ContractViolation,
    Effects,
    Emit,
    Event,
    EventHandler,
    Fail,
    Issue,
    Persist,
    Version,
    Violate,
    call,
)
from arvo.testing import LawViolated, check_handler, events
from docs.examples.orders import carrier, services
from tests.shop import CardCharged, ChargeCard, paying, payments, shipping


@frozen
class Average:
    values: list[float]
    parts: Annotated[int, Interval(ge=0, le=100)]


@frozen
class Averaged:
    value: float
    seen: tuple[float, ...] = ()


average = Contract(
    uri="#/contracts/average",
    type="com.sums.average",
    versions={"1.0.0": Version(accepts=Average, emits={"evt.sums.averaged": Averaged})},
)


def averaging(function: Callable[[Event[Average]], Any]) -> EventHandler[Any]:
    return EventHandler(average, {"1.0.0": function})


def divides(event: Event[Average]) -> Emit:
    return Emit(Averaged(1 / event.data.parts))


def tosses(event: Event[Average]) -> Emit:
    return Emit(Averaged(random.random()))  # noqa: S311


def looks_at_the_clock(event: Event[Average]) -> Emit:
    return Emit(Averaged(time.perf_counter()))


COUNT = [0]


def counts(event: Event[Average]) -> Emit:
    COUNT[0] += 1
    return Emit(Averaged(float(COUNT[0])))


def sorts_in_place(event: Event[Average]) -> Emit:
    event.data.values.sort()
    return Emit(Averaged(0.0))


def emits_another(event: Event[Average]) -> Emit:
    return Emit(Averaged(0.0) if event.data.parts < 10 else ChargeCard("o1", 1.0))


def emits_what_does_not_fit(event: Event[Average]) -> Emit:
    return Emit({"value": "much"}, type="evt.sums.averaged")


def remembers(event: Event[Average]) -> Persist:
    return Persist({})


def violates(event: Event[Average]) -> Emit | Violate:
    if event.data.parts > 50:
        return Violate(ContractViolation("too many", Issue("data.parts", "fewer", "more")))
    return Emit(Averaged(0.0))


def answers_a_string(event: Event[Average]) -> str:
    return "done"


def emits_a_list(event: Event[Average]) -> Emit:
    return Emit(Averaged(0.0, list(event.data.values)))  # type: ignore[arg-type]


async def is_async(event: Event[Average]) -> Emit:
    return Emit(Averaged(0.0))


WRONG: dict[str, tuple[Callable[[Any], Any], str, str]] = {
    "crashes on an allowed value": (divides, "total", "ZeroDivisionError"),
    "tosses a coin": (tosses, "deterministic", "differently"),
    "looks at the clock": (looks_at_the_clock, "deterministic", "differently"),
    "keeps something between events": (counts, "deterministic", "differently"),
    "mutates its input": (sorts_in_place, "input unchanged", "afterwards the payload is"),
    "emits what the contract lacks": (emits_another, "emits only", "ChargeCard"),
    "emits what does not fit": (emits_what_does_not_fit, "emits only", "data.value"),
    "remembers where nothing is remembered": (remembers, "emits only", "Persist"),
    "violates on what the contract accepts": (violates, "total", "data.parts"),
    "answers no command": (answers_a_string, "total", "returns no command"),
    "is an async function": (is_async, "total", "async"),
    "emits a list for a tuple": (emits_a_list, "JSON", "receives it reads"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_handler_is_caught(name: str) -> None:
    """A kit that catches nothing proves nothing."""
    function, law, problem = WRONG[name]

    with pytest.raises(LawViolated) as caught:
        check_handler(averaging(function))

    broken = caught.value.broken
    assert law in broken.law
    assert problem in str(broken)
    assert "remedy: " in str(broken)
    assert len(broken.story) <= 12


def test_the_example_that_breaks_a_law_is_shrunk() -> None:
    """The smallest is the one that explains."""
    with pytest.raises(LawViolated) as caught:
        check_handler(averaging(divides))

    assert str(caught.value) == (
        "the handler of #/contracts/average breaks a law\n"
        "\n"
        "a handler is total over its contract: an exception escapes on an event that its contract"
        " accepts\n"
        "\n"
        "    1. Average([], 0) comes\n"
        "    2. ZeroDivisionError: division by zero\n"
        "\n"
        "remedy: answer it by an Emit or a Fail, narrow what the contract accepts, or say"
        " may_raise=[ZeroDivisionError] if it is meant"
    )


def fetch(key: str) -> int:
    raise NotImplementedError(key)


def fetch_anything(key):  # type: ignore[no-untyped-def]
    raise NotImplementedError(key)


def looks_up(function: Callable[..., Any]) -> EventHandler[Any]:
    def handle(event: Event[ChargeCard]) -> Effects[Emit]:
        found = yield from call(function, event.data.order_id)
        return Emit(CardCharged(str(100 // found)))

    return paying(handle)


def test_effects_are_answered_by_all_that_their_functions_may_return() -> None:
    """A handler must take whatever comes back."""
    with pytest.raises(LawViolated, match="ZeroDivisionError"):
        check_handler(looks_up(fetch))


def test_effects_may_be_answered_by_a_function_or_a_strategy() -> None:
    """Where the called function says too little, or too much."""
    check_handler(looks_up(fetch), effects={fetch: len}, may_raise=[ZeroDivisionError])
    check_handler(looks_up(fetch_anything), effects={fetch_anything: st.integers(1, 9)})
    with pytest.raises(TypeError, match="fetch_anything does not say what it returns"):
        check_handler(looks_up(fetch_anything))


@pytest.mark.parametrize(
    "handler", [payments, shipping, paying(lambda event: Fail("closed")), paying(lambda _: None)]
)
def test_a_right_handler_is_left_alone(handler: EventHandler[Any]) -> None:
    """A kit that cries wolf is switched off."""
    check_handler(handler)


@pytest.mark.parametrize("handler", [services.warehouse, services.payments, services.parcels])
def test_the_services_of_the_example_keep_the_laws(handler: EventHandler[Any]) -> None:
    """They are what readers copy."""
    # What the carrier says is a text to Python; that it is a tracking number is its promise.
    check_handler(handler, effects={carrier.ask: st.just("DE00000001")})


def test_what_is_meant_may_be_said() -> None:
    """An exception that escapes, and a violation, are legal."""
    check_handler(averaging(divides), may_raise=[ZeroDivisionError])
    check_handler(averaging(violates), may_violate=[ContractViolation])


def test_the_events_may_be_narrowed() -> None:
    """To those that really come."""
    check_handler(averaging(divides), events=events(average, parts=st.integers(1, 9)))
