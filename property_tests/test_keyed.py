"""Laws of debounce, batch, throttle and singleton: all events, all times, whatever crashes."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

import pytest
from attrs import frozen
from hypothesis import given, settings
from hypothesis import strategies as st

from arvo import (
    Contract,
    Emit,
    Event,
    EventHandler,
    Resumable,
    System,
    Trace,
    Version,
    run,
)
from arvo.compose import HeldEvents, batched, debounced, singleton, throttled
from arvo.engine.trace import StepTaken
from arvo.testing import eventually, simulate
from arvo.testing.simulation.faults.fault import FAULT_KINDS, ClockJump

START = datetime.fromisoformat("2026-01-02T00:00:00+00:00")
AFTER, LONGEST, WITHIN, PERIOD = 4.5, 10.5, 6.5, 7.5
SIZE, LIMIT = 3, 2


@frozen
class Change:
    page: str
    number: int


@frozen
class Changes:
    items: tuple[Change, ...]


@frozen
class Indexed:
    numbers: tuple[int, ...]


one = Contract(
    uri="#/contracts/index",
    type="com.site.index",
    versions={"1.0.0": Version(accepts=Change, emits={"evt.site.indexed": Indexed})},
)
many = Contract(
    uri="#/contracts/index/all",
    type="com.site.index.all",
    versions={"1.0.0": Version(accepts=Changes, emits={"evt.site.all.indexed": Indexed})},
)
index_one = EventHandler(one, {"1.0.0": lambda event: Emit(Indexed((event.data.number,)))})
index_all = EventHandler(
    many, {"1.0.0": lambda event: Emit(Indexed(tuple(it.number for it in event.data.items)))}
)


def page_of(change: Change) -> str:
    return change.page


WORKFLOWS: Mapping[str, Resumable[Any]] = {
    "debounced": debounced(index_one, key=page_of, after=AFTER, longest=LONGEST),
    "batched": batched(index_all, Change, Changes, size=SIZE, within=WITHIN, key=page_of),
    "throttled": throttled(index_one, key=page_of, limit=LIMIT, period=PERIOD),
    "singleton": singleton(index_one, key=page_of),
}
SYSTEMS = {name: System([index_one, index_all, workflow]) for name, workflow in WORKFLOWS.items()}
# The seconds between an event and the one before, and its key. Whole ones, so that no event comes
# at the moment of a timer.
CHANGES = st.lists(
    st.tuples(st.integers(0, 9), st.sampled_from(["home", "news"])), min_size=1, max_size=12
)


def make_events(name: str, changes: Sequence[tuple[int, str]]) -> list[Event[Any]]:
    """Return an event for each change, numbered in the order of their times."""
    events, seconds = [], 0
    contract = WORKFLOWS[name].contract["1.0.0"]
    for number, (gap, page) in enumerate(changes):
        seconds += gap
        events.append(
            contract.init(
                Change(page, number),
                source=f"com.site.{'web' if number % 2 else 'api'}",
                id=f"change-{number}",
                time=START + timedelta(seconds=seconds),
            )
        )
    return events


def second_of(event: Event[Any]) -> float:
    return (datetime.fromisoformat(event.time) - START).total_seconds()


def numbers_of(event: Event[Any]) -> list[int]:
    """Return the numbers of the changes in an event for a handler."""
    items = [event.data] if isinstance(event.data, Change) else event.data.items
    return [item.number for item in items]


def page_of_event(event: Event[Any]) -> str:
    data = event.data
    page: str = data.page if isinstance(data, Change) else data.items[0].page
    return page


def handled(trace: Trace) -> list[Event[Any]]:
    """Return the events that the handlers got, in order."""
    return [
        entry.event
        for entry in trace.entries
        if isinstance(entry, StepTaken) and entry.event.to in (one.type, many.type)
    ]


def by_page(events: Sequence[Event[Any]]) -> dict[str, list[Event[Any]]]:
    ordered = sorted(events, key=page_of_event)
    return {page: list(group) for page, group in groupby(ordered, page_of_event)}


@given(CHANGES)
def test_debounce_fires_once_after_quiet(changes: list[tuple[int, str]]) -> None:
    events = make_events("debounced", changes)
    expected = []
    for group in by_page(events).values():
        window: list[Event[Any]] = []
        for event in [*group, None]:
            due = 0.0
            if window:
                due = min(second_of(window[0]) + LONGEST, second_of(window[-1]) + AFTER)
            if window and (event is None or second_of(event) > due):
                expected.append((due, numbers_of(window[-1]), len(window)))
                window = []
            window += [] if event is None else [event]

    trace = run(SYSTEMS["debounced"], *events)

    ends = [(second_of(it), it.data.events) for it in trace.events if type(it.data) is HeldEvents]
    fired = [(second_of(event), numbers_of(event)) for event in handled(trace)]
    assert sorted(fired) == sorted((due, numbers) for due, numbers, _ in expected)
    assert sorted(ends) == sorted((due, count) for due, _, count in expected)


@given(CHANGES)
def test_a_batch_loses_none_and_keeps_order(changes: list[tuple[int, str]]) -> None:
    events = make_events("batched", changes)

    batches = by_page(handled(run(SYSTEMS["batched"], *events)))

    for page, group in by_page(events).items():
        came = {number: second_of(event) for event in group for number in numbers_of(event)}
        assert [n for batch in batches[page] for n in numbers_of(batch)] == list(came)
        for batch in batches[page]:
            numbers = numbers_of(batch)
            waited = second_of(batch) - came[numbers[0]]
            assert 1 <= len(numbers) <= SIZE
            assert waited == WITHIN or (len(numbers) == SIZE and waited < WITHIN)


@given(CHANGES)
def test_throttle_holds_its_bound_in_every_span(changes: list[tuple[int, str]]) -> None:
    events = make_events("throttled", changes)

    sent = by_page(handled(run(SYSTEMS["throttled"], *events)))

    for page, group in by_page(events).items():
        times = list(map(second_of, sent[page]))
        assert [numbers_of(it) for it in sent[page]] == [numbers_of(it) for it in group]
        for position, event in enumerate(group):
            earliest = second_of(event)
            if position >= LIMIT:
                earliest = max(earliest, times[position - LIMIT] + PERIOD)
            assert times[position] == earliest


@given(CHANGES)
def test_a_singleton_has_one_event_at_a_time(changes: list[tuple[int, str]]) -> None:
    events = make_events("singleton", changes)

    trace = run(SYSTEMS["singleton"], *events)

    sent = by_page(handled(trace))
    for page, group in by_page(events).items():
        assert [numbers_of(it) for it in sent[page]] == [numbers_of(it) for it in group]
    for record in trace.records.values():
        assert record.status == "done"
    _assert_one_at_a_time([entry.event for entry in trace.entries if isinstance(entry, StepTaken)])


def _assert_one_at_a_time(events: Sequence[Event[Any]]) -> None:
    """Check that an answer follows each request of a key before its next request."""
    open_requests: dict[str, str] = {}
    for event in events:
        if event.to == one.type:
            assert event.subject not in open_requests
            open_requests[event.subject] = event.id
        elif event.parentid is not None and open_requests.get(event.subject) == event.parentid:
            del open_requests[event.subject]


def is_exact(name: str) -> Any:
    """Return the check that each event is in exactly one event for the handler, in order."""

    def check(world: Any) -> None:
        # Poison ends as a dead letter, which an operator redrives.
        if world.dead_letters:
            return
        accepted = [it for it in world.sent if it.type == WORKFLOWS[name].source]
        sent = [it for it in world.sent if it.to in (one.type, many.type)]
        ends = [it.data.events for it in world.sent if isinstance(it.data, HeldEvents)]
        assert sum(ends) == len(accepted)
        if name == "debounced":
            assert len(sent) == len(ends)
        numbers = {
            page: [n for event in group for n in numbers_of(event)]
            for page, group in by_page(sent).items()
        }
        for page, group in by_page(accepted).items():
            came = [n for event in group for n in numbers_of(event)]
            if name == "debounced":
                assert numbers[page][-1] in came
                assert len(numbers[page]) == len(set(numbers[page]))
            else:
                assert sorted(numbers[page]) == sorted(came)

    return check


def is_bounded(world: Any) -> None:
    for group in by_page([it for it in world.sent if it.to == one.type]).values():
        times = sorted(map(second_of, group))
        assert all(
            later - earlier >= PERIOD for earlier, later in zip(times, times[LIMIT:], strict=False)
        )


@pytest.mark.promise("I1")
@pytest.mark.promise("I2")
@settings(max_examples=settings().max_examples // 16)
@pytest.mark.parametrize("storage", ["store", "pair"])
@pytest.mark.parametrize("name", list(WORKFLOWS))
@given(changes=CHANGES, seed=st.integers(0, 10_000))
def test_each_event_counts_once_whatever_crashes(
    storage: Any, name: str, changes: list[tuple[int, str]], seed: int
) -> None:
    checks, kinds = [eventually(is_exact(name))], FAULT_KINDS
    if name == "throttled":
        checks.append(eventually(is_bounded))
        # The bound is by the clocks of the workers: one that jumps stretches the span.
        kinds = tuple(kind for kind in FAULT_KINDS if kind is not ClockJump)
    if name == "singleton":
        checks.append(eventually(lambda world: _assert_one_at_a_time(world.sent), "one at a time"))
    events = make_events(name, changes)
    simulate(SYSTEMS[name], events, checks=checks, kinds=kinds, storage=storage, seed=seed, runs=2)
