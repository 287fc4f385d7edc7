"""Placeholders: the placeholders of a recorded machine, and its flat events."""

import re
from collections.abc import Mapping
from typing import Any

from arvo.statechart import (
    Done,
    Event,
    Init,
)
from tests.statechart.expressions import evaluate


def fill(template: Any, context: Mapping[str, Any], event: object) -> Any:
    """Replace the placeholders in *template* by their values for *context* and *event*."""
    if isinstance(template, list):
        return [fill(part, context, event) for part in template]
    if not isinstance(template, Mapping):
        return template
    match dict(template):
        case {"$ctx": str(key), **rest} if not rest:
            return context.get(key)
        case {"$event": str(key), **rest} if not rest:
            return fields(event).get(key)
        case {"$input": str(key), **rest} if not rest:
            return (fields(event).get("input") or {}).get(key)
        case {"$expr": expression, **rest} if not rest:
            return evaluate(expression, context, fields(event))
        case {"$delayExpr": expression, **rest} if not rest:
            return _milliseconds(evaluate(expression, context, fields(event)))
        case plain:
            return {key: fill(part, context, event) for key, part in plain.items()}


def fields(event: Any) -> Mapping[str, Any]:
    """Return *event* as the flat object that XState's guards and actions see."""
    match event:  # the classes that our engine passes, and no other
        case Event(type=kind, data=data):
            return {"type": kind, **(data if isinstance(data, Mapping) else {})}
        case Done(type=kind, output=output):
            return {"type": kind, "output": output}
        case Init(input=given, type=kind):
            return {"type": kind, "input": given}
        case _:
            raise TypeError(event)


def parse_event(flat: Mapping[str, Any]) -> Event:
    """Make an event from XState's flat object."""
    return Event(flat["type"], {key: value for key, value in flat.items() if key != "type"})


def _milliseconds(text: Any) -> Any:
    match = re.fullmatch(r"([\d.]+)(ms|s)", text) if isinstance(text, str) else None
    return text if match is None else float(match[1]) * (1000 if match[2] == "s" else 1)
