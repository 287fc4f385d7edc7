"""Singleton: a handler has one event of a key at a time, and the others wait."""

from collections.abc import Callable
from typing import Any, TypeVar

from arvo.core.command import Emit, Persist, Violate
from arvo.handlers.compose.keyed import (
    Held,
    complete,
    hold,
    make_keyed,
    refuse,
    take,
    target_of,
)
from arvo.handlers.event_handler import EventHandler
from arvo.handlers.invoke import Commands
from arvo.handlers.resumable import Resumable, Turn

A = TypeVar("A")


def singleton(handler: EventHandler[A], *, key: Callable[[A], str]) -> Resumable[Any]:
    """Make a workflow that sends an event of a key to *handler* once the one before is answered.

    An answer is any event of the handler, also its failure. A handler that answers an event with
    nothing never lets the next one begin. An event that becomes a dead letter holds its key until
    it is redriven; cancel the run to let the key go. The others wait, as those of `throttled` do.
    *key* is a pure function from the payload to a workflow id. Put the workflow and the handler
    into a `System`, and begin it by `init(payload, source=...)` of its contract,
    `arvo.orc.{type}.singleton`.

    Laws, for the events of one key: between the sending of an event and its answer no other one is
    sent; each is sent once, in the order in which they are accepted.

    Raises `Violated` for a handler that is no `EventHandler`, or whose contract emits nothing.
    """
    target = target_of("singleton", handler)
    if not target.emitted:
        expected = "one whose contract emits an answer, which shows that it is done"
        refuse("singleton", "handler", expected, target.dataschema)

    def take_turn(turn: Turn[Held | None], state: Held) -> Commands:
        pending = {} if turn.record is None else turn.record.pending_requests
        if turn.input is not None:
            held = hold(state, turn.input)
            if isinstance(held, Violate):
                return held
            return Persist(held) if pending else _send_first(held)
        if turn.event.parentid not in pending:
            # A further answer of the event before.
            return None
        return _send_first(state) if state.waiting else complete(state)

    def _send_first(state: Held) -> Commands:
        payload, rest = take(state)
        return Emit(payload, type=target.type), Persist(rest)

    return make_keyed("singleton", target, target.accepted.kind, key, take_turn)
