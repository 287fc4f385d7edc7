"""Laws of reviving: a temporary failure changes nothing but the record of itself."""

from datetime import datetime, timedelta
from typing import Any, TypeAlias

import pytest
from attrs import define, field
from hypothesis import event as note
from hypothesis import given
from hypothesis import strategies as st

from arvo import (
    Cancel,
    Command,
    Commands,
    Commit,
    Complete,
    Emit,
    Event,
    Persist,
    Record,
    Schedule,
    System,
    TimerFired,
    Turn,
)
from arvo.engine.history.revive import revived_record
from arvo.engine.step.event_factory import pending_timers
from arvo.engine.step.step import step_plain
from tests.shop import (
    NOW,
    CardCharged,
    ChargeCard,
    OrderFulfilled,
    make_workflow,
    order_request,
    reply_to,
)

NAMES = ("a", "b")
Action: TypeAlias = tuple[str, str, int]
ACTIONS: st.SearchStrategy[Action] = st.one_of(
    st.tuples(st.just("set"), st.sampled_from(NAMES), st.integers(1, 9)),
    st.tuples(st.just("clear"), st.sampled_from(NAMES), st.just(0)),
    st.tuples(st.sampled_from(["ask"] * 5 + ["complete"]), st.just(""), st.just(0)),
)
SCRIPTS = st.lists(
    st.lists(ACTIONS, min_size=1, max_size=3, unique_by=lambda action: action[:2]),
    min_size=4,
    max_size=6,
)

# The position of the next event among those that may come, and the turns that fail at first.
CHOICES = st.lists(st.integers(0, 5), min_size=4, max_size=6)
FAILING = st.frozensets(st.integers(0, 4), min_size=1, max_size=3)


@define
class ScriptedRun:
    """A workflow that follows a script and fails in some turns at first.

    *outcomes*: the result of each turn, without ids.
    """

    script: list[list[Action]]
    failing: frozenset[int] = frozenset()
    down: bool = False
    sent: list[Event[Any]] = field(factory=list)
    outcomes: list[Any] = field(factory=list)
    ids: list[str] = field(factory=list)

    def turn(self, turn: Turn[Any]) -> Commands:
        """Return the commands of the script for this turn."""
        if self.down:
            raise ConnectionError("for now")
        handled: tuple[str, ...] = () if turn.state is None else tuple(turn.state)
        data = turn.event.data
        name = data.name if isinstance(data, TimerFired) else type(data).__name__
        actions = self.script[len(handled)] if len(handled) < len(self.script) else []
        return Persist([*handled, name]), *map(_command, actions)

    def play(self, choices: list[int]) -> Record:
        """Run until no event may come any more, or the choices are used up."""
        system = System([make_workflow(self.turn)])
        event: Event[Any] = order_request()
        now, before = NOW, None
        for number, choice in enumerate((*choices, 0)):
            if number in self.failing:
                before = self.fail(system, event, before, now)
            before = self.step(system, event, before, now)
            waiting = self.waiting(system, before) if before.status == "active" else []
            if not waiting:
                break
            event = waiting[choice % len(waiting)]
            if "at" in event.raw:
                now = max(now, datetime.fromisoformat(event.raw["at"]))
            now += timedelta(seconds=1)
        assert before is not None
        return before

    def step(
        self, system: System, event: Event[Any], record: Record | None, now: datetime
    ) -> Record:
        """Take a step and note its result."""
        commit = step_plain(system, event, record, now=now)
        assert isinstance(commit, Commit), commit
        assert commit.record is not None, commit
        self.sent += commit.events
        self.ids += (event.id for event in commit.events)
        self.outcomes.append(
            (
                commit.record.status,
                commit.record.state,
                [(event.type, event.raw, event.time) for event in commit.events],
                {name: timer.at for name, timer in commit.record.timers.items()},
                [bool(replies) for replies in commit.record.pending_requests.values()],
            )
        )
        return commit.record

    def fail(
        self, system: System, event: Event[Any], record: Record | None, now: datetime
    ) -> Record:
        """Take a step that fails, and revive the workflow."""
        self.down = True
        failed = step_plain(system, event, record, now=now)
        self.down = False
        assert isinstance(failed, Commit)
        assert failed.record is not None
        assert failed.record.status == "failed"
        self.ids += (event.id for event in failed.events)
        revived = revived_record(system, failed.record, [event, *failed.events])
        assert isinstance(revived, Record), revived
        return revived

    def waiting(self, system: System, record: Record) -> list[Event[Any]]:
        """Return the events that may come next, in an order that does not depend on ids."""
        requests = [event for event in self.sent if event.id in record.unanswered]
        answers = [reply_to(event, CardCharged("r"), key=f"to {event.id}") for event in requests]
        timers = sorted(pending_timers(system, record), key=lambda timer: timer.event.raw["name"])
        return [*answers, *(timer.event for timer in timers)]


def _command(action: Action) -> Command:
    match action:
        case "set", name, seconds:
            return Schedule(name, after=seconds)
        case "clear", name, _:
            return Cancel(name)
        case "ask", _, _:
            return Emit(ChargeCard("o1", 1.0))
        case _:
            return Complete(OrderFulfilled("t"))


@given(
    SCRIPTS,
    CHOICES,
    FAILING,
)
def test_a_revived_workflow_has_the_result_of_one_that_never_failed(
    script: list[list[Action]], choices: list[int], failing: frozenset[int]
) -> None:
    """B08: turns, states, timers and events are the same."""
    healthy_run, failing_run = ScriptedRun(script), ScriptedRun(script, failing)
    healthy, revived = healthy_run.play(choices), failing_run.play(choices)

    note(f"revived: {revived.revivals}, of turns: {min(len(healthy_run.outcomes), 5)}")
    assert failing_run.outcomes == healthy_run.outcomes
    assert revived.revivals == (revived.revision - healthy.revision) / 2
    assert revived.failure is None


@pytest.mark.promise("I1")
@given(
    SCRIPTS,
    CHOICES,
    FAILING,
)
def test_no_event_after_a_revival_has_the_id_of_one_before(
    script: list[list[Action]], choices: list[int], failing: frozenset[int]
) -> None:
    """I1: a receiver of the system error would drop the later event as a duplicate."""
    scripted = ScriptedRun(script, failing)
    scripted.play(choices)

    note(f"events: {min(len(scripted.ids), 5)}")
    assert len(set(scripted.ids)) == len(scripted.ids)
