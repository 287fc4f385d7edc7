"""Emission: the values that a chart may emit, and its output."""

from typing import Any

import pytest

from arvo import (
    Complete,
    Emit,
    Log,
    OrchestratorContract,
    Persist,
    Workflow,
)
from arvo.statechart import State, act, assign, emit, raise_
from tests.fulfilment import (
    OrderContext,
    machine_system,
)
from tests.handlers.machine.machines import END
from tests.shop import (
    BookShipment,
    ChargeCard,
    OrderFulfilled,
    expect_commit,
    expect_violation,
    order_request,
)


def test_a_command_a_payload_and_a_mapping_may_be_emitted() -> None:
    """All options of `Emit` are available in each of the three forms."""
    system = machine_system(
        initial="a",
        states={
            "a": State(
                entry=[
                    emit(lambda c, e: ChargeCard(e.input.data.order_id, 1.0)),
                    emit(Emit(ChargeCard("o2", 2.0), domain="ops", executionunits=3)),
                    emit(
                        {
                            "type": "com.shipping.book",
                            "data": {"order_id": "o3"},
                            "to": "com.other.carrier",
                            "id": {"deduplication": "DEVELOPER_MANAGED", "value": "mine"},
                            "__extensions": {"urgent": True},
                        }
                    ),
                    emit(Log("info", "began")),
                ]
            )
        },
    )

    commit = expect_commit(system, order_request())

    assert [(event.data, event.domain, event.to) for event in commit.events] == [
        (ChargeCard("o1", 1.0), None, "com.payment.charge"),
        (ChargeCard("o2", 2.0), "ops", "com.payment.charge"),
        (BookShipment("o3"), None, "com.other.carrier"),
    ]
    assert (commit.events[2].id, commit.events[2].extensions) == ("mine", {"urgent": True})
    assert commit.logs == (Log("info", "began"),)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (emit(Persist({})), "assign(...)"),
        (emit(Complete({})), "output=..."),
        (emit(ChargeCard), "a payload, or a command"),
        (emit("com.payment.charge"), "a payload, or a command"),
        (emit({"data": {}}), "with a type"),
        (emit({"type": "com.payment.charge", "colour": 1}), "colour"),
        (emit(OrderFulfilled("t")), "names no event with this payload"),
        (lambda c, e: act("ring"), "act('ring')"),
        (assign(lambda c, e: object()), "JSON data"),
        (assign(lambda c, e: {"n": float("nan")}), "finite"),
        (assign(lambda c, e: OrderContext("o", 1.0)), "set context=a class"),
        (raise_("x", delay=lambda c, e: "soon"), "milliseconds"),
    ],
)
def test_a_value_that_is_not_an_event_is_a_violation(entry: Any, message: str) -> None:
    """The author has to act; nothing changes."""
    violation = expect_violation(
        machine_system(initial="a", states={"a": State(entry=entry)}), order_request()
    )

    assert message in str(violation)


def test_a_context_of_another_class_or_type_is_a_violation() -> None:
    """The turn that makes it reports it, not a later turn that cannot read it."""
    for update, message in (
        (assign(lambda c, e: {}), "a OrderContext"),
        (assign(order_id=5), "state.context.order_id"),
    ):
        system = machine_system(
            context=OrderContext, initial="a", states={"a": State(entry=update)}
        )
        assert message in str(expect_violation(system, order_request()))


# Output


@pytest.mark.parametrize(
    "output",
    [
        {"tracking": "t", "__id": "mine", "__executionunits": 7, "__domain": ["ops"]},
        Complete(OrderFulfilled("t"), id="mine", executionunits=7, domain="ops"),
    ],
)
def test_an_output_may_set_the_options_of_the_completion(output: Any) -> None:
    """As a mapping in the shape of the TypeScript package, or as a command."""
    system = machine_system(initial="a", output=output, states={"a": State(type="final")})

    commit = expect_commit(system, order_request())

    (done,) = commit.events
    assert (done.type, done.data) == ("arvo.orc.order.fulfil.done", OrderFulfilled("t"))
    assert (done.id, done.executionunits, done.domain) == ("mine", 7, "ops")
    assert commit.record is not None
    assert commit.record.status == "done"


def test_an_empty_output_completes_the_workflow() -> None:
    """B16: the TypeScript package sends no completion for it."""
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}}
    empty = OrchestratorContract(
        uri="#/empty", name="empty", versions={"1.0.0": Workflow(init=schema, complete=schema)}
    )
    system = machine_system(
        contract=empty["1.0.0"], initial="a", output={}, states={"a": State(type="final")}
    )

    commit = expect_commit(system, empty["1.0.0"].init({}, source="com.shop.web"))

    assert [(event.type, event.data) for event in commit.events] == [("arvo.orc.empty.done", {})]


def test_an_end_without_an_output_sends_no_completion() -> None:
    """As in the TypeScript package; `Machine.problems` reports it beforehand."""
    commit = expect_commit(
        machine_system(initial="a", states={"a": State(type="final")}), order_request()
    )

    assert commit.events == ()
    assert commit.record is not None
    assert commit.record.status == "done"


def test_each_final_state_may_have_an_output() -> None:
    """The final state that a workflow reaches decides its result."""
    commit = expect_commit(machine_system(initial="a", states={"a": END}), order_request())

    assert [event.data for event in commit.events] == [OrderFulfilled("end")]


def test_an_output_that_does_not_fit_is_a_violation() -> None:
    """The completion must fit the contract; otherwise nothing changes."""
    system = machine_system(initial="a", output={"nothing": 1}, states={"a": State(type="final")})

    assert expect_violation(system, order_request()).kind == "Contract"
