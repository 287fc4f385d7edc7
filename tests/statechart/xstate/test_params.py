"""Params: the params of a config reach the functions of its implementations."""

from typing import Any

from arvo.statechart import (
    Branch,
    Emit,
    assign,
    choose,
    emit,
    from_xstate,
    initial,
    not_,
    raise_,
    transition,
)


def param(name: str) -> Any:
    """Make a function that takes params and returns one of them."""
    return lambda c, e, params: params[name]


def over(context: Any, event: Any, params: Any) -> bool:
    """Compare the context with the params."""
    return bool(context["n"] > params["limit"])


def test_params_reach_every_function_of_an_action() -> None:
    """It does not matter how deep inside the action the function is."""
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
                            {"type": "choose", "params": {"limit": 2}},
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
            "choose": choose(
                Branch(emit("no"), not_(over)),
                Branch(emit(param("limit"))),
            ),
        },
    )

    after, commands = transition(chart, initial(chart)[0], "GO")

    assert (after.value, after.context, commands) == ("b", {"n": 3}, (Emit(2),))
