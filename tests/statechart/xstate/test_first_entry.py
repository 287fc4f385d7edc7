"""Tests of `state_in` in actions, compared with XState 5.33 by hand."""

from typing import Any

import pytest

from arvo.statechart import Branch, assign, choose, from_xstate, initial, state_in, transition

CONTEXT: Any = {"in": None}
TWO: Any = {"a": {"entry": "note", "id": "x"}, "b": {}}
LATER: Any = {"a": {"entry": "note"}, "b": {"on": {"GO": "a"}}}
EVENTLESS: Any = {"a": {"always": "b"}, "b": {"entry": "note"}}
NESTED: Any = {"a": {"initial": "c", "states": {"c": {"entry": "note"}}}, "b": {}}


@pytest.mark.parametrize(
    ("first", "states", "guard", "event", "expected"),
    [
        ("a", TWO, "a", None, True),
        ("a", TWO, "b", None, False),
        ("a", TWO, "#x", None, False),
        ("a", NESTED, "a", None, True),
        ("a", NESTED, {"a": "c"}, None, True),
        ("b", LATER, "a", "GO", False),
        ("b", LATER, "b", "GO", True),
        ("a", EVENTLESS, "a", None, True),
        ("a", EVENTLESS, "b", None, False),
    ],
)
def test_a_guard_of_an_action_sees_the_first_states_while_they_are_entered(
    first: str, states: Any, guard: Any, event: str | None, expected: bool
) -> None:
    """Afterwards it sees the states from which the step began, and by an id only these."""
    note = choose(
        Branch([assign(lambda _, __: {"in": True})], state_in(guard)),
        Branch([assign(lambda _, __: {"in": False})]),
    )
    chart = from_xstate(
        {"id": "m", "context": CONTEXT, "initial": first, "states": states},
        actions={"note": note},
    )

    snapshot, _ = initial(chart)
    if event is not None:
        snapshot, _ = transition(chart, snapshot, event)

    assert snapshot.context == {"in": expected}
