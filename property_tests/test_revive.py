"""Laws of reviving: a failure that passes leaves no trace but itself."""

from datetime import datetime, timedelta
from typing import Any, TypeAlias

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
from arvo.engine.history.revive import revived
from arvo.engine.step.event_factory import alarms_of
from arvo.engine.step.step import take
from tests.shop import (
    NOW,
    CardCharged,
    ChargeCard,
    OrderFulfilled,
    answering,
    placing,
    workflow,
)

NAMES = ("a", "b")
Wish: TypeAlias = tuple[str, str, int]
WISHES: st.SearchStrategy[Wish] = st.one_of(
    st.tuples(st.just("set"), st.sampled_from(NAMES), st.integers(1, 9)),
    st.tuples(st.just("clear"), st.sampled_from(NAMES), st.just(0)),
    st.tuples(st.sampled_from(["ask"] * 5 + ["complete"]), st.just(""), st.just(0)),
)
SCRIPTS = st.lists(
    st.lists(WISHES, min_size=1, max_size=3, unique_by=lambda wish: wish[:2]),
    min_size=4,
    max_size=6,
)

# Which of what waits comes next, and the turns that fail at first.
CHOICES = st.lists(st.integers(0, 5), min_size=4, max_size=6)
FAILING = st.frozensets(st.integers(0, 4), min_size=1, max_size=3)


@define
class Life:
    """A workflow that acts out a script, and fails in some turns at first.

    *told*: what each turn came to, without the ids.
    """

    script: list[list[Wish]]
    failing: frozenset[int] = frozenset()
    down: bool = False
    sent: list[Event[Any]] = field(factory=list)
    told: list[Any] = field(factory=list)
    ids: list[str] = field(factory=list)

    def turn(self, turn: Turn[Any]) -> Commands:
        """Count the turns, and do what the script says of this one."""
        if self.down:
            raise ConnectionError("for now")
        heard: tuple[str, ...] = () if turn.state is None else tuple(turn.state)
        data = turn.event.data
        name = data.name if isinstance(data, TimerFired) else type(data).__name__
        wishes = self.script[len(heard)] if len(heard) < len(self.script) else []
        return Persist([*heard, name]), *map(_wanted, wishes)

    def live(self, choices: list[int]) -> Record:
        """Live until there is nothing to choose from, or the choices end."""
        system = System([workflow(self.turn)])
        event: Event[Any] = placing()
        now, before = NOW, None
        for number, choice in enumerate((*choices, 0)):
            if number in self.failing:
                before = self.fail(system, event, before, now)
            before = self.take(system, event, before, now)
            waiting = self.waiting(system, before) if before.status == "active" else []
            if not waiting:
                break
            event = waiting[choice % len(waiting)]
            if "at" in event.raw:
                now = max(now, datetime.fromisoformat(event.raw["at"]))
            now += timedelta(seconds=1)
        assert before is not None
        return before

    def take(
        self, system: System, event: Event[Any], record: Record | None, now: datetime
    ) -> Record:
        """Take a turn, and write down what it came to."""
        commit = take(system, event, record, now=now)
        assert isinstance(commit, Commit), commit
        assert commit.record is not None, commit
        self.sent += commit.events
        self.ids += (event.id for event in commit.events)
        self.told.append(
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
        """Take a turn that fails, and be revived."""
        self.down = True
        failed = take(system, event, record, now=now)
        self.down = False
        assert isinstance(failed, Commit)
        assert failed.record is not None
        assert failed.record.status == "failed"
        self.ids += (each.id for each in failed.events)
        found = revived(system, failed.record, [event, *failed.events])
        assert isinstance(found, Record), found
        return found

    def waiting(self, system: System, record: Record) -> list[Event[Any]]:
        """Give what may come next, in an order that does not go by ids."""
        asked = [event for event in self.sent if event.id in record.unanswered]
        answers = [answering(event, CardCharged("r"), key=f"to {event.id}") for event in asked]
        timers = sorted(alarms_of(system, record), key=lambda timer: timer.event.raw["name"])
        return [*answers, *(timer.event for timer in timers)]


def _wanted(wish: Wish) -> Command:
    match wish:
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
def test_a_failure_that_passes_leaves_no_trace_once_the_workflow_is_revived(
    script: list[list[Wish]], choices: list[int], failing: frozenset[int]
) -> None:
    """B08: the same turns, states, timers and events as if it had never failed."""
    well, ill = Life(script), Life(script, failing)
    one, other = well.live(choices), ill.live(choices)

    note(f"revived: {other.revivals}, of turns: {min(len(well.told), 5)}")
    assert ill.told == well.told
    assert other.revivals == (other.revision - one.revision) / 2
    assert other.failure is None


@given(
    SCRIPTS,
    CHOICES,
    FAILING,
)
def test_no_event_after_a_revival_has_the_id_of_one_before(
    script: list[list[Wish]], choices: list[int], failing: frozenset[int]
) -> None:
    """I1: whoever has consumed the system error would take the other for it, and drop it."""
    life = Life(script, failing)
    life.live(choices)

    note(f"events: {min(len(life.ids), 5)}")
    assert len(set(life.ids)) == len(life.ids)
