"""Machine: a statechart over contracts, and the definitions that it rejects."""

from typing import Any

import pytest
from attrs import frozen

from arvo import (
    Machine,
    Orchestrator,
    System,
    Violated,
    run,
)
from arvo.statechart import Branch, Chart, State, Transition, act, assign, choose, emit
from tests.fulfilment import machine, state_of
from tests.handlers.machine.machines import rejection
from tests.shop import (
    SERVICES,
    CardCharged,
    CardDeclined,
    OrderFulfilled,
    ShipmentBooked,
    charge,
    expect_commit,
    order,
    order_request,
    reply_to,
)


@frozen
class Attempts:
    """A context."""

    order_id: str
    tries: int = 0


def test_a_machine_exposes_its_chart() -> None:
    """It can be drawn, linted and explored like any other chart."""
    assert isinstance(machine.chart, Chart)
    assert (machine.version, machine.source) == ("1.0.0", "arvo.orc.order.fulfil")
    assert ShipmentBooked.__name__ not in machine.chart.events


def test_every_problem_is_reported_at_its_state() -> None:
    """The author fixes all of them in one go."""
    message = rejection(
        initial="a", states={"a": State(on={CardCharged: "nowhere"}), "b": State(initial="x")}
    )

    assert "order-fulfil.a: " in message
    assert "the target 'nowhere' names no state" in message
    assert "order-fulfil.b: " in message


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"contract": order}, 'such as order["1.0.0"]'),
        ({"services": [charge]}, 'such as charge["1.0.0"]'),
        ({"services": [order["1.0.0"]]}, "another contract than the workflow's own"),
        ({"colour": "red", "states": {"a": State()}, "initial": "a"}, "colour"),
        ({"initial": "a", "states": {"a": State(entry=act("ring"))}}, "act('ring')"),
        ({"initial": "a", "states": {"a": State(on={5: "a"})}}, "5"),
        (
            {"initial": "a", "states": {"a": State(entry=assign(tires=1))}, "context": Attempts},
            "a entry: expected a field of Attempts (order_id, tries), got assign(tires=...)",
        ),
        (
            {
                "initial": "a",
                "states": {"a": State(on={"x": Transition(actions=choose(Branch(assign(z=1))))})},
                "context": Attempts,
            },
            "a on x: expected a field of Attempts (order_id, tries), got assign(z=...)",
        ),
    ],
)
def test_an_invalid_machine_is_rejected(config: Any, message: str) -> None:
    """The mistake appears before the first event."""
    assert message in rejection(**config)


# XState


CONFIG = {
    "id": "order",
    "version": "1.0.0",
    "initial": "charging",
    "context": lambda event: {"order": event.data.order_id, "tries": 0},
    "states": {
        "charging": {
            "entry": [
                {"type": "enqueueArvoEvent", "params": {"type": "com.shipping.book", "data": {
                    "order_id": "later"}}},
                {"type": "emit", "event": lambda c, e: {
                    "type": "com.payment.charge", "data": {"order_id": c["order"], "amount": 1}}},
            ],
            "on": {
                "evt.payment.charged": "done",
                "evt.payment.declined": {"target": "charging", "guard": "again",
                                         "actions": "count", "reenter": True},
            },
        },
        "done": {"type": "final"},
    },
}  # fmt: skip


GUARDS = {"again": lambda c, e: e.data.reason == "limit" and c["tries"] < 1}


ACTIONS = {"count": assign(lambda c, e: {**c, "tries": c["tries"] + 1})}


def test_a_machine_may_come_from_an_xstate_config() -> None:
    """Guards and actions see the event with its `type` and its `data`."""
    read: Machine[Any] = Machine.from_xstate(
        CONFIG, contract=order["1.0.0"], services=SERVICES, guards=GUARDS, actions=ACTIONS
    )
    system = System([Orchestrator([read])])
    first = expect_commit(system, order_request())
    again = expect_commit(system, reply_to(first.events[0], CardDeclined("limit")), first.record)
    over = expect_commit(
        system, reply_to(again.events[0], CardDeclined("limit"), key="a2"), again.record
    )

    # Enqueued events come after emitted ones, as in the TypeScript package.
    assert [event.type for event in first.events] == ["com.payment.charge", "com.shipping.book"]
    assert [event.type for event in again.events] == ["com.payment.charge", "com.shipping.book"]
    assert (over.events, state_of(over.record)) == ((), "charging")


@pytest.mark.parametrize(
    ("config", "options", "message"),
    [
        ({"version": "2.0.0"}, {}, "version: expected 1.0.0, got '2.0.0'"),
        ({}, {"actions": {"enqueueArvoEvent": emit("x")}}, "actions.enqueueArvoEvent"),
        ({"entry": "ring"}, {}, "the action 'ring' is not implemented"),
        ({"entry": {"type": "emit"}}, {}, "states, transitions and actions"),
        ({"states": [1]}, {}, "states, transitions and actions"),
        (
            {"states": {"a": {"invoke": {"src": "x"}}}},
            {},
            "m.a: expected a valid statechart, got the key 'invoke' is not supported",
        ),
    ],
)
def test_an_invalid_config_is_rejected(config: Any, options: Any, message: str) -> None:
    """The version, the built-in action, unknown names and unsupported keys are checked."""
    whole = {"id": "m", "initial": "a", "states": {"a": {}}, **config}

    with pytest.raises(Violated) as caught:
        Machine.from_xstate(whole, contract=order["1.0.0"], services=SERVICES, **options)

    assert message in str(caught.value)


@pytest.mark.parametrize("place", ["root", "state"])
def test_any_state_may_have_a_delay_and_any_name(place: str) -> None:
    """B18: the TypeScript package rejects a state named "after" and misses a delay of the root."""
    after = {"1000": ".end"} if place == "root" else {}
    inner = {} if place == "root" else {"after": {"1000": "end"}}
    read: Machine[Any] = Machine.from_xstate(
        {
            "id": "m",
            "initial": "after",
            "after": after,
            "output": {"tracking": "late"},
            "states": {"after": inner, "end": {"type": "final"}},
        },
        contract=order["1.0.0"],
    )

    trace = run(System([Orchestrator([read])]), order_request())

    assert trace.answer is not None
    assert trace.answer.data == OrderFulfilled("late")
