"""Expressions: the small JavaScript-like language of the datamodel corpus."""

import math
import operator
from collections.abc import Callable, Mapping
from typing import Any


class Undefined:
    """JavaScript's ``undefined``: one value, which is false."""

    def __bool__(self) -> bool:
        return False

    def __repr__(self) -> str:
        return "undefined"


UNDEFINED = Undefined()


def evaluate(expression: Any, context: Mapping[str, Any], event: Mapping[str, Any]) -> Any:
    """Evaluate *expression*: a list is an operator with its operands, any other value is itself."""
    if not isinstance(expression, list):
        return expression
    operation, *parts = expression
    match operation:
        case "undefined":
            return UNDEFINED
        case "var":
            return context.get(parts[0], UNDEFINED)
        case "event":
            return _field(event, parts)
        case "&&" | "||":
            left = evaluate(parts[0], context, event)
            stop = not truthy(left) if operation == "&&" else truthy(left)
            return left if stop else evaluate(parts[1], context, event)
        case _:
            return _OPERATIONS[operation](*(evaluate(p, context, event) for p in parts))


def truthy(value: object) -> bool:
    """Return whether *value* is true in JavaScript."""
    if isinstance(value, list | dict):
        return True
    return bool(value) and not (isinstance(value, float) and math.isnan(value))


def same(left: object, right: object) -> bool:
    """Compare as ``===``: no number is a boolean."""
    if isinstance(left, bool) != isinstance(right, bool):
        return False
    return left is right or left == right


def _field(event: object, path: list[str]) -> object:
    for key in path:
        event = event.get(key, UNDEFINED) if isinstance(event, Mapping) else UNDEFINED
    return event


def _number(value: object) -> float:
    if isinstance(value, bool | int | float):
        return value
    if value is None:
        return 0
    if isinstance(value, str):
        try:
            return float(value) if value.strip() else 0
        except ValueError:
            return math.nan
    return math.nan


def _text(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _loose(left: object, right: object) -> bool:
    blank = (None, UNDEFINED)
    if left in blank or right in blank:
        return left in blank and right in blank
    if type(left) is type(right):
        return left == right
    return _number(left) == _number(right)


def _add(left: object, right: object) -> object:
    if isinstance(left, str) or isinstance(right, str):
        return _text(left) + _text(right)
    return _number(left) + _number(right)


def _typeof(value: object) -> str:
    kinds = ((Undefined, "undefined"), (bool, "boolean"), (int | float, "number"), (str, "string"))
    return next((name for kind, name in kinds if isinstance(value, kind)), "object")


def _ordered(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    def test(left: object, right: object) -> bool:
        if isinstance(left, str) and isinstance(right, str):
            return compare(left, right)
        return compare(_number(left), _number(right))

    return test


def _divide(left: object, right: object) -> float:
    top, bottom = _number(left), _number(right)
    if bottom == 0:
        return math.nan if top == 0 or math.isnan(top) else math.copysign(math.inf, top)
    return top / bottom


_OPERATIONS: Mapping[str, Callable[..., Any]] = {
    "!": lambda a: not truthy(a),
    "neg": lambda a: -_number(a),
    "typeof": _typeof,
    "==": _loose,
    "!=": lambda a, b: not _loose(a, b),
    "===": same,
    "!==": lambda a, b: not same(a, b),
    "<": _ordered(operator.lt),
    "<=": _ordered(operator.le),
    ">": _ordered(operator.gt),
    ">=": _ordered(operator.ge),
    "+": _add,
    "-": lambda a, b: _number(a) - _number(b),
    "*": lambda a, b: _number(a) * _number(b),
    "/": _divide,
    "%": lambda a, b: math.fmod(_number(a), _number(b)) if _number(b) else math.nan,
    "pow": lambda a, b: _number(a) ** _number(b),
}
