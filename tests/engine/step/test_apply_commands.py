"""Apply commands: the effects of a turn's commands, and the commands that are invalid."""

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from arvo import ExecutionViolation, Persist, Schedule, System
from arvo.core.payloads.json_data import DEPTH_MAX
from tests.shop import (
    OrderState,
    PlaceOrder,
    expect_commit,
    expect_violation,
    make_workflow,
    order_request,
)

WEST = timezone(timedelta(hours=-5))
NAN = float("nan")
WRONG: Any = 5
TIME_RANGE = "a time between the years 1 and 9999 in UTC"


@pytest.mark.parametrize(
    ("command", "state", "expected"),
    [
        (Persist(OrderState(WRONG)), OrderState, "state.order_id: expected a string, got 5"),
        (Persist({"n": NAN}), None, "state.n: expected a finite number, got nan"),
        (
            Schedule("t", after=1, payload={"n": NAN}),
            None,
            "schedule.payload.n: expected a finite number, got nan",
        ),
        (
            Schedule("t", after=1, payload=PlaceOrder("o1", NAN)),
            None,
            "schedule.payload.amount: expected a finite number, got nan",
        ),
        (
            Schedule("t", after=1, payload=[1]),
            None,
            "schedule.payload: expected an object, got [1]",
        ),
        (
            Schedule("t", after=timedelta.max),
            None,
            f"schedule: expected {TIME_RANGE}, got datetime.timedelta(",
        ),
        (
            Schedule("t", at=datetime.max.replace(tzinfo=WEST)),
            None,
            f"schedule: expected {TIME_RANGE}, got datetime.datetime(9999",
        ),
    ],
)
def test_an_invalid_command_names_the_field_and_the_value(
    command: Any, state: Any, expected: str
) -> None:
    """The author reads the message in a dead letter, far from the code."""
    violation = expect_violation(
        System([make_workflow(lambda _: command, state=state)]), order_request()
    )

    assert isinstance(violation, ExecutionViolation)
    assert expected in str(violation)


def test_the_payload_of_a_timer_may_be_as_deep_as_its_event_can_hold() -> None:
    """The event nests it one level deeper; a deeper event could not be read."""
    fits: Any = {}
    for _ in range(DEPTH_MAX - 2):
        fits = {"a": fits}

    commit = expect_commit(
        System([make_workflow(lambda _: Schedule("t", after=1, payload=fits))]), order_request()
    )
    deep = Schedule("t", after=1, payload={"a": fits})
    violation = expect_violation(System([make_workflow(lambda _: deep)]), order_request())

    assert commit.timers[0].event.raw["payload"] == fits
    assert "schedule.payload.a.a" in str(violation)
    assert "expected at most 64 levels of nesting" in str(violation)
