"""Keyed: the common part of the workflows that hold events by a key."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, Final, NoReturn, TypeVar

import orjson
from attrs import frozen

from arvo.core.command import Complete, Emit, Log, Violate
from arvo.core.contracts.orchestrator import OrchestratorContract
from arvo.core.contracts.version_spec import Workflow
from arvo.core.contracts.versioned import VersionedContract
from arvo.core.contracts.versioned_workflow import PARENT_SUBJECT
from arvo.core.events.event import Event
from arvo.core.events.identity import KEYED_PREFIX
from arvo.core.events.protocol import Cancellation
from arvo.core.events.subject import workflow_id_of
from arvo.core.payloads.frozen_json import FrozenDict
from arvo.core.violations.arguments import check_argument
from arvo.core.violations.issue import Issue, short_repr
from arvo.core.violations.violation import ConfigViolation, ExecutionViolation, Violated
from arvo.handlers.duration import to_seconds
from arvo.handlers.event_handler import EventHandler
from arvo.handlers.invoke import Commands
from arvo.handlers.resumable import Resumable, Turn

A = TypeVar("A")

# The most that one run holds. Each turn writes all of it, and half of the limit of an event leaves
# room for the text that a batch adds around its items.
HELD_EVENTS_MAX: Final = 1_000
HELD_BYTES_MAX: Final = 512 * 1024


@frozen
class Held:
    """The state of a run: the payloads that wait, oldest first, as JSON, and their size together.

    *count*: how many events the run has taken.
    """

    count: int = 0
    waiting: tuple[Mapping[str, Any], ...] = ()
    size: int = 0


@frozen
class HeldEvents:
    """The completion of a run: how many events it has taken.

    >>> HeldEvents(3).events
    3
    """

    events: int


def make_keyed(
    operation: str,
    target: VersionedContract[Any],
    accepts: Any,
    key: Callable[[Any], str],
    take_turn: Callable[[Turn[Held | None], Held], Commands],
) -> Resumable[Held]:
    """Make the workflow that holds events by their key and sends them on to *target*.

    *operation* is the last part of its name, *accepts* the payload of its events. *take_turn* gets
    a turn and the state of the run, an empty one at first. A cancellation does not reach it.
    """
    contract = OrchestratorContract[Any, HeldEvents](
        uri=f"{target.uri}/{operation}",
        name=f"{target.type}.{operation}",
        versions={target.version: Workflow(init=accepts, complete=HeldEvents)},
        key=key,
    )
    versioned = contract[target.version]

    def advance(turn: Turn[Held | None]) -> Commands:
        state = turn.state or Held()
        if turn.input is not None:
            _check_key(turn.input, versioned.keyed_id(turn.input.data))
        elif isinstance(turn.event.data, Cancellation):
            return _report_cancelled(state)
        return take_turn(turn, state)

    return Resumable(
        contract,
        {target.version: advance},
        services=[target],
        state=Held,
        # A key or a batch that raises is mended by its author: until then nothing changes.
        on_error="dead-letter",
    )


def _check_key(event: Event[Any], key: str) -> None:
    """Refuse an event that a sender without this contract has sent to the run of another key."""
    if workflow_id_of(event.subject) != key:
        issue = Issue("workflow_id", repr(key), repr(workflow_id_of(event.subject)))
        raise Violated(ExecutionViolation("the event is at the run of another key", issue))


def target_of(operation: str, handler: EventHandler[A]) -> VersionedContract[A]:
    """Return the latest version of the contract of *handler*."""
    check_argument("handler", handler, EventHandler, "an EventHandler", of=operation)
    return handler.contract.version("latest")


def check_count(operation: str, name: str, value: object) -> int:
    """Return a number of events; raises `Violated` for none and for too many."""
    if type(value) is not int or not 1 <= value <= HELD_EVENTS_MAX:
        refuse(operation, name, f"a whole number from 1 to {HELD_EVENTS_MAX}", value)
    return value


def check_seconds(operation: str, name: str, value: timedelta | float) -> float:
    """Return a span in seconds; raises `Violated` for none, and for one that is not above 0."""
    seconds = to_seconds(f"{operation}.{name}", value)
    if seconds <= 0:
        refuse(operation, name, "more than 0 seconds", value)
    return seconds


def refuse(operation: str, name: str, expected: str, value: object) -> NoReturn:
    """Raise `Violated` for an argument."""
    issue = Issue(name, expected, short_repr(value))
    raise Violated(ConfigViolation(f"the arguments of {operation} are invalid", issue))


def hold(state: Held, event: Event[Any]) -> Held | Violate:
    """Add the payload of an event to those that wait, or refuse it: a run holds so many."""
    payload = {name: value for name, value in event.raw.items() if name != PARENT_SUBJECT}
    size = size_of(payload)
    if len(state.waiting) >= HELD_EVENTS_MAX or state.size + size > HELD_BYTES_MAX:
        expected = f"at most {HELD_EVENTS_MAX} events and {HELD_BYTES_MAX} bytes that wait"
        got = f"{len(state.waiting) + 1} events, {state.size + size} bytes"
        return Violate(ExecutionViolation("the key has no room", Issue("waiting", expected, got)))
    return Held(state.count + 1, (*state.waiting, payload), state.size + size)


def take(state: Held) -> tuple[Mapping[str, Any], Held]:
    """Return the payload that waits longest, and the state without it."""
    first, *others = state.waiting
    return first, Held(state.count, tuple(others), state.size - size_of(first))


def size_of(payload: Mapping[str, Any]) -> int:
    """Return the size of a payload as JSON, in bytes."""
    return len(orjson.dumps(payload))


def complete(state: Held) -> Complete:
    """End the run of a key; its next event begins another one."""
    return Complete(HeldEvents(state.count))


def send(target: VersionedContract[Any], payload: object) -> Emit:
    """Send a payload to the handler, whose answers leave the system: no sender waits for them."""
    return Emit(payload, type=target.type, redirectto=f"{KEYED_PREFIX}{target.type}")


def _report_cancelled(state: Held) -> Commands:
    """Log how many events a cancellation drops; the history of the run has them."""
    dropped = len(state.waiting)
    if not dropped:
        return None
    return Log("warning", "cancelled with events that wait", FrozenDict({"events": dropped}))
