"""Throttle: a handler begins with so many events of a key in a period, and the others wait."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar

from arvo.core.command import Persist, Schedule, Violate
from arvo.core.events.protocol import TimerFired
from arvo.handlers.compose.keyed import (
    Held,
    check_count,
    check_seconds,
    complete,
    hold,
    make_keyed,
    send,
    take,
    target_of,
)
from arvo.handlers.event_handler import EventHandler
from arvo.handlers.invoke import Commands
from arvo.handlers.resumable import Resumable, Turn

A = TypeVar("A")


def throttled(
    handler: EventHandler[A],
    *,
    key: Callable[[A], str],
    limit: int,
    period: timedelta | float,
) -> Resumable[Any]:
    """Make a workflow that sends at most *limit* events of a key to *handler* in each *period*.

    The others wait, and are sent in the order in which they came. 1,000 events of a key may wait,
    and 512 KiB of payloads; an event beyond that is a dead letter, which an operator can redrive.
    *period* is in seconds or a timedelta, *limit* is at most 1,000. *key* is a pure function from
    the payload to a workflow id. Put the workflow and the handler into a `System`, and begin it by
    `init(payload, source=...)` of its contract, `arvo.orc.{type}.throttled`.

    Laws, for the events of one key:

    - no time span of *period*, wherever it begins, has more than *limit* sends.
    - each event is sent once, in the order in which they are accepted; an event does not wait while
      the *period* before it has fewer than *limit* sends.

    Raises `Violated` for a handler that is no `EventHandler`, and for other arguments.
    """
    target = target_of("throttled", handler)
    slots = check_count("throttled", "limit", limit)
    seconds = check_seconds("throttled", "period", period)

    def take_turn(turn: Turn[Held | None], state: Held) -> Commands:
        timers = {} if turn.record is None else turn.record.timers
        if turn.input is not None:
            held = hold(state, turn.input)
            if isinstance(held, Violate):
                return held
            # A timer for each event that was sent: one timer for a period would let twice as many
            # pass around its end.
            free = next((name for name in map(str, range(slots)) if name not in timers), None)
            return Persist(held) if free is None else _send_first(held, free)
        match turn.event.data:
            case TimerFired(name=name) if state.waiting:
                return _send_first(state, name)
            case TimerFired():
                return complete(state) if len(timers) == 1 else None
            case _:
                return None

    def _send_first(state: Held, slot: str) -> Commands:
        payload, rest = take(state)
        return send(target, payload), Persist(rest), Schedule(slot, after=seconds)

    return make_keyed("throttled", target, target.accepted.kind, key, take_turn)
