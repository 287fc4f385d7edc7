"""Charts come from XState configs and go back, and what cannot is said."""

from datetime import timedelta
from typing import Any

import pytest

from arvo.statechart import (
    Act,
    Branch,
    Chart,
    ChartError,
    Emit,
    Event,
    Problem,
    State,
    Transition,
    act,
    and_,
    assign,
    choose,
    emit,
    from_xstate,
    initial,
    not_,
    raise_,
    state_in,
    structural_hash,
    to_xstate,
    transition,
)
from tests.statechart.corpora import ACTIONS, GUARDS, chart_of, differential
from tests.statechart.execution.test_differential import differing


def test_names_are_found_among_the_implementations() -> None:
    """With params where the config gives some, and commands left to the caller."""
    config = {
        "id": "m",
        "initial": "a",
        "context": {"n": 1},
        "states": {
            "a": {
                "on": {
                    "GO": {
                        "target": "b",
                        "guard": {"type": "over", "params": {"limit": 0}},
                        "actions": [{"type": "add", "params": {"by": 2}}, "log", "tell"],
                    }
                }
            },
            "b": {},
        },
    }
    chart = from_xstate(
        config,
        actions={
            "add": assign(lambda c, e, params: {"n": c["n"] + params["by"]}),
            "tell": lambda c, e: [Emit(c["n"])],
        },
        guards={"over": lambda c, e, params: c["n"] > params["limit"]},
        commands={"log"},
    )

    after, commands = transition(chart, initial(chart)[0], "GO")

    assert (after.value, after.context, commands) == ("b", {"n": 3}, (Act("log"), Emit(3)))


def test_what_is_not_implemented_or_not_known_is_named() -> None:
    """A misspelt key or a name without a function would else be found in production."""
    config = {
        "id": "m",
        "initial": "a",
        "states": {
            "a": {
                "entry": "log",
                "invoke": {"src": "x"},
                "on": {"GO": {"target": "a", "cond": "old", "guard": "free"}},
            }
        },
    }

    with pytest.raises(ChartError) as caught:
        from_xstate(config)

    assert caught.value.problems == (
        Problem("m.a", "the key 'invoke' is not supported"),
        Problem("m.a", "the transition key 'cond' is not supported"),
        Problem("m.a", "the guard 'free' is not implemented"),
        Problem("m.a", "the action 'log' is not implemented"),
    )


def test_integer_keys_come_first_as_in_javascript() -> None:
    """Document order decides who is asked first, and JavaScript sorts such keys."""
    states: dict[str, Any] = {"b": {}, "10": {}, "9": {}, "01": {}}

    chart = from_xstate({"initial": "b", "states": states})

    assert list(chart.states) == ["9", "10", "b", "01"]


def is_big(context: Any, event: Any) -> bool:
    """A guard that goes by its name."""
    return True


def test_a_chart_is_written_as_a_config() -> None:
    """Stately can draw it, and functions are there by name."""
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

    assert to_xstate(chart) == {
        "id": "m",
        "initial": "a",
        "states": {
            "a": {
                "on": {
                    "GO": [
                        {
                            "target": ["b"],
                            "guard": {
                                "type": "and",
                                "guards": [
                                    "is_big",
                                    {"type": "not", "guard": {"type": "stateIn", "state": "#m.b"}},
                                ],
                            },
                            "reenter": True,
                        }
                    ]
                },
                "after": {"100": [{"target": ["b"]}]},
                "tags": ["busy"],
            },
            "b": {"type": "final", "output": 3},
        },
    }


# Placeholders became functions, which JSON cannot say.
STATIC = [(line, case) for line, case in differential() if "'$" not in repr(case["m"])]


def test_recorded_machines_survive_the_way_there_and_back() -> None:
    """Written and read again, a machine does the same as before."""
    differences = []
    for line, case in STATIC[::10]:
        first = chart_of(case["m"], case, memory=100)
        config = to_xstate(first) | {"context": first.context}
        names = {name for name in first_names(config) if name not in ACTIONS}
        again = from_xstate(
            config, actions=ACTIONS, guards=GUARDS, commands=names, delays=first.delays
        )
        differences += [f"line {line}: {text}" for text in differing(again, case)]

    assert differences == []


def first_names(config: Any) -> set[str]:
    """Collect everything that could be the name of an action."""
    if isinstance(config, str):
        return {config}
    if isinstance(config, list):
        return {name for part in config for name in first_names(part)}
    if isinstance(config, dict):
        own = {config["type"]} if isinstance(config.get("type"), str) else set()
        return own | {name for part in config.values() for name in first_names(part)}
    return set()


def test_a_flat_event_of_a_config_is_an_event_with_data() -> None:
    """Guards find the fields of a raised event under data."""
    config = {
        "initial": "a",
        "states": {
            "a": {"entry": {"type": "raise", "event": {"type": "GO", "v": 1}}, "on": {"GO": "b"}},
            "b": {"entry": "seen"},
        },
    }
    seen = []

    def look(context: Any, event: Event) -> None:
        seen.append(event)

    initial(from_xstate(config, actions={"seen": look}))

    assert seen == [Event("GO", {"v": 1})]


def test_a_number_may_be_a_key() -> None:
    """Python does not turn the keys of a dict into strings, as JavaScript does."""
    chart = from_xstate({"initial": "a", "states": {"a": {"after": {1000: "b"}}, "b": {}}})

    assert [timer.delay_ms for timer in initial(chart)[0].timers] == [1000]


def test_a_kind_of_history_that_does_not_exist_is_refused() -> None:
    """A misspelt one must not quietly become shallow."""
    config = {"initial": "a", "states": {"a": {}, "h": {"type": "history", "history": "deeep"}}}

    with pytest.raises(ChartError, match="the history 'deeep' is none of shallow, deep"):
        from_xstate(config)


def param(name: str) -> Any:
    """Make a function that takes params and returns one of them."""
    return lambda c, e, params: params[name]


def over(context: Any, event: Any, params: Any) -> bool:
    """A guard that takes params."""
    return bool(context["n"] > params["limit"])


def test_params_reach_every_function_of_an_action() -> None:
    """Wherever inside it the function stands."""
    config = {
        "id": "m",
        "initial": "a",
        "context": {"n": 1},
        "states": {
            "a": {
                "on": {
                    "GO": {
                        "actions": [
                            {"type": "add", "params": {"by": 3}},
                            {"type": "again", "params": {"event": "NEXT"}},
                            {"type": "perhaps", "params": {"limit": 2}},
                        ]
                    },
                    "NEXT": "b",
                }
            },
            "b": {},
        },
    }
    chart = from_xstate(
        config,
        actions={
            "add": assign(n=param("by")),
            "again": raise_(param("event")),
            "perhaps": choose(
                Branch(emit("no"), not_(over)),
                Branch(emit(param("limit"))),
            ),
        },
    )

    after, commands = transition(chart, initial(chart)[0], "GO")

    assert (after.value, after.context, commands) == ("b", {"n": 3}, (Emit(2),))


def test_a_delay_is_exported_in_milliseconds() -> None:
    """XState knows no timedelta."""
    wait = raise_("x", delay=timedelta(seconds=1))
    chart: Chart[Any] = Chart(initial="a", states={"a": State(entry=wait)})

    assert to_xstate(chart)["states"]["a"]["entry"] == [
        {"type": "raise", "event": {"type": "x"}, "delay": 1000}
    ]


@pytest.mark.parametrize("empty", [{}, []])
def test_an_empty_output_survives_the_round_trip(empty: object) -> None:
    """It is an output all the same, and so is an empty meta."""
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
