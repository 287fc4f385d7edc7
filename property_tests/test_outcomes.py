"""Laws of subscriptions: each end of a workflow is heard at least once, whatever crashes."""

from typing import Any

import pytest
from attrs import frozen
from hypothesis import given, settings
from hypothesis import strategies as st

from arvo import Event, Flow, System, ask, call_workflow, fail, run, service, workflow
from arvo.testing import eventually, simulate


@frozen
class Number:
    value: int


@frozen
class Doubled:
    value: int


@service("com.math.double")
def double(request: Number) -> Doubled:
    return Doubled(2 * request.value)


@workflow("math.part", services=[double])
def part(request: Number) -> Flow[Doubled]:
    if request.value % 3 == 0:
        return fail("three")
    doubled = yield from ask(double, request)
    return doubled


@workflow("math.whole", services=[part])
def whole(request: Number) -> Flow[Doubled]:
    doubled = yield from call_workflow(part, request)
    return doubled


HANDLERS = (double, part, whole)
LISTED = {"com.math.audit": [part, whole], "com.math.billing": [whole]}
SYSTEM = System(HANDLERS, subscriptions=LISTED)


def begin(number: int, value: int) -> Event[Any]:
    return whole["1.0.0"].init(
        Number(value), source="com.test.web", id=f"begin-{number}", workflow_id=f"run-{number}"
    )


def is_heard(world: Any) -> bool:
    """Return whether each end that a subscription lists was heard, or is a dead letter."""
    dead = {(it.event.to, it.event.subject) for it in world.dead_letters}
    heard = {(it.to, it.subject) for it in world.outcomes}
    ended = [record for record in world.records.values() if record.status in ("done", "failed")]
    expected = {
        (name, record.subject) for record in ended for name in SYSTEM.subscribers(record.handler)
    }
    return expected <= heard | dead


@pytest.mark.promise("I1")
@settings(max_examples=settings().max_examples // 4)
@pytest.mark.parametrize("storage", ["store", "pair"])
@given(st.lists(st.integers(0, 9), min_size=1, max_size=3), st.integers(0, 10_000))
def test_each_end_is_heard_whatever_crashes(storage: Any, values: list[int], seed: int) -> None:
    events = [begin(number, value) for number, value in enumerate(values)]
    simulate(SYSTEM, events, checks=[eventually(is_heard)], storage=storage, seed=seed, runs=3)


@given(st.sampled_from([[], [part], [whole], [part, whole]]), st.integers(0, 9))
def test_subscriptions_add_their_outcomes_and_change_nothing_else(
    listed: list[Any], value: int
) -> None:
    event = begin(0, value)
    system = System(HANDLERS, subscriptions={"com.math.audit": listed})
    trace, plain = run(system, event), run(System(HANDLERS), event)
    outcomes = [it for it in trace.events if it.to == "com.math.audit"]
    assert [it for it in trace.events if it not in outcomes] == list(plain.events)
    assert trace.records == plain.records
    ended = [record for record in trace.records.values() if record.status != "active"]
    addresses = {it.source for it in listed}
    assert {it.subject for it in outcomes} == {
        record.subject for record in ended if record.handler in addresses
    }
    assert len(outcomes) == len({it.subject for it in outcomes})
