"""Resolve: a definition is checked when the chart is made, and every problem is reported."""

from typing import Any

import pytest

from arvo.statechart import (
    Branch,
    Chart,
    ChartError,
    Event,
    Problem,
    State,
    Transition,
    and_,
    assign,
    choose,
    emit,
    not_,
    raise_,
    state_in,
)

# A function of a context alone.
ONE: Any = lambda context: context  # noqa: E731 - a name without underscores


class Paid:
    """An event class of another library."""


def problems_of(**definition: object) -> list[Problem]:
    """Make an invalid chart and return its problems."""
    with pytest.raises(ChartError) as caught:
        Chart(id="m", **definition)  # type: ignore[arg-type]
    return list(caught.value.problems)


def test_every_problem_is_reported_at_its_state() -> None:
    """One run of the checks is enough to correct a definition."""
    problems = problems_of(
        initial="a",
        states={
            "a": State(on={"GO": "nowhere", "a.*.b": "b"}),
            "b": State(initial="x", states={"c": State(after={"soon": "c"})}),
        },
    )

    assert problems == [
        Problem(
            "m.a",
            "the target 'nowhere' names no state: "
            "use the key of a sibling, '.key' of a child, or '#id'",
        ),
        Problem("m.a", "'a.*.b' matches no event: use '*' alone or as the last token"),
        Problem("m.b", "initial 'x' is not a child of this state: use one of c"),
        Problem("m.b.c", "the delay 'soon' is not implemented: add it to delays"),
    ]


@pytest.mark.parametrize(
    ("state", "message"),
    [
        (
            State(states={"x": State()}),
            "a compound state needs an initial child: set initial to one of x",
        ),
        (
            State(type="parallel"),
            "a state of type 'parallel' needs child states: add some or remove the type",
        ),
        (
            State(type="final", states={"x": State()}),
            "a state of type 'final' cannot have child states: remove 'x'",
        ),
        (State(on={"": "a"}), "the empty event type '' matches no event: remove the key"),
        (
            State(on={3: "a"}),
            "the key 3 of on is neither an event type nor a class: use one of them",
        ),
        (
            State(on={"Paid": "a", Paid: "a"}),
            "the event 'Paid' has two keys in on: merge their transitions",
        ),
        (
            State(on={Event: "a"}),
            (
                "the class Event cannot be a key of on: "
                "its events carry a type of their own, use that type as the key"
            ),
        ),
        (
            State(type="paralel", states={"x": State()}),  # type: ignore[arg-type]
            "unknown type 'paralel': use one of atomic, compound, parallel, final, history",
        ),
        (
            State(type="finall"),  # type: ignore[arg-type]
            "unknown type 'finall': use one of atomic, compound, parallel, final, history",
        ),
        (
            State(history="deeep"),  # type: ignore[arg-type]
            "unknown history 'deeep': use one of shallow, deep",
        ),
        (
            State(entry=raise_("x", delay="soon")),
            "the delay 'soon' is not implemented: add it to delays",
        ),
        (
            State(on={"GO": Transition("b", and_(not_(state_in("#unknown"))))}),
            "the guard state_in('#unknown') names no state: use an id of this chart",
        ),
        (
            State(entry=choose(Branch((), state_in("#m.unknown")))),
            "the guard state_in('#m.unknown') names no state: use an id of this chart",
        ),
        *(
            (state, f"{place} is <lambda>(context): use a function of context and event")
            for place, state in (
                ("the guard", State(on={"GO": Transition("b", and_(ONE))})),
                ("the action", State(exit=ONE)),
                ("assign", State(entry=assign(ONE))),
                ("assign(tries=...)", State(entry=assign(tries=ONE, count=1))),
                ("raise_", State(entry=raise_(ONE))),
                ("emit", State(entry=choose(Branch(emit(ONE))))),
                ("delay", State(after={"slow": "b"})),
            )
        ),
        (State(entry=[3]), "3 is not an action: use a function or an action value"),  # type: ignore[list-item]
        (
            State(on={"GO": Transition(["a", "#m"])}),
            (
                "m.a and m cannot be targets of one transition: "
                "the outer one enters its own initial state"
            ),
        ),
        (
            State(on={"GO": Transition(["a", "b"])}),
            (
                "m.a and m.b cannot be targets of one transition: "
                "only one child of a compound state can be active"
            ),
        ),
    ],
)
def test_an_invalid_definition_is_rejected(state: State, message: str) -> None:
    """XState finds these mistakes when the event comes, or never."""
    delays = {"slow": ONE}
    problems = problems_of(initial="a", states={"a": state, "b": State()}, delays=delays)

    assert problems == [Problem("m.a", message)]


def test_an_id_belongs_to_one_state() -> None:
    """In XState the last state wins, and a target silently leads elsewhere."""
    problems = problems_of(initial="a", states={"a": State(id="x"), "b": State(id="x")})

    assert problems == [
        Problem("m.b", "the id 'x' is already used by m.a: give each state its own id")
    ]


def test_a_history_that_leads_to_itself_is_rejected() -> None:
    """The search for its default would never end."""
    problems = problems_of(initial="h", states={"a": State(), "h": State(type="history")})

    message = "the default of this history leads back to a history: set another target"
    assert problems == [Problem("m.h", message)]


def test_a_name_in_place_of_an_action_is_rejected_at_once() -> None:
    """Names belong in configs, which come with implementations."""
    with pytest.raises(TypeError, match="expected an action, got the name 'log'"):
        State(entry="log")  # type: ignore[arg-type]
