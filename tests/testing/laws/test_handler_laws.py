"""Handler laws: every wrong handler fails its law, and correct handlers pass."""

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
from tests.shop import CardCharged, ChargeCard, payment_handler, payments, shipping


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


def uses_randomness(event: Event[Average]) -> Emit:
    return Emit(Averaged(random.random()))  # noqa: S311


def reads_the_clock(event: Event[Average]) -> Emit:
    return Emit(Averaged(time.perf_counter()))


COUNT = [0]


def counts(event: Event[Average]) -> Emit:
    COUNT[0] += 1
    return Emit(Averaged(float(COUNT[0])))


def sorts_in_place(event: Event[Average]) -> Emit:
    event.data.values.sort()
    return Emit(Averaged(0.0))


def emits_an_unknown_event(event: Event[Average]) -> Emit:
    return Emit(Averaged(0.0) if event.data.parts < 10 else ChargeCard("o1", 1.0))


def emits_an_invalid_payload(event: Event[Average]) -> Emit:
    return Emit({"value": "much"}, type="evt.sums.averaged")


def persists(event: Event[Average]) -> Persist:
    return Persist({})


def violates(event: Event[Average]) -> Emit | Violate:
    if event.data.parts > 50:
        return Violate(ContractViolation("too many", Issue("data.parts", "fewer", "more")))
    return Emit(Averaged(0.0))


def returns_a_string(event: Event[Average]) -> str:
    return "done"


def emits_a_list(event: Event[Average]) -> Emit:
    return Emit(Averaged(0.0, list(event.data.values)))  # type: ignore[arg-type]


async def _late() -> Emit:
    return Emit(Averaged(0.0))


def returns_a_coroutine(_: Event[Average]) -> Any:
    return _late()


WRONG: dict[str, tuple[Callable[[Any], Any], str, str]] = {
    "crashes on an allowed value": (divides, "total", "ZeroDivisionError"),
    "uses randomness": (uses_randomness, "deterministic", "different commands"),
    "reads the clock": (reads_the_clock, "deterministic", "different commands"),
    "keeps state between events": (counts, "deterministic", "different commands"),
    "mutates its input": (sorts_in_place, "input unchanged", "afterwards the payload is"),
    "emits an event that the contract lacks": (emits_an_unknown_event, "emits only", "ChargeCard"),
    "emits an invalid payload": (emits_an_invalid_payload, "emits only", "data.value"),
    "persists without a workflow": (persists, "emits only", "Persist"),
    "violates on an event that the contract accepts": (violates, "total", "data.parts"),
    "returns no command": (returns_a_string, "total", "returns no command"),
    "returns a coroutine": (returns_a_coroutine, "total", "coroutine"),
    "emits a list for a tuple": (emits_a_list, "JSON", "a receiver reads"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_handler_is_found(name: str) -> None:
    """A check that finds nothing proves nothing."""
    function, law, problem = WRONG[name]

    with pytest.raises(LawViolated) as caught:
        check_handler(averaging(function))

    violation = caught.value.violation
    assert law in violation.law
    assert problem in str(violation)
    assert "remedy: " in str(violation)
    assert len(violation.trace) <= 12


def test_the_example_that_breaks_a_law_is_shrunk() -> None:
    """The smallest example is the easiest to understand."""
    with pytest.raises(LawViolated) as caught:
        check_handler(averaging(divides))

    assert str(caught.value) == (
        "the handler of #/contracts/average breaks a law\n"
        "\n"
        "a handler is total over its contract: it raises an exception on an event that its"
        " contract accepts\n"
        "\n"
        "    1. the handler receives Average([], 0)\n"
        "    2. ZeroDivisionError: division by zero\n"
        "\n"
        "remedy: return an Emit or a Fail, narrow what the contract accepts, or pass"
        " may_raise=[ZeroDivisionError] if it is intended"
    )


def fetch(key: str) -> int:
    raise NotImplementedError(key)


def fetch_anything(key):  # type: ignore[no-untyped-def]
    raise NotImplementedError(key)


def looks_up(function: Callable[..., Any]) -> EventHandler[Any]:
    def handle(event: Event[ChargeCard]) -> Effects[Emit]:
        found = yield from call(function, event.data.order_id)
        return Emit(CardCharged(str(100 // found)))

    return payment_handler(handle)


def test_effects_return_any_value_of_their_annotation() -> None:
    """A handler must accept every result that the function declares."""
    with pytest.raises(LawViolated, match="ZeroDivisionError"):
        check_handler(looks_up(fetch))


def test_effects_can_be_replaced_by_a_function_or_a_strategy() -> None:
    """For functions whose annotation is missing or too wide."""
    check_handler(looks_up(fetch), effects={fetch: len}, may_raise=[ZeroDivisionError])
    check_handler(looks_up(fetch_anything), effects={fetch_anything: st.integers(1, 9)})
    with pytest.raises(TypeError, match="fetch_anything has no return annotation"):
        check_handler(looks_up(fetch_anything))


@pytest.mark.parametrize(
    "handler",
    [
        payments,
        shipping,
        payment_handler(lambda event: Fail("closed")),
        payment_handler(lambda _: None),
    ],
)
def test_a_correct_handler_passes(handler: EventHandler[Any]) -> None:
    """A check with false alarms would be switched off."""
    check_handler(handler)


@pytest.mark.parametrize("handler", [services.warehouse, services.payments, services.shipments])
def test_the_services_of_the_example_keep_the_laws(handler: EventHandler[Any]) -> None:
    """Readers copy them."""
    # The function returns a str; only its documentation promises a tracking number.
    check_handler(handler, effects={carrier.request_tracking: st.just("DE00000001")})


def test_intended_exceptions_and_violations_are_allowed() -> None:
    """Both are legal, so the caller can exclude them from the law."""
    check_handler(averaging(divides), may_raise=[ZeroDivisionError])
    check_handler(averaging(violates), may_violate=[ContractViolation])


def test_the_events_can_be_narrowed() -> None:
    """To those that the handler receives in production."""
    check_handler(averaging(divides), events=events(average, parts=st.integers(1, 9)))
