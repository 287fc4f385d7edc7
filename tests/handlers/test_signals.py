"""Signals: events that a running workflow accepts from outside, by contract."""

import asyncio
from typing import Any

import pytest
from attrs import frozen

from arvo import (
    Commands,
    Complete,
    ConfigViolation,
    Contract,
    ContractViolation,
    Emit,
    Event,
    Persist,
    Record,
    Resumable,
    Runtime,
    Schedule,
    System,
    TimerFired,
    Turn,
    Version,
    Violated,
    run,
)
from tests.shop import (
    SERVICES,
    ChargeCard,
    OrderFulfilled,
    PlaceOrder,
    charge,
    order,
    order_request,
)


@frozen
class Approve:
    by: str


approve = Contract(
    uri="#/contracts/order/approve",
    type="com.order.approve",
    versions={
        "1.0.0": Version(accepts=Approve, emits={}),
        "2.0.0": Version(accepts=Approve, emits={}),
    },
)


def approved(turn: Turn[Any]) -> Commands:
    """Wait for two approvals, at most an hour."""
    match turn.event.data:
        case PlaceOrder():
            return Persist([]), Schedule("patience", after=3600)
        case Approve(by=by):
            names = [*turn.state, by]
            if len(names) == 2:
                return Persist(names), Complete(OrderFulfilled(" and ".join(names)))
            return Persist(names)
        case TimerFired():
            return Complete(OrderFulfilled("no one"))
        case other:
            raise AssertionError(other)


waits = Resumable(order, {"1.0.0": approved}, services=SERVICES, signals=[approve["1.0.0"]])
system = System([waits])


def signal(by: str, time: str = "2026-01-02T03:05:00Z", **overrides: Any) -> Event[Any]:
    options = {"subject": order_request().subject, "to": waits.source, "id": by, **overrides}
    event: Event[Any] = approve["1.0.0"].accepts(
        Approve(by), source="com.shop.staff", time=time, **options
    )
    return event


def test_signals_come_at_their_own_time() -> None:
    """In `run` as in a runtime: each is a turn, with a payload of its class."""
    trace = run(system, order_request(), signal("ann", "2026-01-02T03:20:00Z"), signal("bob"))

    assert trace.answer is not None
    assert trace.answer.data == OrderFulfilled("bob and ann")
    assert trace.now.isoformat() == "2026-01-02T03:20:00+00:00"


def test_a_signal_that_comes_after_the_timer_is_late() -> None:
    """The workflow has ended; the outcome shows it to the sender."""
    trace = run(system, order_request(), signal("ann"), signal("bob", "2026-01-02T05:00:00Z"))

    assert trace.answer is not None
    assert trace.answer.data == OrderFulfilled("no one")
    assert [commit.outcome for commit in trace.commits][-1] == "late"


def test_a_signal_is_no_reply() -> None:
    """No request of the workflow has it as its answer."""
    seen: list[Turn[Any]] = []
    other = Resumable(order, {"1.0.0": seen.append}, signals=[approve["1.0.0"]])

    run(System([other]), order_request(), signal("ann"))

    assert [(turn.input is None, turn.service, turn.collected) for turn in seen] == [
        (False, None, {}),
        (True, None, {}),
    ]


@pytest.mark.parametrize(
    ("event", "kind", "message"),
    [
        (
            approve["2.0.0"].accepts(
                Approve("ann"),
                source="com.shop.staff",
                subject=order_request().subject,
                to=waits.source,
            ),
            ContractViolation,
            "dataschema: expected #/contracts/order/approve/1.0.0, got",
        ),
        (
            Event.from_dict({**signal("ann").to_dict(), "data": {"by": 5}}),
            ContractViolation,
            "data.by: expected a string",
        ),
        (
            charge["1.0.0"].accepts(
                ChargeCard("o1", 1.0),
                source="com.shop.staff",
                subject=order_request().subject,
                to=waits.source,
            ),
            ConfigViolation,
            "type: expected a reply of a service",
        ),
    ],
    ids=["another version", "payload", "no signal"],
)
def test_an_event_that_is_no_signal_of_the_workflow_is_refused(
    event: Event[Any], kind: type, message: str
) -> None:
    """A workflow accepts only the signals that its handler names."""
    begun = run(system, order_request(), until=None, steps_max=1)

    trace = run(system, event, records=begun.records, steps_max=1)

    assert type(trace.violations[0]) is kind
    assert message in str(trace.violations[0])


@pytest.mark.parametrize(
    ("signals", "message"),
    [
        ([approve], "signals[0]: expected one version of a contract"),
        ([order["1.0.0"]], "taken by the event that begins the workflow"),
        ([approve["1.0.0"], approve["2.0.0"]], "taken by signals[0]"),
    ],
)
def test_signals_with_one_event_type_are_refused(signals: Any, message: str) -> None:
    """At construction, and not when the first one arrives."""
    with pytest.raises(Violated) as refused:
        Resumable(order, {"1.0.0": approved}, signals=signals)

    assert message in str(refused.value)


def test_a_signal_reaches_a_workflow_in_a_runtime_and_a_query_shows_it() -> None:
    """It is sent like any event; sent twice, it counts once."""

    async def go() -> tuple[object, object, Record | None]:
        async with Runtime(system) as runtime:
            asking = asyncio.create_task(runtime.request(order_request(), timeout=60))
            await asyncio.sleep(0)
            for _ in range(2):
                await runtime.send(signal("ann"))
            await runtime.drain(timeout=60)
            between = await runtime.query(order_request().subject)
            await runtime.send(signal("bob"))
            return between, (await asking).data, await runtime.record(order_request().subject)

    between, done, record = asyncio.run(asyncio.wait_for(go(), 5))

    assert (between, done) == (["ann"], OrderFulfilled("ann and bob"))
    assert record is not None
    assert record.revision == 3


def test_a_query_of_an_unknown_workflow_raises() -> None:
    """None would mean that the workflow has no state."""

    async def go() -> None:
        async with Runtime(system) as runtime:
            with pytest.raises(Violated, match="there is no such workflow"):
                await runtime.query(order_request().subject)

    asyncio.run(go())


def test_a_signal_does_not_answer_a_pending_request() -> None:
    """It names no parent, so the workflow still waits for the reply."""
    asks = Resumable(
        order,
        {"1.0.0": lambda turn: Emit(ChargeCard("o1", 1.0)) if turn.input else None},
        services=SERVICES,
        signals=[approve["1.0.0"]],
    )

    trace = run(System([asks]), order_request(), signal("ann"))

    assert len(trace.records[order_request().subject].unanswered) == 1
