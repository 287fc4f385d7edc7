"""Laws of timers: never early, never twice, never after they were cancelled or set anew."""

from datetime import datetime, timedelta
from typing import Any, TypeAlias

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
    answering,
    order,
    placing,
    workflow,
)

NAMES = ("a", "b")
Wish: TypeAlias = tuple[str, str, int]
Script: TypeAlias = list[list[Wish]]
# What a turn wants: to set a timer (again), to clear one, to ask a service, to end.
WISHES: st.SearchStrategy[Wish] = st.one_of(
    st.tuples(st.just("set"), st.sampled_from(NAMES), st.integers(0, 9)),
    st.tuples(st.just("set"), st.sampled_from(NAMES), st.integers(0, 9)),
    st.tuples(st.just("clear"), st.sampled_from(NAMES), st.just(0)),
    st.tuples(st.just("ask"), st.just(""), st.just(0)),
    st.tuples(st.sampled_from(["ask", "ask", "ask", "complete", "fail"]), st.just(""), st.just(0)),
)
SCRIPTS: st.SearchStrategy[Script] = st.lists(
    st.lists(WISHES, max_size=4, unique_by=lambda wish: wish[:2]), min_size=1, max_size=8
)


def scripted(script: Script) -> System:
    """Make a workflow whose turns are a script, and which remembers the timers that fired."""

    def function(turn: Turn[Any]) -> Commands:
        if isinstance(turn.event.data, Cancellation):
            return None
        number = 0 if turn.record is None else turn.record.revision
        fired = list(turn.state or ())
        if isinstance(turn.event.data, TimerFired):
            fired.append(turn.event.id)
        wishes = script[number % len(script)] if number < 50 else []
        return Persist(fired), *(_wanted(each) for each in wishes)

    return System([workflow(function)])


def _wanted(wish: Wish) -> Command:
    match wish:
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
    """A store that hands out whatever it has ever held, at any time, on a clock that jumps.

    Answers come once, by the inbox of every backend; a timer's event must do without.
    """

    system: System
    record: Record | None = None
    now: datetime = NOW
    alarms: list[PendingTimer] = field(factory=list)
    requests: list[Event[Any]] = field(factory=list)
    inbox: set[str] = field(factory=set)

    def hand_out(self, event: Event[Any]) -> Commit | Violation:
        """Take a step at the present time, and hold what follows."""
        stepped = step(self.system, event, self.record, now=self.now)
        if isinstance(stepped, Failure):
            violation: Violation = stepped.failure()
            return violation
        commit = stepped.unwrap()
        assert isinstance(commit, Commit)
        self.alarms += commit.timers
        self.requests += (each for each in commit.events if each.type == "com.payment.charge")
        if commit.record is not None:
            self.record = commit.record
            self.inbox.add(event.id)
        return commit


@st.composite
def deliveries(draw: st.DrawFn) -> list[tuple[str, int, int]]:
    """Draw what is handed out: what, which of what is held, and by how much the clock jumps."""
    jumps = st.integers(-5, 10)
    kinds = st.sampled_from(["alarm", "alarm", "alarm", "answer", "answer", "init", "cancel"])
    # Most workflows shall live long enough to see something.
    listed = draw(st.lists(st.tuples(kinds, st.integers(0, 50), jumps), max_size=25))
    return [each for each in listed if each[0] != "cancel" or each[1] < 10]


def _event(store: Store, kind: str, which: int) -> Event[Any] | None:
    match kind:
        case "alarm" if store.alarms:
            return store.alarms[which % len(store.alarms)].event
        case "answer" if store.requests:
            asked = store.requests[which % len(store.requests)]
            answer = answering(asked, CardCharged("r"), key=f"answer to {asked.id}")
            return None if answer.id in store.inbox else answer
        case "init":
            return placing()
        case "cancel":
            return order["1.0.0"].cancel(
                "enough", source="com.x.y", subject=placing().subject, id=f"cancel {which}"
            )
        case _:
            return None


@given(SCRIPTS, deliveries())
def test_a_timer_fires_only_while_it_is_pending_and_due_and_once(
    script: Script, schedule: list[tuple[str, int, int]]
) -> None:
    """I7: whatever order things are handed out in, stale, twice, early, or after the end."""
    store = Store(scripted(script))
    store.hand_out(placing())
    due: dict[str, datetime] = {}
    for kind, which, jump in schedule:
        store.now = max(NOW, store.now + timedelta(seconds=jump))
        due |= {alarm.event.id: alarm.due for alarm in store.alarms}
        event = _event(store, kind, which)
        before = store.record
        if event is None or before is None:
            continue
        pending = {timer.id for timer in before.timers.values()}

        outcome = store.hand_out(event)

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
def test_what_is_pending_is_what_was_set_and_neither_fired_nor_cleared(
    script: Script, schedule: list[tuple[str, int, int]]
) -> None:
    """The commits alone tell a store which timers to hold: no more than the record waits for."""
    store = Store(scripted(script))
    held: dict[str, datetime] = {}
    for kind, which, jump in [("init", 0, 0), *schedule]:
        store.now = max(NOW, store.now + timedelta(seconds=jump))
        event = _event(store, kind, which)
        if event is None:
            continue
        outcome = store.hand_out(event)
        if not isinstance(outcome, Commit):
            continue
        if outcome.record is not None:
            held.pop(event.id, None)
        for cleared in outcome.cleared_timers:
            held.pop(cleared, None)
        held |= {alarm.event.id: alarm.due for alarm in outcome.timers}
        if store.record is not None and store.record.status == "active":
            timers = store.record.timers.values()
            assert held == {timer.id: datetime.fromisoformat(timer.at) for timer in timers}
        else:
            assert held == {}


@given(SCRIPTS, st.integers(0, 30))
def test_virtual_time_moves_to_each_timer_and_never_back(script: Script, until: int) -> None:
    """A run that is stopped at a time is the beginning of the whole, and none of it is stale."""
    system = scripted(script)
    limit = NOW + timedelta(seconds=until)

    whole = run(system, placing(), steps_max=100)
    part = run(system, placing(), until=limit, steps_max=100)

    assert part.now <= max(limit, NOW)
    assert part.happened == whole.happened[: len(part.happened)]
    assert [commit.event for commit in whole.commits if commit.outcome == "late"] == []
    times = [
        datetime.fromisoformat(event.time) for event in whole.events if event.type.endswith(".due")
    ]
    assert times == sorted(times)
