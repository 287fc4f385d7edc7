"""To XState: a chart becomes a config that XState reads, and a structural hash."""

from datetime import timedelta
from typing import Any

import pytest

from arvo.statechart import (
    Chart,
    State,
    Transition,
    act,
    and_,
    from_xstate,
    not_,
    raise_,
    state_in,
    structural_hash,
    to_xstate,
)
from tests.statechart.corpora import differential, make_chart
from tests.statechart.execution.test_differential import find_differences
from tests.statechart.implementations import ACTIONS, GUARDS


def is_big(context: Any, event: Any) -> bool:
    """Return True; its name appears in configs."""
    return True


def test_a_chart_is_written_as_a_config() -> None:
    """Stately can draw it; functions appear by name."""
    chart = Chart(
        id="m",
        initial="a",
        states={
            "a": State(
                on={"GO": Transition("b", and_(is_big, not_(state_in("#m.b"))), reenter=True)},
                after={100: "b"},
                tags="busy",
            ),
            "b": State(type="final", output=3),
        },
    )

    not_in_b = {"type": "not", "guard": {"type": "stateIn", "state": "#m.b"}}
    go = {
        "target": ["b"],
        "guard": {"type": "and", "guards": ["is_big", not_in_b]},
        "reenter": True,
    }
    assert to_xstate(chart) == {
        "id": "m",
        "initial": "a",
        "states": {
            "a": {
                "on": {"GO": [go]},
                "after": {"100": [{"target": ["b"]}]},
                "tags": ["busy"],
            },
            "b": {"type": "final", "output": 3},
        },
    }


# Placeholders became functions, which JSON cannot express.
STATIC = [(line, case) for line, case in differential() if "'$" not in repr(case["m"])]


def test_recorded_machines_survive_a_round_trip() -> None:
    """Written and read again, a machine behaves as before."""
    differences = []
    for line, case in STATIC[::10]:
        first = make_chart(case["m"], case, memory=100)
        config = to_xstate(first) | {"context": first.context}
        names = {name for name in names_in(config) if name not in ACTIONS}
        again = from_xstate(
            config, actions=ACTIONS, guards=GUARDS, commands=names, delays=first.delays
        )
        differences += [f"line {line}: {text}" for text in find_differences(again, case)]

    assert differences == []


def names_in(config: Any) -> set[str]:
    """Collect every string that can be the name of an action."""
    if isinstance(config, str):
        return {config}
    if isinstance(config, list):
        return {name for part in config for name in names_in(part)}
    if isinstance(config, dict):
        own = {config["type"]} if isinstance(config.get("type"), str) else set()
        return own | {name for part in config.values() for name in names_in(part)}
    return set()


def test_a_delay_is_exported_in_milliseconds() -> None:
    """XState has no timedelta."""
    delayed = raise_("x", delay=timedelta(seconds=1))
    chart: Chart[Any] = Chart(initial="a", states={"a": State(entry=delayed)})

    assert to_xstate(chart)["states"]["a"]["entry"] == [
        {"type": "raise", "event": {"type": "x"}, "delay": 1000}
    ]


@pytest.mark.parametrize("empty", [{}, []])
def test_an_empty_output_survives_the_round_trip(empty: object) -> None:
    """It is an output, and an empty meta is a meta."""
    chart: Chart[Any] = Chart(
        initial="a", states={"a": State(type="final", output=empty, meta=empty)}
    )

    final = from_xstate(to_xstate(chart)).states["a"]

    assert (final.output, final.meta) == (empty, empty)


def test_the_hash_is_the_same_in_every_process() -> None:
    """A dump is read by another process than the one that wrote it."""

    def chart(*names: str) -> Chart[Any]:
        states = {"a": State(entry=act("log", {"opaque": object(), "names": set(names)}))}
        return Chart(initial="a", states=states)

    one, other = chart("x", "y", "z"), chart("z", "y", "x")

    assert structural_hash(one) == structural_hash(other)
