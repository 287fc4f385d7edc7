"""Steps: tables of chained steps, run as pytest parameters."""

import itertools
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
    answering,
    charging,
    fulfilment,
    paying,
    payments,
    placing,
    shop,
)

BOTH_WAYS = [
    Case(
        "an order goes through",
        [
            Step(placing(), [ChargeCard("o1", 10.0)]),
            Step(lambda before: answering(before[0], CardCharged("r")), [BookShipment("o1")]),
            Step(
                lambda before: answering(before[0], ShipmentBooked("t"), "a2"),
                [OrderFulfilled("t")],
            ),
        ],
    ),
    Case(
        "a declined card ends it",
        [
            Step(placing()),
            Step(
                lambda before: answering(before[0], CardDeclined("limit")),
                lambda events: events[0].type == "sys.arvo.orc.order.fulfil.error",
            ),
        ],
    ),
]

test_an_order = steps({"resumable": fulfilment, "orchestrator": orders}, BOTH_WAYS)

test_payments = steps(
    payments,
    [
        Case("a small sum is charged", [Step(charging(), [CardCharged("r-o1")])]),
        Case("a large sum is declined", [Step(charging(amount=1e4), [CardDeclined("limit")])]),
        Case("another event is refused", [Step(charging(to="nobody"), error=ConfigViolation)]),
        Case(
            "by a predicate as well",
            [Step(charging(to="nobody"), error=lambda violation: "nobody" in str(violation))],
        ),
    ],
)

test_a_whole_system_as_a_function = steps(
    lambda event: run(shop, event).answers,
    [Case("an order is fulfilled", [Step(placing(), [OrderFulfilled("t-o1")])])],
)


def failing(runs: Any, case: Case, **options: Any) -> str:
    with pytest.raises(AssertionError) as failed:
        check_case(runs, case, **options)
    return str(failed.value)


def test_a_step_that_fails_is_told_by_its_number() -> None:
    """Counted from one; what was expected and what came stand side by side."""
    case = Case("two", [Step(charging()), Step(charging("c2"), [CardCharged("other")])])

    assert failing(payments, case) == (
        "case 'two'\n"
        "\n"
        "    step 2 of 2, ChargeCard('o1', 10.0): not as expected:\n"
        "    - CardCharged('other')   (wanted)\n"
        "    ?               ^^^^\n"
        "    + CardCharged('r-o1')   (came)\n"
        "    ?              ++ ^"
    )


@pytest.mark.parametrize(
    ("step", "problem"),
    [
        (Step(charging(), lambda events: False), r"not as expected: [CardCharged('r-o1')]"),
        (Step(charging(), error=ContractViolation), "an error was expected, and it emits"),
        (Step(charging(to="x"), error=ContractViolation), "another error was expected: Config"),
        (Step(charging(to="x")), "ConfigViolation: nobody answers"),
    ],
)
def test_what_is_wrong_with_a_step_is_said(step: Step, problem: str) -> None:
    """Events where an error was expected, and the other way round."""
    assert problem in failing(payments, Case("one", [step]))


def test_the_first_step_that_fails_ends_the_case() -> None:
    """What follows would only repeat it."""
    steps_ = [Step(charging(to="x")), Step(lambda before: 1 / 0)]  # type: ignore[arg-type, return-value]

    assert "step 1 of 2" in failing(payments, Case("stops", steps_))


def toss() -> bool:
    raise NotImplementedError


def sometimes(event: Event[ChargeCard]) -> Effects[Emit]:
    heads = yield from call(toss)
    return Emit(CardCharged("heads") if heads else CardDeclined("tails"))


def tosses(sides: str) -> Any:
    coin = itertools.cycle(sides)
    return {toss: lambda: next(coin) == "h"}


HEADS = [Step(charging(), [CardCharged("heads")])]


def test_a_case_may_be_repeated_until_enough_of_them_succeed() -> None:
    """A language model is right most of the time."""
    case = Case("mostly heads", HEADS, repeat=Repeat(times=4, threshold=75))

    check_case(paying(sometimes), case, effects=tosses("hhht"))


def test_too_few_successes_are_told_with_the_number_of_each_iteration() -> None:
    """B36: iterations and steps have their numbers, from one."""
    case = Case("mostly heads", HEADS, repeat=Repeat(times=4, threshold=75))

    told = failing(paying(sometimes), case, effects=tosses("ht"))

    assert told.startswith("case 'mostly heads': 2 of 4 succeeded, and 75 % must\n")
    assert "iteration 2, step 1 of 1" in told
    assert "iteration 4, step 1 of 1" in told
    assert "iteration 1" not in told


def test_ten_failures_are_told_and_the_rest_counted() -> None:
    """Of a hundred the first say what is wrong."""
    case = Case("heads", HEADS, repeat=Repeat(times=30))

    told = failing(paying(sometimes), case, effects=tosses("t"))

    assert told.count("iteration ") == 10
    assert told.endswith("… 20 more")


def test_an_input_may_depend_on_the_iteration() -> None:
    """Another question each time, say."""
    asked: list[str] = []

    def question(before: tuple[Event[Any], ...], iteration: int) -> Event[Any]:
        asked.append(f"{len(before)} {iteration}")
        return charging(f"c{iteration}")

    check_case(payments, Case("three", [Step(question)], repeat=Repeat(3)))

    assert asked == ["0 1", "0 2", "0 3"]
