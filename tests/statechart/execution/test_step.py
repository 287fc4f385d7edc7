"""Step: a failed step changes nothing and returns its fault as a value."""

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
    """Raise, as a guard or an action with a bug does."""
    raise KeyError("card")


def chart(**states: State) -> Chart[Order]:
    """Make a chart with a typed context that starts in the first of *states*."""
    return Chart(id="m", initial=next(iter(states)), states=states, context=Order())


def test_a_guard_that_raises_changes_nothing() -> None:
    """The fault names the guard, the state and the event, so its author can find it."""
    machine = chart(a=State(on={"GO": Transition("b", broken)}), b=State())
    start, _ = initial(machine)

    after, commands = transition(machine, start, "GO")

    assert (after.status, after.value, after.context, commands) == ("error", "a", Order(), ())
    assert after.error == GuardFault("broken", "m.a", "GO", "KeyError: 'card'")
    assert isinstance(after.error, GuardFault)
    assert isinstance(after.error.cause, KeyError)
    assert not can(machine, start, "GO")


def test_an_action_that_raises_discards_the_actions_before_it() -> None:
    """Half a step would leave the chart in a state that no event leads to."""
    go = Transition("b", actions=[assign(lambda c, e: Order(1)), act("log"), assign(broken)])
    machine = chart(a=State(on={"GO": go}), b=State())

    after, commands = transition(machine, initial(machine)[0], "GO")

    assert (after.value, after.context, commands) == ("a", Order(), ())
    assert after.error == ActionFault("m.a on GO: assign", "GO", "KeyError: 'card'")


def test_a_start_that_fails_has_no_active_state() -> None:
    """There is no state before the start to stay in."""
    machine = chart(a=State(entry=assign(broken)))

    snapshot, commands = initial(machine)

    assert (snapshot.status, snapshot.value, commands) == ("error", {}, ())
    assert snapshot.error == ActionFault("m.a entry: assign", "xstate.init", "KeyError: 'card'")


def test_a_loop_is_stopped_and_named() -> None:
    """The fault names the transitions that repeat."""
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
    """The caller decides how to report a late event."""
    machine = chart(a=State(on={"GO": "end"}), end=State(type="final"))
    end, _ = transition(machine, initial(machine)[0], "GO")

    assert end.status == "done"
    assert transition(machine, end, "GO") == (end, ())
    assert not can(machine, end, "GO")


def test_an_unhandled_error_of_an_actor_ends_the_chart() -> None:
    """As in XState, the error is not dropped."""
    machine = chart(a=State())

    after, _ = transition(machine, initial(machine)[0], Event("xstate.error.actor.x", "boom"))

    assert isinstance(after.error, UnhandledFault)


def test_fields_of_a_typed_context_are_assigned_together() -> None:
    """All of them see the old context."""
    update = assign(paid=lambda c, e: c.paid + e.data, note=lambda c, e: f"was {c.paid}")
    machine = chart(a=State(on={"PAY": Transition(actions=update)}))
    start, _ = initial(machine)

    after, _ = transition(machine, start, Event("PAY", 3))

    assert after.context == Order(3, "was 0")
    assert start.context == Order()


def test_a_function_may_return_the_actions_to_run() -> None:
    """One, several or none. Their commands are in order with those of the other actions."""

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
def test_guards_are_evaluated_only_as_far_as_needed(guard: Any, taken: bool) -> None:
    """A guard that is not reached cannot raise."""
    machine = chart(a=State(on={"GO": Transition("b", guard)}), b=State())

    assert can(machine, initial(machine)[0], "GO") is taken


def test_a_sent_event_is_a_command_and_a_raised_one_is_not() -> None:
    """The chart processes raised events in the same step."""
    machine = chart(
        a=State(
            on={"GO": Transition(actions=[send("x", delay=5, id="s"), raise_("IN")]), "IN": "b"}
        ),
        b=State(),
    )

    after, commands = transition(machine, initial(machine)[0], "GO")

    assert after.value == "b"
    assert commands == (Send(Event("x"), 5, "s"),)


def test_a_context_may_be_made_from_the_input() -> None:
    """The start takes one value from the caller."""
    machine = Chart[Order](initial="a", states={"a": State()}, context=lambda paid: Order(paid))

    assert initial(machine, 5)[0].context == Order(5)


class Signal(StrEnum):
    """Event types that an author lists in one place."""

    GO = "GO"


def test_a_member_of_an_enum_of_strings_is_an_event_type() -> None:
    """An author may list the event types of a chart as an enum."""
    machine = chart(a=State(on={"GO": Transition("b", lambda c, e: e.type == "GO")}), b=State())
    start, _ = initial(machine)

    after, _ = transition(machine, start, Signal.GO)

    assert after.value == "b"
    assert can(machine, start, Signal.GO)


def test_a_timer_can_be_taken_only_while_it_is_pending() -> None:
    """`can` and `transition` agree about a timer that was cancelled."""
    machine = chart(a=State(after={10: "b"}, on={"GO": "b"}), b=State(on={"BACK": "a"}))
    start, _ = initial(machine)
    timer = start.timers[0]

    after, _ = transition(machine, start, "GO")

    assert can(machine, start, timer)
    assert not can(machine, after, timer)


def test_a_guard_finds_a_state_below_an_id() -> None:
    """As in a target, keys may follow the id."""
    inner = State(id="box", initial="x", states={"x": State()})
    machine = chart(a=inner, b=State())
    machine = evolve(machine, on={"GO": Transition(".b", state_in("#box.x"))})

    after, _ = transition(machine, initial(machine)[0], "GO")

    assert after.value == "b"
