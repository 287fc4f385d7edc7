"""Draw: a chart as a Mermaid diagram and as an SVG."""

from xml.etree import ElementTree as ET

from arvo.statechart import Chart, State, Transition, act, draw, initial, transition


def guard(context: object, event: object) -> bool:
    """Return True."""
    return True


def chart() -> Chart[None]:
    """Make a chart with each kind of state, and with text that is Mermaid syntax."""
    both = State(
        type="parallel",
        states={
            "left": State(initial="l", states={"l": State(on={"x;y": "#m.both"})}),
            "right": State(entry=act('print "hi"')),
        },
        on={"STAY": Transition(actions=act("note"))},
    )
    states = {
        "start": State(on={"GO": Transition("both", guard, actions=act("log"))}),
        "both": both,
        "end": State(type="final"),
        "back": State(type="history", history="deep"),
    }
    return Chart(id="m", initial="start", states=states, on={"END": ".end"})


def test_mermaid_text_shows_states_transitions_and_active_states() -> None:
    """Edges between nested states are text, because Mermaid cannot draw them."""
    machine = chart()
    snapshot, _ = transition(machine, initial(machine)[0], "GO")

    drawing = draw(machine, snapshot)

    assert drawing.splitlines() == [
        "stateDiagram-v2",
        "  [*] --> n0",
        '  state "m" as n0 {',
        "    [*] --> n1",
        '    state "H*" as n7',
        '    state "start" as n1',
        '    state "both" as n2 {',
        '      state "left" as n3 {',
        "        [*] --> n4",
        '        state "l" as n4',
        "      }",
        "      --",
        '      state "right" as n5',
        "      n5 : entry / print #34;hi#34;",
        "    }",
        '    state "end" as n6',
        "    n6 --> [*]",
        "  }",
        "  note right of n0",
        "    END #8594; end",
        "  end note",
        "  n1 --> n2 : GO [guard] / log",
        "  note right of n2",
        "    STAY / note",
        "  end note",
        "  n4 : x#59;y #8594; both",
        "  classDef active fill:#fde68a,stroke:#b45309,color:#1c1917",
        "  class n0,n2,n3,n4,n5 active",
    ]


def test_a_drawing_is_rendered_as_a_standalone_svg() -> None:
    """It needs no browser and no binary, and loads nothing when it is opened."""
    svg = draw(chart()).svg()

    root = ET.fromstring(svg)  # noqa: S314
    text = "".join(root.itertext())
    assert root.tag.endswith("svg")
    assert all(name in text for name in ("start", "both", "left", "right", "end", "x;y"))
    assert "http" not in svg.replace("http://www.w3.org/", "")
