"""Implementations: the actions and guards that the recorded machines name."""

from collections.abc import Callable, Mapping
from typing import Any

from arvo.statechart import (
    Assign,
)
from tests.statechart.expressions import UNDEFINED, same
from tests.statechart.placeholders import fields


def _increment(context: Any, event: Any, params: Any) -> Any:
    old = context.get(params["key"])
    number = old if isinstance(old, int | float) and not isinstance(old, bool) else 0
    return {**context, params["key"]: number + (params.get("by") or 1)}


def _set(context: Any, event: Any, params: Any) -> Any:
    value = params.get("value")
    return {**context, params["key"]: None if value is UNDEFINED else value}


def _boom(context: Any, event: Any, params: Any = None) -> Any:
    raise RuntimeError("boom")


def _compare(test: Callable[[Any, Any], bool]) -> Callable[[Any, Any, Any], bool]:
    def guard(context: Any, event: Any, params: Any) -> bool:
        value, expected = context.get(params["key"]), params["value"]
        numbers = all(
            isinstance(v, int | float) and not isinstance(v, bool) for v in (value, expected)
        )
        return numbers and test(value, expected)

    return guard


def _modulo(context: Any, event: Any, params: Any) -> bool:
    value = context.get(params["key"])
    return isinstance(value, int | float) and value % params["m"] == params["r"]


def _event_is(context: Any, event: Any, params: Any) -> bool:
    flat = fields(event)
    return params["field"] in flat and same(flat[params["field"]], params["value"])


ACTIONS: Mapping[str, Any] = {
    "inc": Assign(_increment),
    "set": Assign(_set),
    "assignBoom": Assign(_boom),
}


GUARDS: Mapping[str, Callable[..., Any]] = {
    "true": lambda *_: True,
    "false": lambda *_: False,
    "lt": _compare(lambda a, b: a < b),
    "gt": _compare(lambda a, b: a > b),
    "eq": _compare(lambda a, b: a == b),
    "mod": _modulo,
    "evEq": _event_is,
    "boom": _boom,
    # We reject an unimplemented guard when the chart is made; the corpora expect a later failure.
    "missingGuard": _boom,
}
