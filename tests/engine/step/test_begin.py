"""Begin: steps of events that begin a run whose workflow id is in use."""

from typing import Any

import pytest

from arvo import (
    Compensate,
    Complete,
    Emit,
    Event,
    Fail,
    Flow,
    Record,
    Resumable,
    ServiceFailed,
    System,
    call_workflow,
    flow,
    run,
)
from arvo.core.events.subject import workflow_id_of
from arvo.engine.trace import Refused
from tests.core.contracts.test_versioned_workflow import begin
from tests.handlers.flow.flows import Pack, Packed, packing
from tests.shop import (
    CardCharged,
    ChargeCard,
    OrderFulfilled,
    PlaceOrder,
    expect_commit,
    expect_violation,
    make_workflow,
    order,
    payment_handler,
    payments,
    reply_to,
    shop,
)


def ended(event: Event[Any]) -> Record:
    """Return the record of a run that *event* begins, after its end."""
    return run(shop, event).records[event.subject]


@pytest.mark.promise("I2")
def test_a_second_begin_changes_nothing() -> None:
    """I2: also after the run has ended."""
    record = expect_commit(shop, begin()).record

    commit = expect_commit(shop, begin(time="2026-02-03T04:05:06Z"), record)

    assert (commit.outcome, commit.record, commit.events) == ("duplicate", None, ())
    assert expect_commit(shop, begin(id="again"), ended(begin())).outcome == "duplicate"


def test_a_begin_with_another_payload_is_a_conflict() -> None:
    """Its sender must not take the run of another order for its own."""
    violation = expect_violation(shop, begin(11.0), expect_commit(shop, begin()).record)

    assert "'order-1' of arvo.orc.order.fulfil 1.0.0 has begun with another event" in str(violation)


def test_a_run_may_follow_one_that_has_ended() -> None:
    """The record begins anew; its revision counts on, by which stores compare and set."""
    before = ended(begin())

    commit = expect_commit(shop, begin(11.0, id="second", id_reuse_policy="allow"), before)

    assert commit.record is not None
    assert (commit.outcome, commit.expected, commit.before) == ("handled", before.revision, None)
    assert (commit.record.init, commit.record.status) == ("second", "active")
    assert commit.record.revision == before.revision + 1
    first = expect_commit(shop, begin(11.0, id="second"))
    assert {event.id for event in commit.events} == {event.id for event in first.events}


def test_a_reply_to_the_last_run_is_late_in_the_next() -> None:
    """The next run did not ask for it."""
    first = expect_commit(shop, begin())
    again = begin(11.0, id="second", id_reuse_policy="allow")
    record = expect_commit(shop, again, ended(begin())).record

    commit = expect_commit(shop, reply_to(first.events[0], CardCharged("r")), record)

    assert commit.outcome == "late"


def test_a_whole_system_begins_once() -> None:
    """The pure run treats two begins as the runtime does."""
    trace = run(shop, begin(), begin(), begin(11.0))

    assert [entry.event.id for entry in trace.entries if isinstance(entry, Refused)] == [begin().id]
    assert trace.records[begin().subject] == ended(begin())


pack = Resumable(packing, {"1.0.0": lambda _: Complete(Packed(2))}, services=[])


def packs(**options: Any) -> System:
    """Make a system whose orders pack with one workflow id, and fulfil with what went wrong."""

    @flow(order, "1.0.0", services=[packing["1.0.0"]])
    def fulfil(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
        try:
            packed = yield from call_workflow(
                packing["1.0.0"], Pack(event.data.order_id), workflow_id="pack-1", **options
            )
        except ServiceFailed as failed:
            return OrderFulfilled(f"{failed.fault.name}: {failed.fault.message}")
        return OrderFulfilled(f"{packed.boxes} boxes")

    return System([pack, fulfil])


def outcomes(system: System) -> list[str]:
    """Return what two orders are fulfilled with."""
    trace = run(system, begin(), begin(workflow_id="order-2"))
    return [
        event.data.tracking for event, _ in trace.sent if isinstance(event.data, OrderFulfilled)
    ]


def test_a_child_has_the_workflow_id_that_its_parent_chose() -> None:
    """By which an operator finds it."""
    trace = run(packs(), begin())

    (child,) = trace.records[begin().subject].children.values()
    assert workflow_id_of(child.subject) == "pack-1"


def test_a_child_that_another_run_has_begun_is_a_failure_of_its_own() -> None:
    """Its parent waits for an answer, and may catch the error."""
    first, second = outcomes(packs())

    assert first == "2 boxes"
    assert second.startswith("WorkflowAlreadyStarted: the done run 'pack-1' of arvo.orc")


def test_a_child_may_follow_another_run() -> None:
    """If its parent allows that."""
    assert outcomes(packs(id_reuse_policy="allow")) == ["2 boxes", "2 boxes"]


@pytest.mark.parametrize("options", [{"workflow_id": "x"}, {"id_reuse_policy": "allow"}])
def test_a_request_that_begins_nothing_has_no_workflow_id(options: dict[str, Any]) -> None:
    """It would be lost silently."""
    asks = System([payments, make_workflow(lambda _: Emit(ChargeCard("o1", 1), **options))])
    answers = System([payment_handler(lambda _: Emit(CardCharged("r"), **options))])
    request = expect_commit(shop, begin()).events[0]

    for violation in (expect_violation(asks, begin()), expect_violation(answers, request)):
        assert "emit.workflow_id: expected none, as the event begins no workflow" in str(violation)


def test_an_invalid_id_of_a_child_is_a_violation() -> None:
    """As one of any other field of an Emit."""
    packs_badly = Resumable(
        order,
        {"1.0.0": lambda _: Emit(Pack("o1"), workflow_id="")},
        services=[packing["1.0.0"]],
    )

    violation = expect_violation(System([pack, packs_badly]), begin())

    assert "workflow_id: expected 1 to 255 printable characters" in str(violation)


def test_a_compensation_begins_its_workflow_with_the_chosen_id() -> None:
    """It is stored with the record, and sent when the workflow fails."""
    compensating = Resumable(
        order,
        {
            "1.0.0": lambda turn: (
                Compensate(Emit(Pack("o1"), workflow_id="undo-1", id_reuse_policy="allow")),
                Fail("no stock"),
            )
        },
        services=[packing["1.0.0"]],
    )

    trace = run(System([pack, compensating]), begin())

    (child,) = (event for event in trace.events if isinstance(event.data, Pack))
    assert workflow_id_of(child.subject) == "undo-1"
    assert child.extensions == {"idreusepolicy": "allow"}
    assert trace.records[child.subject].status == "done"
