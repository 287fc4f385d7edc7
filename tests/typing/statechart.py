"""Signatures of `arvo.statechart` as type checkers see them; checked, never run."""

from typing import assert_type

from attrs import frozen

from arvo.statechart import (
    Chart,
    Command,
    Event,
    Fault,
    Snapshot,
    Stale,
    State,
    Transition,
    act,
    assign,
    can,
    dump,
    emit,
    initial,
    load,
    transition,
)


@frozen
class Order:
    paid: int = 0


def is_paid(context: Order, event: Event) -> bool:
    return context.paid > 0


plain = Chart(id="lamp", initial="off", states={"off": State(on={"flip": "off"})})
assert_type(plain, Chart[None])

typed = Chart(
    initial="a",
    context=Order(),
    states={
        "a": State(
            on={Event: Transition("a", is_paid, actions=[assign(paid=1), act("log")])},
            entry=emit(lambda context, event: context.paid),
            after={100: ["a", Transition("a")]},
        )
    },
)
assert_type(typed, Chart[Order])

# A function could be a context or make one, so the chart needs the annotation.
from_input = Chart[Order](initial="a", states={"a": State()}, context=lambda paid: Order(paid))
assert_type(from_input, Chart[Order])

assert_type(initial(typed), tuple[Snapshot[Order], tuple[Command, ...]])
snapshot, _ = initial(typed)
assert_type(transition(typed, snapshot, "flip"), tuple[Snapshot[Order], tuple[Command, ...]])
assert_type(can(typed, snapshot, Event("flip")), bool)
assert_type(snapshot.context, Order)
assert_type(snapshot.error, Fault | None)
assert_type(load(typed, dump(typed, snapshot)), Snapshot[Order] | Stale)
