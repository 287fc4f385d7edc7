"""Steps: tables of cases, run as pytest parameters."""

import itertools
from collections.abc import Callable
from typing import Any

import pytest

from arvo import ConfigViolation, ContractViolation, Effects, Emit, Event, call, run
from arvo.testing import Case, Repeat, Step, steps
from arvo.testing.given.steps import check_case
from tests.fulfilment import orders
from tests.shop import (
    BookShipment,
    CardCharged,
    CardDeclined,
    ChargeCard,
    OrderFulfilled,
    ShipmentBooked,
    charge_request,
    fulfilment,
    order_request,
    payment_handler,
    payments,
    reply_to,
    shop,
)

ORDER_CASES = [
    Case(
        "an order goes through",
        [
            Step(order_request(), [ChargeCard("o1", 10.0)]),
            Step(lambda before: reply_to(before[0], CardCharged("r")), [BookShipment("o1")]),
            Step(
                lambda before: reply_to(before[0], ShipmentBooked("t"), "a2"),
                [OrderFulfilled("t")],
            ),
        ],
    ),
    Case(
        "a declined card ends the order",
        [
            Step(order_request()),
            Step(
                lambda before: reply_to(before[0], CardDeclined("limit")),
                lambda events: events[0].type == "sys.arvo.orc.order.fulfil.error",
            ),
        ],
    ),
]

test_an_order = steps({"resumable": fulfilment, "orchestrator": orders}, ORDER_CASES)

test_payments = steps(
    payments,
    [
        Case("a small sum is charged", [Step(charge_request(), [CardCharged("r-o1")])]),
        Case(
            "a large sum is declined", [Step(charge_request(amount=1e4), [CardDeclined("limit")])]
        ),
        Case(
            "another event is refused",
            [Step(charge_request(to="elsewhere"), error=ConfigViolation)],
        ),
        Case(
            "a predicate checks the violation",
            [
                Step(
                    charge_request(to="elsewhere"),
                    error=lambda violation: "elsewhere" in str(violation),
                )
            ],
        ),
    ],
)

test_a_whole_system_as_a_function = steps(
    lambda event: run(shop, event).answers,
    [Case("an order is fulfilled", [Step(order_request(), [OrderFulfilled("t-o1")])])],
)


def failure_of(target: Any, case: Case, **options: Any) -> str:
    with pytest.raises(AssertionError) as failed:
        check_case(target, case, **options)
    return str(failed.value)


def test_a_failed_step_is_reported_with_its_number_and_a_diff() -> None:
    """Steps are counted from one."""
    case = Case("two", [Step(charge_request()), Step(charge_request("c2"), [CardCharged("other")])])

    assert failure_of(payments, case) == (
        "case 'two'\n"
        "\n"
        "    step 2 of 2, ChargeCard('o1', 10.0): the events differ:\n"
        "    - CardCharged('other')   (expected)\n"
        "    ?               ^^^^\n"
        "    + CardCharged('r-o1')   (actual)\n"
        "    ?              ++ ^"
    )


@pytest.mark.parametrize(
    ("step", "problem"),
    [
        (
            Step(charge_request(), lambda events: False),
            r"the predicate rejects [CardCharged('r-o1')]",
        ),
        (Step(charge_request(), error=ContractViolation), "expected an error, got [CardCharged"),
        (
            Step(charge_request(to="x"), error=ContractViolation),
            "expected another error, got Config",
        ),
        (Step(charge_request(to="x")), "ConfigViolation: no handler answers"),
    ],
)
def test_a_failed_step_is_reported_with_its_problem(step: Step, problem: str) -> None:
    """Events instead of an error, an error instead of events, or another error."""
    assert problem in failure_of(payments, Case("one", [step]))


def test_the_first_step_that_fails_ends_the_case() -> None:
    """The later steps depend on it, so their failures would add nothing."""
    steps_ = [Step(charge_request(to="x")), Step(lambda before: 1 / 0)]  # type: ignore[arg-type, return-value]

    assert "step 1 of 2" in failure_of(payments, Case("stops", steps_))


def toss() -> bool:
    raise NotImplementedError


def sometimes(event: Event[ChargeCard]) -> Effects[Emit]:
    heads = yield from call(toss)
    return Emit(CardCharged("heads") if heads else CardDeclined("tails"))


def tosses(sides: str) -> Any:
    coin = itertools.cycle(sides)
    return {toss: lambda: next(coin) == "h"}


HEADS = [Step(charge_request(), [CardCharged("heads")])]


def test_a_repeated_case_passes_if_enough_iterations_succeed() -> None:
    """The output of a language model is right most of the time."""
    case = Case("mostly heads", HEADS, repeat=Repeat(times=4, threshold=75))

    check_case(payment_handler(sometimes), case, effects=tosses("hhht"))


def test_too_few_successes_are_reported_with_the_number_of_each_iteration() -> None:
    """B36: a failure message has the numbers of iteration and step, counted from one."""
    case = Case("mostly heads", HEADS, repeat=Repeat(times=4, threshold=75))

    text = failure_of(payment_handler(sometimes), case, effects=tosses("ht"))

    heading = "case 'mostly heads': 2 of 4 iterations succeeded, expected at least 75 %\n"
    assert text.startswith(heading)
    assert "iteration 2, step 1 of 1" in text
    assert "iteration 4, step 1 of 1" in text
    assert "iteration 1" not in text


def test_ten_failures_are_reported_and_the_rest_counted() -> None:
    """The first ten of a hundred failures show the problem."""
    case = Case("heads", HEADS, repeat=Repeat(times=30))

    text = failure_of(payment_handler(sometimes), case, effects=tosses("t"))

    assert text.count("iteration ") == 10
    assert text.endswith("… 20 more")


def test_an_input_may_depend_on_the_iteration() -> None:
    """A test can send another question in each iteration."""
    asked: list[str] = []

    def question(before: tuple[Event[Any], ...], iteration: int) -> Event[Any]:
        asked.append(f"{len(before)} {iteration}")
        return charge_request(f"c{iteration}")

    check_case(payments, Case("three", [Step(question)], repeat=Repeat(3)))

    assert asked == ["0 1", "0 2", "0 3"]


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda: Case("empty", []), "steps: expected at least one step in the case 'empty'"),
        (lambda: Repeat(times=0), "times: expected at least 1, got 0"),
        (lambda: Repeat(times=3, threshold=0), "threshold: expected more than 0"),
        (lambda: Repeat(times=3, threshold=101), "threshold: expected more than 0"),
        (lambda: steps(lambda event: [], []), "cases: expected at least one, got none"),
    ],
)
def test_a_table_that_would_test_nothing_is_refused(
    make: Callable[[], object], problem: str
) -> None:
    """pytest skips a table without rows, and a case without steps succeeds."""
    with pytest.raises(ValueError, match=problem):
        make()


def test_a_table_without_targets_is_refused() -> None:
    """Each case runs on each target."""
    with pytest.raises(ValueError, match="target: expected at least one, got none"):
        steps({}, ORDER_CASES)
