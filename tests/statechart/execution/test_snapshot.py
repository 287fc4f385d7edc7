"""Snapshot: the properties that follow from the active states."""

from attrs import frozen

from arvo.statechart import (
    Chart,
    State,
    initial,
)


@frozen
class Order:
    """A typed context."""

    paid: int = 0
    note: str = ""


def chart(**states: State) -> Chart[Order]:
    """Make a chart with a typed context that starts in the first of *states*."""
    return Chart(id="m", initial=next(iter(states)), states=states, context=Order())


def test_matches_tags_and_meta_follow_the_active_states() -> None:
    """A caller asks for the meaning of a state, not for its name."""
    inner = State(initial="x", tags="busy", states={"x": State(meta={"label": "X"}, tags=("new",))})
    machine = chart(a=inner, b=State())
    snapshot, _ = initial(machine)

    assert snapshot.value == {"a": "x"}
    assert snapshot.states == {"m", "m.a", "m.a.x"}
    assert snapshot.matches("a.x")
    assert snapshot.matches({"a": "x"})
    assert not snapshot.matches("a.y")
    assert not snapshot.matches({"a": {}})
    assert snapshot.tags == {"busy", "new"}
    assert snapshot.has_tag("new")
    assert snapshot.meta == {"m.a.x": {"label": "X"}}
