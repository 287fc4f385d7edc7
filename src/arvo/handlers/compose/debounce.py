"""Debounce: of the events of a key, only the last one before a pause is handled."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar

from arvo.core.command import Persist, Schedule, Violate
from arvo.core.events.protocol import TimerFired
from arvo.handlers.compose.keyed import (
    Held,
    check_seconds,
    complete,
    hold,
    make_keyed,
    refuse,
    send,
    target_of,
)
from arvo.handlers.event_handler import EventHandler
from arvo.handlers.invoke import Commands
from arvo.handlers.resumable import Resumable, Turn

A = TypeVar("A")


def debounced(
    handler: EventHandler[A],
    *,
    key: Callable[[A], str],
    after: timedelta | float,
    longest: timedelta | float,
) -> Resumable[Any]:
    """Make a workflow that sends the last event of a key to *handler*, once the key is quiet.

    The key is quiet when no event of it has come for *after*, and counts as quiet when the first
    one is *longest* old; both are seconds or a timedelta. *key* is a pure function from the payload
    to a workflow id. Put the workflow and the handler into a `System`, and begin it by
    `init(payload, source=...)` of its contract, `arvo.orc.{type}.debounced`.

    Laws, for the events of one key in the order in which they are accepted:

    - each event is in one window; an event that comes after a window has closed opens the next one.
    - a window closes *after* its last event, or *longest* after its first one, what comes first; it
      sends the payload of its last event, once.

    Raises `Violated` for a handler that is no `EventHandler`, and for other times.
    """
    target = target_of("debounced", handler)
    quiet, latest = (
        check_seconds("debounced", "after", after),
        check_seconds("debounced", "longest", longest),
    )
    if latest < quiet:
        refuse("debounced", "longest", f"at least after ({quiet} seconds)", longest)

    def take_turn(turn: Turn[Held | None], state: Held) -> Commands:
        if turn.input is not None:
            held = hold(Held(state.count), turn.input)
            if isinstance(held, Violate):
                return held
            first = [Schedule("longest", after=latest)] if state.count == 0 else []
            return Persist(held), Schedule("quiet", after=quiet), *first
        match turn.event.data:
            case TimerFired():
                return send(target, state.waiting[0]), complete(state)
            case _:
                return None

    return make_keyed("debounced", target, target.accepted.kind, key, take_turn)
