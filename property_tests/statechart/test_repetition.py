"""Laws of loops: to stop early changes nothing but the time."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arvo.statechart import Chart, State, Transition, assign, initial, raise_
from arvo.statechart.execution import step


@st.composite
def rings(draw: st.DrawFn) -> Chart[int]:
    """Draw a chart of states that lead to each other, some by events that they raise."""
    size, modulus = draw(st.integers(1, 9)), draw(st.sampled_from([1, 3, 10_000]))
    lead_in = draw(st.integers(0, 70))
    advance = assign(lambda context, _: (context + 1) % modulus)
    states: dict[str, State] = {}
    for number in range(lead_in + size):
        following = number + 1 if number + 1 < lead_in + size else lead_in
        actions = [advance] if draw(st.booleans()) else []
        move = Transition(f"s{following}", actions=actions)
        if draw(st.booleans()):
            states[f"s{number}"] = State(entry=raise_("GO"), on={"GO": move})
        else:
            states[f"s{number}"] = State(always=move)
    return Chart(initial="s0", context=0, states=states, limit=draw(st.integers(1, 400)))


@given(rings())
def test_a_loop_that_is_found_early_is_named_as_at_the_limit(chart: Chart[Any]) -> None:
    """Callers and operators read the same failure."""
    early = initial(chart)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(step, "WATCHED_MICROSTEPS_MIN", chart.limit + 2)
        late = initial(chart)

    assert early[0].error == late[0].error
    assert early[0].value == late[0].value
