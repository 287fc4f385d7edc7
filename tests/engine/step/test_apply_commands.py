"""Wanted: what the commands of a turn come to, or which of them cannot be."""

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from arvo import ExecutionViolation, Persist, Schedule, System
from arvo.core.payloads.json_data import DEPTH_MAX
from tests.shop import (
    OrderState,
    PlaceOrder,
    committed,
    placing,
    refused,
    workflow,
)

WEST = timezone(timedelta(hours=-5))
NAN = float("nan")
WRONG: Any = 5


@pytest.mark.parametrize(
    ("command", "state", "told"),
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
            "schedule: expected a time in UTC of the years 1 to 9999, got datetime.timedelta(",
        ),
        (
            Schedule("t", at=datetime.max.replace(tzinfo=WEST)),
            None,
            "schedule: expected a time in UTC of the years 1 to 9999, got datetime.datetime(9999",
        ),
    ],
)
def test_what_cannot_be_wanted_says_which_field_and_what_it_got(
    command: Any, state: Any, told: str
) -> None:
    """The author reads it in a dead letter, far from the line that wrote it."""
    violation = refused(System([workflow(lambda _: command, state=state)]), placing())

    assert isinstance(violation, ExecutionViolation)
    assert told in str(violation)


def test_a_timer_takes_along_what_its_event_can_carry() -> None:
    """The event nests it one level deeper, and would be read by nobody."""
    fits: Any = {}
    for _ in range(DEPTH_MAX - 2):
        fits = {"a": fits}

    commit = committed(
        System([workflow(lambda _: Schedule("t", after=1, payload=fits))]), placing()
    )
    deep = Schedule("t", after=1, payload={"a": fits})
    violation = refused(System([workflow(lambda _: deep)]), placing())

    assert commit.timers[0].event.raw["payload"] == fits
    assert "schedule.payload.a.a" in str(violation)
    assert "expected at most 64 levels of nesting" in str(violation)
