"""Numbers: Hypothesis strategies for the numeric bounds of a JSON Schema."""

from collections.abc import Mapping
from fractions import Fraction
from math import ceil, floor
from typing import Any, Final

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

# The integers that an event can carry: see `arvo.core.payloads.json_data`.
INTEGER_MIN: Final = -(2**63)
INTEGER_MAX: Final = 2**64 - 1


def integers(schema: Mapping[str, Any]) -> SearchStrategy[int]:
    """Draw integers within the bounds of *schema*."""
    low, high = _bounds(schema)
    least = INTEGER_MIN if low is None else max(INTEGER_MIN, ceil(low))
    most = INTEGER_MAX if high is None else min(INTEGER_MAX, floor(high))
    if least == schema.get("exclusiveMinimum"):
        least += 1
    if most == schema.get("exclusiveMaximum"):
        most -= 1
    # An integer that is a multiple of 3/2 is one of 3.
    step = Fraction(str(schema.get("multipleOf", 1))).numerator
    if step == 1:
        return st.integers(least, most) if least <= most else st.nothing()
    first, last = ceil(Fraction(least, step)), floor(Fraction(most, step))
    if first > last:
        return st.nothing()
    return st.integers(first, last).map(lambda number: number * step)


def floats(schema: Mapping[str, Any]) -> SearchStrategy[float]:
    """Draw floats within the bounds of *schema*, integral values included."""
    low, high = _bounds(schema)
    step = schema.get("multipleOf")
    if step is not None:
        # Exactly: as a float, 3 * 0.1 is no multiple of 0.1.
        exact = Fraction(str(step))
        first = None if low is None else ceil(Fraction(str(low)) / exact)
        last = max(first or 0, 0) + 2**31 if high is None else floor(Fraction(str(high)) / exact)
        first = min(last, 0) - 2**31 if first is None else first
        if first > last:
            return st.nothing()
        return st.integers(first, last).map(lambda number: float(number * exact))
    least = None if low is None else float(low)
    most = None if high is None else float(high)
    exclude_min = least is not None and least == schema.get("exclusiveMinimum")
    exclude_max = most is not None and most == schema.get("exclusiveMaximum")
    is_crossed = least is not None and most is not None and least >= most
    if is_crossed and (least != most or exclude_min or exclude_max):
        return st.nothing()
    return st.floats(
        min_value=least,
        max_value=most,
        exclude_min=exclude_min,
        exclude_max=exclude_max,
        allow_nan=False,
        allow_infinity=False,
    )


def _bounds(schema: Mapping[str, Any]) -> tuple[Any, Any]:
    low = max((schema[w] for w in ("minimum", "exclusiveMinimum") if w in schema), default=None)
    high = min((schema[w] for w in ("maximum", "exclusiveMaximum") if w in schema), default=None)
    return low, high
