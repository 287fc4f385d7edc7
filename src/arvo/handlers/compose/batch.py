"""Batch: the events of a key are handled together."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, TypeVar

from arvo.core.command import Command, Emit, Persist, Schedule, Violate
from arvo.core.contracts.check import make_payload
from arvo.core.events.protocol import TimerFired
from arvo.core.violations.issue import Issues
from arvo.core.violations.violation import ExecutionViolation, Violated
from arvo.handlers.compose.keyed import (
    Held,
    check_count,
    check_seconds,
    complete,
    hold,
    make_keyed,
    send,
    target_of,
)
from arvo.handlers.event_handler import EventHandler
from arvo.handlers.invoke import Commands
from arvo.handlers.resumable import Resumable, Turn

A = TypeVar("A")
B = TypeVar("B")


def batched(
    handler: EventHandler[B],
    item: type[A],
    into: Callable[[tuple[A, ...]], B],
    *,
    size: int,
    within: timedelta | float,
    key: Callable[[A], str] = lambda _: "all",
) -> Resumable[Any]:
    """Make a workflow that collects events with an *item* as payload, and sends them as one.

    *into* makes of the items, oldest first, the payload that *handler* accepts. A batch is sent
    when it has *size* items, at most 1,000, or when its first one is *within* old: seconds or a
    timedelta. It is sent early where its items would exceed 512 KiB together; an item above that is
    a dead letter. *key* is a pure function from an item to a workflow id; by default all events are
    of one key. Put the workflow and the handler into a `System`, and begin it by `init(item,
    source=...)` of its contract, `arvo.orc.{type}.batched`.

    Laws, for the events of one key: each is in one batch; the batches, one after the other, have
    the events in the order in which they are accepted; none has more than *size*.

    Raises `Violated` for a handler that is no `EventHandler`, and for other arguments.
    """
    target = target_of("batched", handler)
    payload = make_payload("batched.item", item)
    most, seconds = check_count("batched", "size", size), check_seconds("batched", "within", within)

    def take_turn(turn: Turn[Held | None], state: Held) -> Commands:
        if turn.input is not None:
            held = hold(state, turn.input)
            if isinstance(held, Violate):
                if not state.waiting:
                    return held
                held = hold(Held(state.count), turn.input)
                if isinstance(held, Violate):
                    return held
                return _send_all(state), Persist(held), Schedule("within", after=seconds)
            if len(held.waiting) == most:
                return _send_all(held), complete(held)
            first: list[Command] = [Schedule("within", after=seconds)] if not state.waiting else []
            return Persist(held), *first
        match turn.event.data:
            case TimerFired():
                return _send_all(state), complete(state)
            case _:
                return None

    def _send_all(state: Held) -> Emit:
        return send(target, into(tuple(map(_read, state.waiting))))

    def _read(data: Mapping[str, Any]) -> A:
        value = payload.read(data)
        if isinstance(value, Issues):
            # The class has changed since the event came.
            raise Violated(ExecutionViolation("an item of the batch is unreadable", value))
        return value

    return make_keyed("batched", target, item, key, take_turn)
