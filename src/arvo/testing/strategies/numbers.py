"""Numbers: those that the bounds of a schema allow."""

from collections.abc import Mapping
from math import ceil, floor
from typing import Any, Final

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

# What an event may carry as a whole number (see `core.plain`).
INTEGER_MIN: Final = -(2**63)
INTEGER_MAX: Final = 2**64 - 1


def integers(schema: Mapping[str, Any]) -> SearchStrategy[int]:
    """Draw whole numbers between the bounds of *schema*."""
    low, high = _bounds(schema)
    least = INTEGER_MIN if low is None else max(INTEGER_MIN, ceil(low))
    most = INTEGER_MAX if high is None else min(INTEGER_MAX, floor(high))
    if least == schema.get("exclusiveMinimum"):
        least += 1
    if most == schema.get("exclusiveMaximum"):
        most -= 1
    step = schema.get("multipleOf", 1)
    if least > most:
        return st.nothing()
    if step != int(step):
        return st.integers(least, most)
    first, last = ceil(least / int(step)), floor(most / int(step))
    if int(step) == 1:
        first, last = least, most
    if first > last:
        return st.nothing()
    return st.integers(first, last).map(lambda number: number * int(step))


def floats(schema: Mapping[str, Any]) -> SearchStrategy[float]:
    """Draw numbers between the bounds of *schema*, whole or not."""
    low, high = _bounds(schema)
    step = schema.get("multipleOf")
    if step is not None:
        first = -(2**31) if low is None else ceil(low / step)
        last = 2**31 if high is None else floor(high / step)
        if first > last:
            return st.nothing()
        return st.integers(first, last).map(lambda number: number * float(step))
    least = None if low is None else float(low)
    most = None if high is None else float(high)
    above = least is not None and least == schema.get("exclusiveMinimum")
    under = most is not None and most == schema.get("exclusiveMaximum")
    empty = least is not None and most is not None and least >= most
    if empty and (least != most or above or under):
        return st.nothing()
    return st.floats(
        min_value=least,
        max_value=most,
        exclude_min=above,
        exclude_max=under,
        allow_nan=False,
        allow_infinity=False,
    )


def _bounds(schema: Mapping[str, Any]) -> tuple[Any, Any]:
    low = max((schema[w] for w in ("minimum", "exclusiveMinimum") if w in schema), default=None)
    high = min((schema[w] for w in ("maximum", "exclusiveMaximum") if w in schema), default=None)
    return low, high
