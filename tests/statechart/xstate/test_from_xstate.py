"""From XState: configs become charts, and every unsupported part is reported."""

from typing import Any

import pytest

from arvo.statechart import (
    Act,
    ChartError,
    Emit,
    Event,
    Problem,
    assign,
    from_xstate,
    initial,
    transition,
)


def test_names_refer_to_the_implementations() -> None:
    """Params reach them, and commands are left to the caller."""
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


def test_unknown_keys_and_names_are_reported() -> None:
    """A typing error would otherwise appear in production."""
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
        Problem("m.a", "the key 'invoke' is not supported: remove it"),
        Problem("m.a", "the transition key 'cond' is not supported: XState v5 has 'guard' for it"),
        Problem("m.a", "the guard 'free' is not implemented: add it to guards"),
        Problem("m.a", "the action 'log' is not implemented: add it to actions"),
    )


def test_integer_keys_come_first_as_in_javascript() -> None:
    """Document order decides priorities, and JavaScript sorts such keys."""
    states: dict[str, Any] = {"b": {}, "10": {}, "9": {}, "01": {}}

    chart = from_xstate({"initial": "b", "states": states})

    assert list(chart.states) == ["9", "10", "b", "01"]


def test_a_flat_event_of_a_config_becomes_an_event_with_data() -> None:
    """Guards find the fields of a raised event in its data."""
    config = {
        "initial": "a",
        "states": {
            "a": {"entry": {"type": "raise", "event": {"type": "GO", "v": 1}}, "on": {"GO": "b"}},
            "b": {"entry": "record"},
        },
    }
    received = []

    def record(context: Any, event: Event) -> None:
        received.append(event)

    initial(from_xstate(config, actions={"record": record}))

    assert received == [Event("GO", {"v": 1})]


def test_a_number_may_be_a_key() -> None:
    """Python does not convert the keys of a dict to strings as JavaScript does."""
    chart = from_xstate({"initial": "a", "states": {"a": {"after": {1000: "b"}}, "b": {}}})

    assert [timer.delay_ms for timer in initial(chart)[0].timers] == [1000]


def test_an_unknown_kind_of_history_is_rejected() -> None:
    """A misspelt one must not become shallow."""
    config = {"initial": "a", "states": {"a": {}, "h": {"type": "history", "history": "deeep"}}}

    with pytest.raises(ChartError, match="unknown history 'deeep': use one of shallow, deep"):
        from_xstate(config)
