"""A snapshot sleeps as JSON and wakes up where it was, or is told why it cannot."""

import json
from typing import Any

import pytest
from attrs import field, frozen
from cattrs.preconf.json import JsonConverter

from arvo.statechart import (
    Chart,
    Event,
    GuardFault,
    Snapshot,
    Stale,
    State,
    Transition,
    assign,
    dump,
    initial,
    load,
    raise_,
    structural_hash,
    transition,
)


@frozen
class Line:
    """One line of an order."""

    item: str
    count: int


@frozen
class Order:
    """A context with something inside."""

    lines: tuple[Line, ...] = ()


@frozen
class Reminder:
    """An event class that a timer brings back."""

    text: str


def _positive(number: int) -> int:
    if number < 0:
        raise LookupError("no such number")
    return number


@frozen
class Picky:
    """A context that does not take every value."""

    n: int = field(default=0, converter=_positive)


def chart(**more: State) -> Chart[Order]:
    """Make a chart with a history, a timer and a typed context."""
    add = assign(lambda c, e: Order((*c.lines, Line("tea", 2))))
    inside = State(
        initial="one",
        states={
            "one": State(on={"GO": Transition("two", actions=add)}),
            "two": State(entry=raise_(Reminder("pay"), delay=10, id="r"), on={Reminder: "one"}),
            "h": State(type="history"),
        },
        on={"OUT": "away"},
    )
    states = {"inside": inside, "away": State(on={"BACK": "inside.h"}), **more}
    return Chart(id="m", initial="inside", states=states, context=Order())


def moved(machine: Chart[Order], *events: object) -> Snapshot[Order]:
    """Start *machine* and let it take *events*."""
    snapshot, _ = initial(machine)
    for event in events:
        snapshot, _ = transition(machine, snapshot, event)
    return snapshot


def test_everything_that_matters_is_in_the_dump() -> None:
    """Context, history and timers come back as the classes they were."""
    machine = chart()
    snapshot = moved(machine, "GO", "OUT")
    data = dump(machine, snapshot)

    loaded = load(machine, json.loads(json.dumps(data)))

    assert loaded == snapshot
    assert data == {
        "chart": structural_hash(machine),
        "value": "away",
        "leaves": ["m.away"],
        "context": {"lines": [{"item": "tea", "count": 2}]},
        "history": {"m.inside.h": ["m.inside.two"]},
        "timers": [
            {
                "id": "r",
                "delay_ms": 10,
                "event": {"type": "Reminder", "payload": {"text": "pay"}},
            }
        ],
        "end": None,
    }


def test_a_chart_that_grew_takes_old_snapshots() -> None:
    """All that they stand on is still there, though the hash says the chart is another."""
    old, new = chart(), chart(more=State())
    snapshot = moved(old, "GO")

    loaded = load(new, dump(old, snapshot))

    assert structural_hash(old) != structural_hash(new)
    assert isinstance(loaded, Snapshot)
    assert transition(new, loaded, loaded.timers[0])[0].value == {"inside": "one"}


def test_a_chart_that_lost_states_says_which() -> None:
    """Also where only a history remembers them."""
    old = chart(more=State())
    new = Chart(id="m", initial="away", states={"away": State()}, context=Order())

    loaded = load(new, dump(old, moved(old, "GO", "OUT")))

    assert loaded == Stale(
        structural_hash(old),
        ("m.inside.h", "m.inside.two"),
        "the chart no longer has these states",
    )


def test_a_chart_of_another_shape_refuses() -> None:
    """A state that became compound has to say where inside it is."""
    old: Chart[Any] = Chart(id="m", initial="a", states={"a": State()})
    new: Chart[Any] = Chart(
        id="m", initial="a", states={"a": State(initial="x", states={"x": State()})}
    )

    loaded = load(new, dump(old, initial(old)[0]))

    assert loaded == Stale(structural_hash(old), (), "the chart cannot be in 'a'")


def test_a_dump_that_is_none_is_refused() -> None:
    """Whatever stands in the store, loading it raises nothing."""
    machine = chart()
    broken = dump(machine, initial(machine)[0]) | {"context": {"lines": 3}}

    for data in ({}, {"leaves": None}, broken):
        loaded = load(machine, data)
        assert isinstance(loaded, Stale)
        assert loaded.reason.startswith("unreadable: ")


def test_an_end_is_remembered_with_its_fault() -> None:
    """Why a workflow stopped must not be lost with the process."""

    def guard(context: Order, event: Event) -> bool:
        raise ValueError("no card")

    machine: Chart[Any] = Chart(
        id="m", initial="a", states={"a": State(on={"GO": Transition("a", guard)})}
    )
    snapshot = moved(machine, "GO")

    loaded = load(machine, json.loads(json.dumps(dump(machine, snapshot))))

    assert loaded == snapshot
    assert isinstance(loaded, Snapshot)
    assert loaded.error == GuardFault("guard", "m.a", "GO", "ValueError: no card")


def test_a_snapshot_without_open_ends_is_small() -> None:
    """It is written at every step of every workflow."""
    machine = chart()

    assert len(json.dumps(dump(machine, initial(machine)[0]))) < 200


@pytest.mark.parametrize(
    "broken",
    [
        {"history": []},
        {"leaves": []},
        {"leaves": ["m.away", "m.away"]},
        {"leaves": ["m.inside"]},
        {"leaves": ["m.away", "m.inside.one"]},
        {"leaves": [], "end": {"output": 1, "error": None}},
        {"history": {"m.away": ["m.inside.one"]}},
        {"history": {"m.inside.h": ["m.away"]}},
        {"history": {"m.inside.h": []}},
        {"history": {"m.inside.h": ["m.inside.h"]}},
        {"history": {"m.inside.h": ["m.inside.one", "m.inside.two"]}},
    ],
)
def test_a_place_that_no_chart_can_be_in_is_refused(broken: dict[str, Any]) -> None:
    """A store that was meddled with must not wake a workflow in a state that cannot be."""
    machine = chart()
    data = dump(machine, moved(machine, "GO", "OUT"))

    assert isinstance(load(machine, data), Snapshot)
    assert isinstance(load(machine, data | broken), Stale)


def test_what_is_not_even_a_mapping_is_refused() -> None:
    """The store may hold anything."""
    loaded = load(chart(), [])  # type: ignore[arg-type]

    assert isinstance(loaded, Stale)


def test_a_context_that_refuses_is_a_reason_and_no_exception() -> None:
    """Whoever loads has one way to be told."""
    machine: Chart[Picky] = Chart(initial="a", states={"a": State()}, context=Picky())
    data = dump(machine, initial(machine)[0])

    plain = JsonConverter(detailed_validation=False)
    loaded = load(machine, data | {"context": {"n": -1}}, converter=plain)

    assert loaded == Stale(structural_hash(machine), (), "unreadable: LookupError: no such number")
