"""Timers: durable timers that fire as events of the workflow."""

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from arvo import (
    Cancel,
    Commands,
    Complete,
    Emit,
    Persist,
    Schedule,
    System,
    TimerFired,
    TransactionViolation,
    Turn,
    run,
)
from tests.shop import (
    NOW,
    CardCharged,
    ChargeCard,
    OrderFulfilled,
    PlaceOrder,
    expect_commit,
    expect_violation,
    make_workflow,
    order_request,
    payments,
    reply_to,
)

FIVE_MINUTES = timedelta(minutes=5)
WEST = timezone(timedelta(hours=-5))


def patient(turn: Turn[Any]) -> Commands:
    """Wait five minutes for the payment."""
    match turn.event.data:
        case PlaceOrder(order_id=order_id):
            wait = Schedule("payment", after=FIVE_MINUTES, payload={"order": order_id})
            return Emit(ChargeCard(order_id, 10.0)), wait
        case CardCharged(receipt=receipt):
            return Cancel("payment"), Complete(OrderFulfilled(receipt))
        case TimerFired(name="payment", payload={"order": order}):
            return Complete(OrderFulfilled(f"{order} gave up"))
        case other:
            raise AssertionError(other)


alone = System([make_workflow(patient)])


@pytest.mark.promise("I7")
def test_a_timer_fires_as_an_event_when_it_is_due() -> None:
    """I7: virtual time moves to the timer only when no other event is left."""
    trace = run(alone, order_request())

    assert trace.answer is not None
    assert trace.answer.data == OrderFulfilled("o1 gave up")
    assert trace.now - NOW == FIVE_MINUTES


def test_a_timer_that_was_cancelled_does_not_fire() -> None:
    """The reply arrived first."""
    trace = run(System([make_workflow(patient), payments]), order_request())

    assert trace.answer is not None
    assert trace.answer.data == OrderFulfilled("r-o1")
    assert trace.now == NOW
    assert trace.at_rest


def test_a_timer_is_in_the_record_and_in_the_commit() -> None:
    """It is stored in the same commit as the record, due at an absolute time."""
    commit = expect_commit(alone, order_request())

    (pending,) = commit.timers
    assert commit.record is not None
    (timer,) = commit.record.timers.values()
    assert pending.due == NOW + FIVE_MINUTES
    assert (timer.id, timer.payload) == (pending.event.id, {"order": "o1"})


@pytest.mark.promise("I7")
def test_a_timer_that_arrives_too_early_is_retried_later() -> None:
    """I7: no fault of a store or a clock makes a timer fire before its time."""
    commit = expect_commit(alone, order_request())

    violation = expect_violation(alone, commit.timers[0].event, commit.record)

    assert isinstance(violation, TransactionViolation)
    assert violation.cause == "early"


def test_a_cleared_timer_that_is_still_delivered_changes_nothing() -> None:
    """A store may deliver events in any order."""
    begun = expect_commit(alone, order_request())
    charged = expect_commit(alone, reply_to(begun.events[0], CardCharged("r")), begun.record)

    late = expect_commit(alone, begun.timers[0].event, charged.record)

    assert charged.cleared_timers == (begun.timers[0].event.id,)
    assert (late.outcome, late.record) == ("late", None)


def test_a_timer_set_again_replaces_the_one_before() -> None:
    """A name stands for one timer."""

    def restless(turn: Turn[Any]) -> Commands:
        match turn.event.data:
            case PlaceOrder():
                return Emit(ChargeCard("o", 1.0)), Schedule("t", after=60)
            case CardCharged():
                return Schedule("t", after=120), Persist(1)
            case TimerFired(name=name, at=at):
                return Complete(OrderFulfilled(f"{name} {(at - NOW).total_seconds()}"))
            case other:
                raise AssertionError(other)

    trace = run(System([make_workflow(restless), payments]), order_request())

    assert trace.answer is not None
    assert trace.answer.data == OrderFulfilled("t 120.0")


@pytest.mark.promise("I5")
@pytest.mark.parametrize(
    ("commands", "message"),
    [
        ((Schedule("t", after=1), Schedule("t", after=2)), "a unique name for each timer"),
        ([Schedule(f"t{n}", after=1) for n in range(1001)], "at most 1000 timers"),
        (Schedule("t", after=1, payload={"n": float("nan")}), "a finite number"),
        (Schedule("t", after=timedelta.max), "between the years 1 and 9999"),
        (Schedule("t", at=datetime.max.replace(tzinfo=WEST)), "between the years 1 and 9999"),
    ],
)
def test_invalid_timers_are_refused(commands: Any, message: str) -> None:
    """Nothing changes then (I5)."""
    assert message in str(
        expect_violation(System([make_workflow(lambda _: commands)]), order_request())
    )


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Schedule("t"),
        lambda: Schedule("t", after=-1),
        lambda: Schedule("", after=1),
        lambda: Schedule("t", after=1, at=NOW),
        lambda: Schedule("t", at=NOW.replace(tzinfo=None)),
    ],
)
def test_a_schedule_without_a_valid_time_is_refused(wrong: Any) -> None:
    """The violation names the field."""
    assert "invalid timer: schedule" in str(
        expect_violation(System([make_workflow(lambda _: wrong())]), order_request())
    )


def test_a_timer_carries_an_attrs_object_as_a_mapping() -> None:
    """The workflow that receives it has no class to read it by."""
    wait = Schedule("t", after=1, payload=CardCharged("r"))

    commit = expect_commit(System([make_workflow(lambda _: wait)]), order_request())

    assert commit.timers[0].event.raw["payload"] == {"receipt": "r"}


def test_a_timer_that_is_set_and_cleared_in_one_turn_is_not_set() -> None:
    """The last command for a name counts."""
    commands = [Schedule("t", after=1), Cancel("t")]

    commit = expect_commit(System([make_workflow(lambda _: commands)]), order_request())

    assert commit.record is not None
    assert (commit.timers, dict(commit.record.timers)) == ((), {})


def test_an_event_that_is_delivered_twice_is_handled_once_in_a_run() -> None:
    """As by the inbox of a backend."""
    trace = run(System([make_workflow(lambda _: Persist(1))]), order_request(), order_request())

    assert len(trace.commits) == 1
