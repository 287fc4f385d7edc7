"""Lint: the likely mistakes that `Machine.problems` reports."""

from typing import Any

import pytest

from arvo import (
    Cancellation,
    Compensate,
    Emit,
    Fail,
    SystemFault,
)
from arvo.statechart import State, cancel, emit, raise_
from tests.fulfilment import machine
from tests.handlers.machine.machines import CHARGE, make_machine
from tests.shop import (
    BookShipment,
    CardCharged,
    CardDeclined,
    ChargeCard,
    OrderFulfilled,
    charge,
)


def test_a_correct_machine_has_no_problems() -> None:
    """A test can assert it."""
    assert machine.problems() == ()


def problems(**config: Any) -> list[str]:
    """Return the problems of a machine as text."""
    return [str(issue) for issue in make_machine(**config).problems()]


def test_a_reply_that_no_state_handles_is_a_problem() -> None:
    """The workflow would wait for an event that has already come."""
    issues = problems(
        services=[charge["1.0.0"]],
        initial="a",
        output={"tracking": "t"},
        states={
            "a": State(entry=emit(ChargeCard("o", 1)), on={CardCharged: "b"}),
            "b": State(type="final"),
        },
    )

    assert issues == [
        (
            "order-fulfil: expected a state that handles evt.payment.declined (a reply of "
            "#/contracts/payment/charge/1.0.0), got none"
        ),
        (
            "order-fulfil: expected a state that handles sys.com.payment.charge.error (the system "
            "error of #/contracts/payment/charge/1.0.0), got none"
        ),
    ]


def test_an_event_that_never_comes_is_a_problem() -> None:
    """It is a typing error in an event type."""
    issues = problems(
        services=[],
        initial="a",
        output={"tracking": "t"},
        states={"a": State(on={"evt.payment.chargd": "b"}), "b": State(type="final")},
    )

    assert issues == [
        (
            "order-fulfil.a on evt.payment.chargd: expected the event of a service or signal, "
            "or one that the chart raises, got evt.payment.chargd"
        )
    ]


def test_a_final_state_without_an_output_is_a_problem() -> None:
    """The workflow's caller waits for its completion."""
    issues = problems(
        services=[charge["1.0.0"]],
        initial="a",
        states={
            "a": State(on={CardCharged: "b", CardDeclined: "c", SystemFault: "c"}),
            "b": State(type="final", output=OrderFulfilled("t")),
            "c": State(type="final"),
        },
    )

    (problem,) = issues
    assert problem.startswith("order-fulfil.c: expected an output")


def test_a_problem_of_the_chart_is_one_of_the_machine() -> None:
    """An unreachable state, for example."""
    issues = problems(services=[], initial="a", states={"a": State(), "b": State(on={"*": "a"})})

    assert [problem.partition(":")[0] for problem in issues] == ["order-fulfil.b", "order-fulfil.a"]


def test_one_timer_id_in_two_active_states_is_a_problem() -> None:
    """Cancelling one timer would cancel the other."""
    remind = raise_("remind", delay=1000, id="remind")
    issues = problems(
        services=[],
        type="parallel",
        states={
            "a": State(initial="x", states={"x": State(entry=remind, on={"remind": "y"}),
                                            "y": State(type="final")}),
            "b": State(initial="x", states={"x": State(entry=remind, on={"remind": "y"}),
                                            "y": State(type="final")}),
        },
        output={"tracking": "t"},
    )  # fmt: skip

    assert issues == [
        (
            "order-fulfil.b.x entry: expected a timer id of its own, or cancel('remind') before "
            "it starts again, got 'remind', which order-fulfil.a.x entry starts too"
        )
    ]


def test_one_timer_id_in_states_that_cancel_it_is_no_problem() -> None:
    """The two timers are never pending together."""
    remind = raise_("remind", delay=1000, id="remind")

    issues = problems(
        services=[],
        initial="a",
        output={"tracking": "t"},
        states={
            "a": State(entry=remind, exit=cancel("remind"), on={"remind": "b"}),
            "b": State(entry=[cancel("remind"), remind], on={"remind": "c"}),
            "c": State(type="final"),
        },
    )

    assert issues == []


def compensating(*actions: Any) -> list[str]:
    return problems(
        initial="a",
        states={
            "a": State(
                entry=list(actions),
                on={CardCharged: "b", CardDeclined: "b", "sys.*": "b"},
            ),
            "b": State(type="final", output=OrderFulfilled("t")),
        },
    )


def take_back(order_id: str) -> Compensate:
    return Compensate(BookShipment(order_id))


@pytest.mark.parametrize(
    "action",
    [
        emit(Compensate(BookShipment("o"))),
        emit(lambda _c, _e: Compensate(BookShipment("o"))),
        emit(lambda _c, _e: Compensate(Emit({"order_id": "o"}, type="com.shipping.book"))),
        emit(lambda _c, _e: take_back("o")),
    ],
)
def test_the_reply_to_a_compensation_needs_no_state(action: Any) -> None:
    """The workflow has ended when it comes."""
    assert compensating(CHARGE, action) == []


def test_the_reply_of_a_service_that_is_asked_as_well_needs_a_state() -> None:
    asks = emit(lambda _c, _e: BookShipment("o"))

    [issue] = compensating(CHARGE, emit(Compensate(BookShipment("o"))), asks)

    assert "a state that handles evt.shipping.booked" in issue


@pytest.mark.parametrize("last", [State(), State(type="final")])
def test_a_state_that_only_a_cancellation_enters_needs_no_way_out_and_no_output(
    last: State,
) -> None:
    """The workflow ends as cancelled, whichever state it reaches."""
    on: dict[Any, str] = {CardCharged: "b", CardDeclined: "b", SystemFault: "b"}
    states = {"b": State(type="final", output=OrderFulfilled("t")), "end": last}
    config: dict[str, Any] = {"services": [charge["1.0.0"]], "initial": "a"}

    def entered_by(event: Any) -> list[str]:
        return problems(
            **config, states={"a": State(entry=CHARGE, on={**on, event: "end"}), **states}
        )

    assert entered_by(Cancellation) == []
    assert len(entered_by(CardDeclined)) == 1


@pytest.mark.parametrize("action", [emit(Fail("no")), emit(lambda _c, _e: Fail("no"))])
def test_a_state_that_fails_needs_no_way_out(action: Any) -> None:
    """The workflow has failed."""
    states = {
        "a": State(entry=CHARGE, on={CardCharged: "b", CardDeclined: "c", SystemFault: "c"}),
        "b": State(type="final", output=OrderFulfilled("t")),
        "c": State(entry=action),
    }

    assert problems(services=[charge["1.0.0"]], initial="a", states=states) == []
