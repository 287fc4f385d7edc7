"""Advance: the turns of a workflow that a statechart leads."""

from typing import Any

import orjson
import pytest

from arvo import (
    ExecutionViolation,
    Record,
    SystemFault,
    Violate,
    Violated,
    run,
)
from arvo.statechart import State, Transition, emit, raise_, send
from tests.fulfilment import (
    machine_system,
    orchestrated_shop,
    orders_only,
    state_of,
)
from tests.handlers.machine.machines import BOOK, CHARGE, END, broken
from tests.shop import (
    NOW,
    CardCharged,
    CardDeclined,
    OrderFulfilled,
    expect_commit,
    expect_violation,
    order_request,
    reply_to,
)


def test_a_workflow_goes_through_its_states() -> None:
    """The order of the shop, from the charge to the shipment."""
    trace = run(orchestrated_shop, order_request())

    assert trace.answer is not None
    assert trace.answer.data == OrderFulfilled("t-o1")
    assert [event.type for event in trace.events] == [
        "arvo.orc.order.fulfil",
        "com.payment.charge",
        "evt.payment.charged",
        "com.shipping.book",
        "evt.shipping.booked",
        "arvo.orc.order.fulfil.done",
    ]
    assert trace.now == NOW


def test_a_record_holds_the_state_of_the_machine_and_not_its_definition() -> None:
    """B38: the TypeScript package stores the definition, which is code, in every record."""
    record = expect_commit(orders_only, order_request()).record

    assert record is not None
    assert set(record.state) == {  # type: ignore[arg-type]
        "chart", "value", "leaves", "context", "history", "timers", "end",
    }  # fmt: skip
    assert Record.from_dict(orjson.loads(orjson.dumps(record.to_dict()))) == record


def test_an_event_that_no_active_state_handles_changes_nothing() -> None:
    """It is logged, and acknowledged."""
    first = expect_commit(orders_only, order_request())
    request = first.events[0]
    charged = expect_commit(orders_only, reply_to(request, CardCharged("r")), first.record)
    late = reply_to(request, CardDeclined("late"), key="a2")

    commit = expect_commit(orders_only, late, charged.record)

    assert commit.events == ()
    assert commit.record is not None
    assert charged.record is not None
    assert commit.record.state == charged.record.state
    (log,) = commit.logs
    assert (log.level, log.attributes["arvo_state"]) == ("info", "shipping")


def test_a_reply_that_comes_twice_changes_the_machine_once() -> None:
    """B05, B06 (a duplicate runs again): it changes nothing even if the inbox dropped the first."""
    first = expect_commit(orders_only, order_request())
    reply = reply_to(first.events[0], CardCharged("r"))
    charged = expect_commit(orders_only, reply, first.record)

    again = expect_commit(orders_only, reply, charged.record)

    assert again.events == ()
    assert again.record is not None
    assert charged.record is not None
    assert again.record.state == charged.record.state


# Failure


@pytest.mark.promise("I9")
def test_emitting_a_fail_ends_the_workflow() -> None:
    """Tier 2: the caller receives a system error, and the last good state stays readable (I9)."""
    first = expect_commit(orders_only, order_request())

    commit = expect_commit(
        orders_only, reply_to(first.events[0], CardDeclined("limit")), first.record
    )

    (fault,) = commit.events
    assert (fault.type, fault.data.message) == (
        "sys.arvo.orc.order.fulfil.error",
        "the order is cancelled",
    )
    assert commit.record is not None
    assert commit.record.status == "failed"
    assert state_of(commit.record) == "charging"


@pytest.mark.parametrize(
    "states",
    [
        {"a": State(entry=CHARGE, on={CardCharged: Transition("b", broken)}), "b": END},
        {"a": State(entry=CHARGE, on={CardCharged: "b"}), "b": State(entry=[BOOK, emit(broken)])},
        {"a": State(entry=CHARGE, on={CardCharged: "b"}), "b": State(type="final", output=broken)},
    ],
)
def test_a_machine_that_raises_fails_the_workflow(states: Any) -> None:
    """The turn has no effect but the system error, and the stored state stays."""
    system = machine_system(initial="a", states=states)
    first = expect_commit(system, order_request())

    commit = expect_commit(system, reply_to(first.events[0], CardCharged("r")), first.record)

    (fault,) = commit.events
    assert fault.data == SystemFault("LookupError", "no such card")
    assert commit.record is not None
    assert first.record is not None
    assert (commit.record.status, commit.record.state) == ("failed", first.record.state)
    assert [log.message for log in commit.logs] == ["the statechart failed"]


def test_a_machine_that_raises_at_its_start_stores_no_state() -> None:
    """There is no state before the start to keep."""
    commit = expect_commit(
        machine_system(initial="a", states={"a": State(entry=emit(broken))}), order_request()
    )

    assert commit.record is not None
    assert (commit.record.status, commit.record.state) == ("failed", None)


def test_a_machine_in_an_endless_loop_fails() -> None:
    """The message names the transitions of the loop."""
    system = machine_system(
        initial="a", states={"a": State(always="b"), "b": State(always="a")}, limit=100
    )

    commit = expect_commit(system, order_request())

    assert commit.events[0].data.name == "LoopFault"
    assert "order-fulfil.a always" in commit.events[0].data.message


def test_a_violation_that_is_raised_or_emitted_changes_nothing() -> None:
    """Tier 3, as in any handler."""
    violation = ExecutionViolation("not like this")

    def refuse(context: object, event: object) -> Any:
        raise Violated(violation)

    for entry in (emit(refuse), emit(Violate(violation))):
        system = machine_system(initial="a", states={"a": State(entry=[CHARGE, entry])})
        assert expect_violation(system, order_request()) == violation


# Sends


def test_a_send_without_a_delay_is_processed_in_the_same_turn() -> None:
    """It comes after the events that the chart raises itself."""
    system = machine_system(
        initial="a",
        states={
            "a": State(entry=[send("late"), raise_("soon")], on={"soon": "b", "late": "end"}),
            "b": State(on={"late": "end"}),
            "end": State(type="final"),
        },
    )

    commit = expect_commit(system, order_request())

    assert state_of(commit.record) == "end"


def test_an_endless_sequence_of_sends_fails() -> None:
    """A turn always ends."""
    system = machine_system(
        initial="a", states={"a": State(entry=send("x"), on={"x": Transition(actions=send("x"))})}
    )

    assert expect_commit(system, order_request()).events[0].data.name == "LoopFault"
