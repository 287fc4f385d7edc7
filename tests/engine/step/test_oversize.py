"""Oversize: an event that no reader would accept fails the step that emits it."""

from typing import Any

import pytest

from arvo import (
    Cancel,
    Commands,
    Compensate,
    Complete,
    Emit,
    Event,
    Persist,
    Runtime,
    Schedule,
    System,
    Turn,
)
from arvo.core.commit import Commit
from arvo.core.events.event import EVENT_BYTES_MAX
from arvo.core.events.size import size_in_bytes
from arvo.core.trace_context import TraceContext
from arvo.engine.step.step import step_plain
from tests.interpreters.within import within
from tests.shop import (
    NOW,
    CardCharged,
    ChargeCard,
    OrderFulfilled,
    charge_request,
    expect_commit,
    expect_violation,
    make_workflow,
    order_request,
    payment_handler,
)

HUGE = "x" * (EVENT_BYTES_MAX + 100_000)


def failure_of(commit: Commit) -> tuple[str, str, str]:
    """Return outcome, and name and message of the system error of a commit that has no more."""
    [event] = commit.events
    return commit.outcome, event.raw["errorName"], event.raw["errorMessage"]


def test_an_answer_that_is_too_large_is_a_failure_for_its_requester() -> None:
    """Otherwise the workflow that asked waits for ever: every reader refuses the answer."""
    handler = payment_handler(lambda _: Emit(CardCharged(HUGE)))

    outcome, name, message = failure_of(expect_commit(System([handler]), charge_request()))

    assert (outcome, name) == ("failed", "TooLarge")
    assert "event evt.payment.charged: expected at most 1048576 bytes as JSON, got 11" in message


def test_the_trace_of_a_step_counts_towards_the_size_of_its_events() -> None:
    """Otherwise an observed worker emits what one that is not observed never does."""
    room = EVENT_BYTES_MAX - size_in_bytes(answer_of_length(0).events[0])
    trace = TraceContext(f"00-{1:032x}-{1:016x}-01", "vendor=1")

    plain, traced = answer_of_length(room), answer_of_length(room, trace)

    assert (plain.outcome, traced.outcome) == ("handled", "failed")
    assert all(size_in_bytes(event) <= EVENT_BYTES_MAX for event in traced.events)
    assert traced.events[0].traceparent == trace.traceparent


def answer_of_length(length: int, trace: TraceContext | None = None) -> Commit:
    handler = payment_handler(lambda _: Emit(CardCharged("x" * length)))
    commit = step_plain(System([handler]), charge_request(), None, now=NOW, trace=trace)
    assert isinstance(commit, Commit)
    return commit


def test_an_event_of_exactly_the_limit_is_emitted() -> None:
    """The limit is the one of the reader."""

    def answer(length: int) -> Commit:
        handler = payment_handler(lambda _: Emit(CardCharged("x" * length)))
        return expect_commit(System([handler]), charge_request())

    room = EVENT_BYTES_MAX - size_in_bytes(answer(0).events[0])

    largest, larger = answer(room), answer(room + 1)

    assert size_in_bytes(largest.events[0]) == EVENT_BYTES_MAX
    assert Event.parse(largest.events[0].to_json()) == largest.events[0]
    assert (largest.outcome, larger.outcome) == ("handled", "failed")


@pytest.mark.parametrize(
    "commands",
    [
        Emit(ChargeCard(HUGE, 1.0)),
        (Persist({"order_id": "o"}), Emit(ChargeCard("o", 1.0)), Emit(ChargeCard(HUGE, 1.0))),
        Complete(OrderFulfilled(HUGE)),
        (Emit(ChargeCard("o", 1.0)), Schedule("later", after=1.0, payload={"text": HUGE})),
        (Compensate(ChargeCard("o", 1.0)), Cancel("later"), Emit(ChargeCard(HUGE, 1.0))),
    ],
    ids=["request", "second", "completion", "timer", "compensated"],
)
def test_a_workflow_that_emits_one_fails_and_sends_nothing_else(commands: Commands) -> None:
    """Its initiator learns of it, and an operator can revive it after a correction."""
    commit = expect_commit(System([make_workflow(lambda _: commands)]), order_request())

    assert failure_of(commit)[:2] == ("failed", "TooLarge")
    assert commit.record is not None
    assert (commit.record.status, commit.record.state, commit.timers) == ("failed", None, ())
    assert commit.record.failure is not None
    assert "at most 1048576 bytes" in commit.record.failure.message


def test_a_failure_that_is_too_large_itself_is_a_violation() -> None:
    """It repeats an attribute of the request; an operator finds the request as a dead letter."""
    request = charge_request(accesscontrol=HUGE)
    handler = payment_handler(lambda _: Emit(CardCharged("r")))

    violation = expect_violation(System([handler]), request)

    assert "an event of com.payment.charge is too large" in str(violation)


@pytest.mark.promise("I8")
def test_a_workflow_whose_service_answers_too_much_does_not_wait_for_ever() -> None:
    """I8: it gets a system error in place of the answer."""

    def pay(event: Event[ChargeCard]) -> Emit:
        return Emit(CardCharged(HUGE))

    def fulfil(turn: Turn[Any]) -> Commands:
        if turn.event.type == "arvo.orc.order.fulfil":
            return Emit(ChargeCard("o", 1.0))
        return Complete(OrderFulfilled(turn.event.raw["errorName"]))

    async def go() -> Any:
        system = System([payment_handler(pay), make_workflow(fulfil)])
        async with Runtime(system) as runtime:
            answer = await runtime.request(order_request(), timeout=30)
            assert await runtime.dead_letters() == ()
            return answer.data

    assert within(go()) == OrderFulfilled("TooLarge")
