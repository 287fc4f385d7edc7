"""A step that fails changes nothing, and says why as a value."""

from enum import StrEnum
from typing import Any

import pytest
from attrs import evolve, frozen

from arvo.statechart import (
    Act,
    ActionFault,
    Branch,
    Chart,
    Emit,
    Event,
    GuardFault,
    LoopFault,
    Send,
    State,
    Transition,
    UnhandledFault,
    act,
    and_,
    assign,
    can,
    choose,
    emit,
    initial,
    not_,
    or_,
    raise_,
    send,
    state_in,
    transition,
)


@frozen
class Order:
    """A typed context."""

    paid: int = 0
    note: str = ""


def broken(context: Order, event: Event) -> bool:
    """A guard or an action with a bug."""
    raise KeyError("card")


def chart(**states: State) -> Chart[Order]:
    """Make a chart of *states* that starts in the first one, with a typed context."""
    return Chart(id="m", initial=next(iter(states)), states=states, context=Order())


def test_a_guard_that_raises_leaves_everything_as_it_was() -> None:
    """The fault names guard, state and event, so that its author finds it."""
    machine = chart(a=State(on={"GO": Transition("b", broken)}), b=State())
    start, _ = initial(machine)

    after, commands = transition(machine, start, "GO")

    assert (after.status, after.value, after.context, commands) == ("error", "a", Order(), ())
    assert after.error == GuardFault("broken", "m.a", "GO", "KeyError: 'card'")
    assert isinstance(after.error, GuardFault)
    assert isinstance(after.error.cause, KeyError)
    assert not can(machine, start, "GO")


def test_an_action_that_raises_discards_what_came_before_it() -> None:
    """A half done step would be neither here nor there."""
    move = Transition("b", actions=[assign(lambda c, e: Order(1)), act("log"), assign(broken)])
    machine = chart(a=State(on={"GO": move}), b=State())

    after, commands = transition(machine, initial(machine)[0], "GO")

    assert (after.value, after.context, commands) == ("a", Order(), ())
    assert after.error == ActionFault("m.a on GO: assign", "GO", "KeyError: 'card'")


def test_a_start_that_fails_is_nowhere() -> None:
    """There is no state before the start to stay in."""
    machine = chart(a=State(entry=assign(broken)))

    snapshot, commands = initial(machine)

    assert (snapshot.status, snapshot.value, commands) == ("error", {}, ())
    assert snapshot.error == ActionFault("m.a entry: assign", "xstate.init", "KeyError: 'card'")


def test_a_loop_is_stopped_and_named() -> None:
    """The states that chase each other are what the author has to look at."""
    machine = chart(
        a=State(on={"GO": "b"}),
        b=State(always=Transition("c", actions=assign(lambda c, e: c))),
        c=State(always="b"),
    )

    after, _ = transition(machine, initial(machine)[0], "GO")

    assert after.value == "a"
    assert isinstance(after.error, LoopFault)
    assert (after.error.event, after.error.steps) == ("GO", 10_000)
    assert set(after.error.loop) == {"m.b always", "m.c always"}


def test_a_chart_that_ended_ignores_events() -> None:
    """What comes late is the caller's to report."""
    machine = chart(a=State(on={"GO": "end"}), end=State(type="final"))
    end, _ = transition(machine, initial(machine)[0], "GO")

    assert end.status == "done"
    assert transition(machine, end, "GO") == (end, ())
    assert not can(machine, end, "GO")


def test_an_error_that_nobody_handles_ends_the_chart() -> None:
    """As in XState, where an actor's error is not dropped."""
    machine = chart(a=State())

    after, _ = transition(machine, initial(machine)[0], Event("xstate.error.actor.x", "boom"))

    assert isinstance(after.error, UnhandledFault)


def test_fields_of_a_typed_context_are_assigned_together() -> None:
    """All of them see the context as it was."""
    update = assign(paid=lambda c, e: c.paid + e.data, note=lambda c, e: f"was {c.paid}")
    machine = chart(a=State(on={"PAY": Transition(actions=update)}))
    start, _ = initial(machine)

    after, _ = transition(machine, start, Event("PAY", 3))

    assert after.context == Order(3, "was 0")
    assert start.context == Order()


def test_a_function_among_the_actions_says_which_to_run() -> None:
    """One, several or none; what they leave is in order with the rest."""

    def more(context: Order, event: Event) -> list[Any]:
        return [act("first"), assign(lambda c, e: Order(7)), emit(lambda c, e: c.paid)]

    machine = chart(
        a=State(on={"GO": Transition(actions=[more, act("last", lambda c, e: c.paid)])})
    )

    after, commands = transition(machine, initial(machine)[0], "GO")

    assert commands == (Act("first"), Emit(7), Act("last", 7))
    assert after.context == Order(7)


def test_the_first_branch_that_holds_is_run() -> None:
    """Its guard sees the context as it was when the choice began."""
    machine = chart(
        a=State(
            entry=choose(
                Branch(act("no"), not_(state_in("#m.b"))),
                Branch(act("never")),
            )
        ),
        b=State(),
    )

    assert initial(machine)[1] == (Act("no"),)


@pytest.mark.parametrize(
    ("guard", "taken"),
    [
        (and_(lambda c, e: True, state_in("a")), True),
        (and_(lambda c, e: False, broken), False),
        (or_(lambda c, e: True, broken), True),
        (or_(state_in("#m.b"), state_in({"a": {}})), False),
        (not_(state_in("b")), True),
    ],
)
def test_guards_are_asked_only_as_far_as_needed(guard: Any, taken: bool) -> None:
    """An exception in one that is not reached is not an exception."""
    machine = chart(a=State(on={"GO": Transition("b", guard)}), b=State())

    assert can(machine, initial(machine)[0], "GO") is taken


def test_a_sent_event_goes_round_outside_and_a_raised_one_does_not() -> None:
    """Raised events are heard in the same step."""
    machine = chart(
        a=State(
            on={"GO": Transition(actions=[send("x", delay=5, id="s"), raise_("IN")]), "IN": "b"}
        ),
        b=State(),
    )

    after, commands = transition(machine, initial(machine)[0], "GO")

    assert after.value == "b"
    assert commands == (Send(Event("x"), 5, "s"),)


def test_matches_tags_and_meta_follow_the_active_states() -> None:
    """Callers ask for what a state means, not for its name."""
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


def test_a_context_may_be_made_of_the_input() -> None:
    """The start takes one value from outside."""
    machine = Chart[Order](initial="a", states={"a": State()}, context=lambda paid: Order(paid))

    assert initial(machine, 5)[0].context == Order(5)


def test_a_chart_that_leaves_its_parallel_root_by_history_keeps_its_root() -> None:
    """XState forgets the root here: its domain is found anew after the history was written."""
    move = Transition("#m.h", lambda c, e: True, reenter=True)
    states = {"a": State(on={"GO": move}), "h": State(type="history")}
    machine: Chart[None] = Chart(id="m", type="parallel", states=states)

    after, _ = transition(machine, initial(machine)[0], "GO")

    assert after.states == {"m", "m.a"}


class Signal(StrEnum):
    """Event types that an author keeps in one place."""

    GO = "GO"


def test_a_member_of_an_enum_of_strings_is_an_event_type() -> None:
    """Whoever lists the event types once must not see them ignored."""
    machine = chart(a=State(on={"GO": Transition("b", lambda c, e: e.type == "GO")}), b=State())
    start, _ = initial(machine)

    after, _ = transition(machine, start, Signal.GO)

    assert after.value == "b"
    assert can(machine, start, Signal.GO)


def test_a_timer_can_be_taken_only_while_it_is_pending() -> None:
    """The question and the step agree about a timer that was stopped."""
    machine = chart(a=State(after={10: "b"}, on={"GO": "b"}), b=State(on={"BACK": "a"}))
    start, _ = initial(machine)
    timer = start.timers[0]

    after, _ = transition(machine, start, "GO")

    assert can(machine, start, timer)
    assert not can(machine, after, timer)


def test_a_guard_finds_a_state_below_an_id() -> None:
    """As a target does: an id, and then keys."""
    inner = State(id="box", initial="x", states={"x": State()})
    machine = chart(a=inner, b=State())
    machine = evolve(machine, on={"GO": Transition(".b", state_in("#box.x"))})

    after, _ = transition(machine, initial(machine)[0], "GO")

    assert after.value == "b"


def test_a_history_of_the_source_and_a_restart_enter_no_two_children() -> None:
    """Such a configuration is none, and nothing after it would make sense."""
    inner = {
        "a": State(on={"F": "b"}),
        "b": State(on={"G": "h"}),
        "h": State(type="history"),
    }
    machine: Chart[Any] = Chart(
        id="m",
        type="parallel",
        states={
            "a": State(on={"G": "b"}),
            "b": State(),
            "c": State(initial="a", states=inner),
        },
    )
    snapshot, _ = initial(machine)
    for event in "FGFG":
        snapshot, _ = transition(machine, snapshot, event)

    assert snapshot.states == {"m", "m.a", "m.b", "m.c", "m.c.a"}
