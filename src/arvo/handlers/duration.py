"""Duration: the spans of time that an author writes, checked where they are written."""

from datetime import timedelta

from arvo.core.violations.issue import Issue, short_repr
from arvo.core.violations.violation import ExecutionViolation, Violated


def to_timedelta(argument: str, value: object) -> timedelta:
    """Read a span: a timedelta, or a number of seconds, not below 0.

    Raises `Violated`, which names *argument*, for any other value.

    >>> to_timedelta("sleep", 1.5)
    datetime.timedelta(seconds=1, microseconds=500000)
    """
    span: object = value
    try:
        # True is an int, and no number of seconds.
        if isinstance(value, int | float) and not isinstance(value, bool):
            span = timedelta(seconds=value)
    except (ValueError, OverflowError):
        # Not a number, or more than a timedelta holds.
        span = None
    if isinstance(span, timedelta) and span >= timedelta():
        return span
    expected = "seconds or a timedelta, not below 0, such as timedelta(seconds=5)"
    issue = Issue(argument, expected, short_repr(value))
    raise Violated(ExecutionViolation("invalid duration", issue))


def to_seconds(argument: str, value: timedelta | float) -> float:
    """Read a span as seconds; raises `Violated` as `to_timedelta` does."""
    span = to_timedelta(argument, value)
    # A number is returned as it is: a timedelta rounds to microseconds.
    return span.total_seconds() if isinstance(value, timedelta) else value
