"""Timers: time as events of the workflow."""

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
    answering,
    committed,
    payments,
    placing,
    refused,
    workflow,
)

FIVE_MINUTES = timedelta(minutes=5)
WEST = timezone(timedelta(hours=-5))


def patient(turn: Turn[Any]) -> Commands:
    """Give the payment five minutes."""
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


alone = System([workflow(patient)])


def test_a_timer_comes_back_as_an_event_when_its_time_has_come() -> None:
    """I7: virtual time moves to the timer, and not before there is nothing else to do."""
    trace = run(alone, placing())

    assert trace.answer is not None
    assert trace.answer.data == OrderFulfilled("o1 gave up")
    assert trace.now - NOW == FIVE_MINUTES


def test_a_timer_that_was_cancelled_does_not_fire() -> None:
    """The reply came first."""
    trace = run(System([workflow(patient), payments]), placing())

    assert trace.answer is not None
    assert trace.answer.data == OrderFulfilled("r-o1")
    assert trace.now == NOW
    assert trace.at_rest


def test_a_timer_stands_in_the_record_and_in_the_commit() -> None:
    """Kept with the record in the same commit, due at an absolute time."""
    commit = committed(alone, placing())

    (alarm,) = commit.timers
    assert commit.record is not None
    (timer,) = commit.record.timers.values()
    assert alarm.due == NOW + FIVE_MINUTES
    assert (timer.id, timer.payload) == (alarm.event.id, {"order": "o1"})


def test_a_timer_that_comes_too_early_is_tried_again_later() -> None:
    """I7: whatever a store or a clock does, nothing fires before its time."""
    commit = committed(alone, placing())

    violation = refused(alone, commit.timers[0].event, commit.record)

    assert isinstance(violation, TransactionViolation)
    assert violation.cause == "early"


def test_a_timer_that_was_overtaken_changes_nothing() -> None:
    """Whatever order the store hands things out in."""
    begun = committed(alone, placing())
    charged = committed(alone, answering(begun.events[0], CardCharged("r")), begun.record)

    late = committed(alone, begun.timers[0].event, charged.record)

    assert charged.cleared_timers == (begun.timers[0].event.id,)
    assert (late.outcome, late.record) == ("late", None)


def test_a_timer_set_again_replaces_the_one_before() -> None:
    """A name is one timer."""

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

    trace = run(System([workflow(restless), payments]), placing())

    assert trace.answer is not None
    assert trace.answer.data == OrderFulfilled("t 120.0")


@pytest.mark.parametrize(
    ("commands", "said"),
    [
        ((Schedule("t", after=1), Schedule("t", after=2)), "a name of its own"),
        ([Schedule(f"t{n}", after=1) for n in range(1001)], "at most 1000 timers"),
        (Schedule("t", after=1, payload={"n": float("nan")}), "a finite number"),
        (Schedule("t", after=timedelta.max), "years 1 to 9999"),
        (Schedule("t", at=datetime.max.replace(tzinfo=WEST)), "years 1 to 9999"),
    ],
)
def test_timers_that_cannot_be_are_refused(commands: Any, said: str) -> None:
    """Nothing changes then (I5)."""
    assert said in str(refused(System([workflow(lambda _: commands)]), placing()))


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
def test_a_schedule_that_says_no_time_is_refused(wrong: Any) -> None:
    """The author hears which field."""
    assert "this timer cannot be: schedule" in str(
        refused(System([workflow(lambda _: wrong())]), placing())
    )


def test_a_timer_takes_an_attrs_object_along_as_a_mapping() -> None:
    """Whoever hears of it has no class to read it by."""
    wait = Schedule("t", after=1, payload=CardCharged("r"))

    commit = committed(System([workflow(lambda _: wait)]), placing())

    assert commit.timers[0].event.raw["payload"] == {"receipt": "r"}


def test_a_timer_that_is_set_and_cleared_in_one_turn_is_not_set() -> None:
    """What is said last of a name counts."""
    commands = [Schedule("t", after=1), Cancel("t")]

    commit = committed(System([workflow(lambda _: commands)]), placing())

    assert commit.record is not None
    assert (commit.timers, dict(commit.record.timers)) == ((), {})


def test_an_event_that_comes_twice_is_taken_once_in_a_run() -> None:
    """As a backend's inbox would have it."""
    trace = run(System([workflow(lambda _: Persist(1))]), placing(), placing())

    assert len(trace.commits) == 1
