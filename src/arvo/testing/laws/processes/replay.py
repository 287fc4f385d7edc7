"""Replay: repeat steps of a system, and return their results as text that can be compared."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, final

import orjson
from attrs import frozen

from arvo.core.commit import Commit
from arvo.core.events.event import Event
from arvo.core.events.protocol import SystemFault
from arvo.core.record import Record
from arvo.core.violations.violation import Violation
from arvo.engine.step.decide import decide_plain
from arvo.engine.system.system import System
from arvo.handlers.effect import EffectTable
from arvo.handlers.flow.handler import FlowHandler
from arvo.interrupts import is_interrupt


@final
@frozen
class ReplayedStep:
    """A step to repeat: the *event* as JSON text, the *record* before it, the time, the effects."""

    event: str
    record: Record | None
    now: datetime
    effects: EffectTable


def replay(system: System, steps: Sequence[ReplayedStep]) -> list[str]:
    """Return the results of *steps*; each step runs as on a worker that has just started."""
    return [_replay_step(system, step) for step in steps]


def _replay_step(system: System, step: ReplayedStep) -> str:
    for handler in system.handlers:
        if isinstance(handler, FlowHandler):
            handler.cache.clear()
    try:
        result = decide_plain(
            system, Event.parse(step.event), step.record, now=step.now, effects=step.effects
        )
    except BaseException as error:
        if is_interrupt(error):
            raise
        return f"raises {type(error).__name__}: {error}"
    return describe_result(result)


def describe_result(result: Commit | Violation) -> str:
    """Return all that a step sends and stores, without stack traces."""
    if not isinstance(result, Commit):
        return f"{type(result).__name__}: {result}"
    record = result.record
    parts: dict[str, Any] = {
        "outcome": result.outcome,
        "sends": [_describe_event(event) for event in result.events],
        "stores": None if record is None else {**record.to_dict(), "failure": None},
        "failure": None if record is None or record.failure is None else record.failure.message,
        "sets timers": [[timer.event.to_dict(), timer.due] for timer in result.timers],
        "clears timers": sorted(result.cleared_timers),
    }
    given = {key: value for key, value in parts.items() if value}
    return orjson.dumps(given, default=str, option=orjson.OPT_SORT_KEYS).decode()


def _describe_event(event: Event[Any]) -> dict[str, Any]:
    hidden = "errorStack" if isinstance(event.data, SystemFault) else None
    return {
        **event.to_dict(),
        "data": {key: value for key, value in event.raw.items() if key != hidden},
    }


def first_difference(one: str, other: str) -> tuple[str, str]:
    """Return the first value in which two descriptions of results differ, each with its path.

    >>> first_difference('{"sends": [{"data": {"n": 1}}]}', '{"sends": [{"data": {"n": 2}}]}')
    ('sends[0].data.n is 1', 'sends[0].data.n is 2')
    """
    try:
        path, here, there = _find_difference("", orjson.loads(one), orjson.loads(other))
    except orjson.JSONDecodeError:
        # A violation is text.
        return one, other
    return f"{path} is {here!r}", f"{path} is {there!r}"


def _find_difference(path: str, one: Any, other: Any) -> tuple[str, Any, Any]:
    if isinstance(one, dict) and isinstance(other, dict):
        for key in sorted({*one, *other}):
            if one.get(key) != other.get(key):
                inner = f"{path}.{key}" if path else key
                return _find_difference(inner, one.get(key), other.get(key))
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for position, (first, second) in enumerate(zip(one, other, strict=True)):
            if first != second:
                return _find_difference(f"{path}[{position}]", first, second)
    return path or "the result", one, other
