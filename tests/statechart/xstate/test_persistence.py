"""Persistence: a snapshot becomes JSON and is loaded again, or is reported as stale."""

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
    """A context with a nested value."""

    lines: tuple[Line, ...] = ()


@frozen
class Reminder:
    """The class of an event that a timer carries."""

    text: str


def _positive(number: int) -> int:
    if number < 0:
        raise LookupError("no such number")
    return number


@frozen
class Picky:
    """A context whose class rejects some values."""

    n: int = field(default=0, converter=_positive)


def make_chart(**extra: State) -> Chart[Order]:
    """Make a chart with a history, a timer and a typed context."""
    add = assign(lambda c, e: Order((*c.lines, Line("tea", 2))))
    session = State(
        initial="one",
        states={
            "one": State(on={"GO": Transition("two", actions=add)}),
            "two": State(entry=raise_(Reminder("pay"), delay=10, id="r"), on={Reminder: "one"}),
            "h": State(type="history"),
        },
        on={"OUT": "away"},
    )
    states = {"inside": session, "away": State(on={"BACK": "inside.h"}), **extra}
    return Chart(id="m", initial="inside", states=states, context=Order())


def run_events(machine: Chart[Order], *events: object) -> Snapshot[Order]:
    """Start *machine* and process *events*."""
    snapshot, _ = initial(machine)
    for event in events:
        snapshot, _ = transition(machine, snapshot, event)
    return snapshot


def test_a_dump_holds_the_whole_snapshot() -> None:
    """Context, history and timers come back as instances of their classes."""
    machine = make_chart()
    snapshot = run_events(machine, "GO", "OUT")
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


def test_a_chart_with_new_states_loads_old_snapshots() -> None:
    """All of their states still exist, although the structural hash differs."""
    old, new = make_chart(), make_chart(extra=State())
    snapshot = run_events(old, "GO")

    loaded = load(new, dump(old, snapshot))

    assert structural_hash(old) != structural_hash(new)
    assert isinstance(loaded, Snapshot)
    assert transition(new, loaded, loaded.timers[0])[0].value == {"inside": "one"}


def test_a_chart_without_the_stored_states_names_them() -> None:
    """So it does if only a history recorded them."""
    old = make_chart(extra=State())
    new = Chart(id="m", initial="away", states={"away": State()}, context=Order())

    loaded = load(new, dump(old, run_events(old, "GO", "OUT")))

    assert loaded == Stale(
        structural_hash(old),
        ("m.inside.h", "m.inside.two"),
        "the chart no longer has these states",
    )


def test_a_chart_of_another_shape_is_stale() -> None:
    """The dump of a state that became compound names no child of it."""
    old: Chart[Any] = Chart(id="m", initial="a", states={"a": State()})
    new: Chart[Any] = Chart(
        id="m", initial="a", states={"a": State(initial="x", states={"x": State()})}
    )

    loaded = load(new, dump(old, initial(old)[0]))

    assert loaded == Stale(structural_hash(old), (), "the chart cannot be in the state 'a'")


def test_invalid_data_is_stale() -> None:
    """Loading raises nothing, whatever data the store holds."""
    machine = make_chart()
    broken = dump(machine, initial(machine)[0]) | {"context": {"lines": 3}}

    for data in ({}, {"leaves": None}, broken):
        loaded = load(machine, data)
        assert isinstance(loaded, Stale)
        assert loaded.reason.startswith("unreadable: ")


def test_a_dump_holds_the_fault_of_an_end() -> None:
    """The reason why a workflow stopped must outlive the process."""

    def guard(context: Order, event: Event) -> bool:
        raise ValueError("no card")

    machine: Chart[Any] = Chart(
        id="m", initial="a", states={"a": State(on={"GO": Transition("a", guard)})}
    )
    snapshot = run_events(machine, "GO")

    loaded = load(machine, json.loads(json.dumps(dump(machine, snapshot))))

    assert loaded == snapshot
    assert isinstance(loaded, Snapshot)
    assert loaded.error == GuardFault("guard", "m.a", "GO", "ValueError: no card")


def test_the_dump_of_a_plain_snapshot_is_small() -> None:
    """Every step of every workflow writes one."""
    machine = make_chart()

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
def test_a_dump_without_a_legal_configuration_is_stale(broken: dict[str, Any]) -> None:
    """Corrupt data must not bring a workflow into an impossible state."""
    machine = make_chart()
    data = dump(machine, run_events(machine, "GO", "OUT"))

    assert isinstance(load(machine, data), Snapshot)
    assert isinstance(load(machine, data | broken), Stale)


def test_data_that_is_no_mapping_is_stale() -> None:
    """The store may hold any JSON value."""
    loaded = load(make_chart(), [])  # type: ignore[arg-type]

    assert isinstance(loaded, Stale)


def test_an_exception_of_a_context_class_is_a_reason() -> None:
    """A caller of `load` handles failures in one way."""
    machine: Chart[Picky] = Chart(initial="a", states={"a": State()}, context=Picky())
    data = dump(machine, initial(machine)[0])

    converter = JsonConverter(detailed_validation=False)
    loaded = load(machine, data | {"context": {"n": -1}}, converter=converter)

    assert loaded == Stale(structural_hash(machine), (), "unreadable: LookupError: no such number")
