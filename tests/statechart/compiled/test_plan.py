"""A microstep leads from one configuration to another, whatever histories remember."""

from arvo.statechart import Act, Chart, State, act, initial, transition


def test_a_history_of_regions_brings_back_the_regions_beside_it() -> None:
    """XState leaves them and does not enter them again, which no configuration allows."""
    chart = Chart(
        id="m",
        type="parallel",
        states={
            "a": State(
                type="parallel",
                states={"x": State(on={"go": "#m.a.h"}), "h": State(type="history")},
            ),
            "b": State(entry=act("b again")),
        },
    )
    start, _ = initial(chart)

    after, commands = transition(chart, start, "go")

    assert after.value == start.value == {"a": {"x": {}}, "b": {}}
    assert commands == (Act("b again"),)
