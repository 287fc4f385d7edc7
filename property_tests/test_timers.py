"""Laws of timers: never early, never twice, never after a cancellation or a reschedule."""

from datetime import datetime, timedelta
from typing import Any, TypeAlias

import pytest
from attrs import define, field
from hypothesis import event as note
from hypothesis import given
from hypothesis import strategies as st
from returns.result import Failure

from arvo import (
    Cancel,
    Cancellation,
    Command,
    Commands,
    Commit,
    Complete,
    Emit,
    Event,
    Fail,
    Persist,
    Record,
    Schedule,
    System,
    TimerFired,
    TransactionViolation,
    Turn,
    Violation,
    run,
    step,
)
from arvo.core.commit import PendingTimer
from tests.shop import (
    NOW,
    CardCharged,
    ChargeCard,
    OrderFulfilled,
    make_workflow,
    order,
    order_request,
    reply_to,
)

NAMES = ("a", "b")
Action: TypeAlias = tuple[str, str, int]
Script: TypeAlias = list[list[Action]]
# The commands of a turn: set a timer (again), clear one, send a request, end.
ACTIONS: st.SearchStrategy[Action] = st.one_of(
    st.tuples(st.just("set"), st.sampled_from(NAMES), st.integers(0, 9)),
    st.tuples(st.just("set"), st.sampled_from(NAMES), st.integers(0, 9)),
    st.tuples(st.just("clear"), st.sampled_from(NAMES), st.just(0)),
    st.tuples(st.just("ask"), st.just(""), st.just(0)),
    st.tuples(st.sampled_from(["ask", "ask", "ask", "complete", "fail"]), st.just(""), st.just(0)),
)
SCRIPTS: st.SearchStrategy[Script] = st.lists(
    st.lists(ACTIONS, max_size=4, unique_by=lambda action: action[:2]), min_size=1, max_size=8
)


def scripted(script: Script) -> System:
    """Make a workflow that follows a script and stores the ids of the timers that fired."""

    def function(turn: Turn[Any]) -> Commands:
        if isinstance(turn.event.data, Cancellation):
            return None
        number = 0 if turn.record is None else turn.record.revision
        fired = list(turn.state or ())
        if isinstance(turn.event.data, TimerFired):
            fired.append(turn.event.id)
        actions = script[number % len(script)] if number < 50 else []
        return Persist(fired), *(_command(action) for action in actions)

    return System([make_workflow(function)])


def _command(action: Action) -> Command:
    match action:
        case "set", name, seconds:
            return Schedule(name, after=seconds)
        case "clear", name, _:
            return Cancel(name)
        case "ask", _, _:
            return Emit(ChargeCard("o1", 1.0))
        case "complete", _, _:
            return Complete(OrderFulfilled("t"))
        case _:
            return Fail("as planned")


@define
class Store:
    """A store that delivers any event it has ever held, at any time, by a clock that jumps.

    The inbox lets each reply through once, as every backend does. Timer events have no inbox.
    """

    system: System
    record: Record | None = None
    now: datetime = NOW
    timers: list[PendingTimer] = field(factory=list)
    requests: list[Event[Any]] = field(factory=list)
    inbox: set[str] = field(factory=set)

    def deliver(self, event: Event[Any]) -> Commit | Violation:
        """Take a step at the present time and store its results."""
        stepped = step(self.system, event, self.record, now=self.now)
        if isinstance(stepped, Failure):
            violation: Violation = stepped.failure()
            return violation
        commit = stepped.unwrap()
        assert isinstance(commit, Commit)
        self.timers += commit.timers
        self.requests += (sent for sent in commit.events if sent.type == "com.payment.charge")
        if commit.record is not None:
            self.record = commit.record
            self.inbox.add(event.id)
        return commit


@st.composite
def deliveries(draw: st.DrawFn) -> list[tuple[str, int, int]]:
    """Draw deliveries: the kind, the position among the stored events, and a clock jump."""
    jumps = st.integers(-5, 10)
    kinds = st.sampled_from(["timer", "timer", "timer", "answer", "answer", "init", "cancel"])
    # Few cancellations, so that most workflows run long enough.
    listed = draw(st.lists(st.tuples(kinds, st.integers(0, 50), jumps), max_size=25))
    return [drawn for drawn in listed if drawn[0] != "cancel" or drawn[1] < 10]


def _event(store: Store, kind: str, position: int) -> Event[Any] | None:
    match kind:
        case "timer" if store.timers:
            return store.timers[position % len(store.timers)].event
        case "answer" if store.requests:
            request = store.requests[position % len(store.requests)]
            answer = reply_to(request, CardCharged("r"), key=f"answer to {request.id}")
            return None if answer.id in store.inbox else answer
        case "init":
            return order_request()
        case "cancel":
            return order["1.0.0"].cancel(
                "enough", source="com.x.y", subject=order_request().subject, id=f"cancel {position}"
            )
        case _:
            return None


@pytest.mark.promise("I7")
@given(SCRIPTS, deliveries())
def test_a_timer_fires_only_while_it_is_pending_and_due_and_once(
    script: Script, schedule: list[tuple[str, int, int]]
) -> None:
    """I7: it holds for deliveries in any order, stale, repeated, early, or after the end."""
    store = Store(scripted(script))
    store.deliver(order_request())
    due: dict[str, datetime] = {}
    for kind, position, jump in schedule:
        store.now = max(NOW, store.now + timedelta(seconds=jump))
        due |= {timer.event.id: timer.due for timer in store.timers}
        event = _event(store, kind, position)
        before = store.record
        if event is None or before is None:
            continue
        pending = {timer.id for timer in before.timers.values()}

        outcome = store.deliver(event)

        if event.id not in due:
            continue
        standing = before.status == "active" and event.id in pending
        if standing and store.now >= due[event.id]:
            note("fired")
            assert isinstance(outcome, Commit)
            assert outcome.outcome in ("handled", "failed")
            assert store.record is not before
        elif standing:
            note("early")
            assert isinstance(outcome, TransactionViolation)
            assert (outcome.cause, store.record) == ("early", before)
        else:
            note("stale")
            assert isinstance(outcome, Commit)
            assert (outcome.outcome, store.record) == ("late", before)
    assert store.record is not None
    fired: Any = store.record.state or []
    assert len(set(fired)) == len(fired)


@given(SCRIPTS, deliveries())
def test_the_pending_timers_were_set_and_neither_fired_nor_cleared(
    script: Script, schedule: list[tuple[str, int, int]]
) -> None:
    """A store that follows the commits holds exactly the timers of the record."""
    store = Store(scripted(script))
    held: dict[str, datetime] = {}
    for kind, position, jump in [("init", 0, 0), *schedule]:
        store.now = max(NOW, store.now + timedelta(seconds=jump))
        event = _event(store, kind, position)
        if event is None:
            continue
        outcome = store.deliver(event)
        if not isinstance(outcome, Commit):
            continue
        if outcome.record is not None:
            held.pop(event.id, None)
        for cleared in outcome.cleared_timers:
            held.pop(cleared, None)
        held |= {timer.event.id: timer.due for timer in outcome.timers}
        if store.record is not None and store.record.status == "active":
            timers = store.record.timers.values()
            assert held == {timer.id: datetime.fromisoformat(timer.at) for timer in timers}
        else:
            assert held == {}


@given(SCRIPTS, st.integers(0, 30))
def test_virtual_time_moves_to_each_timer_and_never_back(script: Script, until: int) -> None:
    """A run that stops at a time is the first part of the whole run, without stale events."""
    system = scripted(script)
    limit = NOW + timedelta(seconds=until)

    whole = run(system, order_request(), steps_max=100)
    part = run(system, order_request(), until=limit, steps_max=100)

    assert part.now <= max(limit, NOW)
    assert part.entries == whole.entries[: len(part.entries)]
    assert [commit.event for commit in whole.commits if commit.outcome == "late"] == []
    times = [
        datetime.fromisoformat(event.time) for event in whole.events if event.type.endswith(".due")
    ]
    assert times == sorted(times)
