"""Limit: how many events of a handler are processed at once, or begin within some seconds."""

from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any, Final, TypeAlias, final

from attrs import field, frozen

from arvo.core.events.event import Event
from arvo.core.violations.issue import Issue, short_repr
from arvo.core.violations.violation import ConfigViolation, Violated
from arvo.handlers.annotations import is_async
from arvo.handlers.duration import to_seconds

# A store counts so many places, and keeps the time of so many starts, for each key.
NUMBER_MAX: Final = 10_000
# One week. A handler that begins more seldom has a schedule.
SECONDS_MAX: Final = 604_800.0
# Each is a place that an event takes and gives back.
LIMITS_MAX: Final = 8
# Of the ten levels each has twice the share of the one below.
PRIORITY_MAX: Final = 9

# Returns the key of an event, of which each has places of its own.
LimitKey: TypeAlias = Callable[[Event[Any]], str | int | None]


def _read_seconds(value: timedelta | float | None) -> float | None:
    return None if value is None else to_seconds("limit.seconds", value)


@final
@frozen(kw_only=True)
class Limit:
    """A limit of a handler, as data: it holds for all processes on a backend together.

    *concurrent*: the most of its events that are processed at the same time. Or *rate*: the most
    that begin within any *seconds*, which are a timedelta or a number; each attempt counts as one.
    *per*: a pure function from an event, as the handler gets it, to a text or a whole number; the
    events of each such key have a limit of their own. None: the limit does not count this event.

    *priority*: a pure function from an event to a number from 0 to 9, the most urgent; without it
    all have 0. Of the events that wait, those of a priority get twice as many places as those of
    the one below, so that each has its turn. *fairness_key*: a pure function as *per*; the events
    of each such key get as many places as those of another one, however many of them wait.

    An event above a limit waits, and with it those behind it of the same workflow. A workflow's
    limit counts turns: a workflow that waits for a reply or a timer takes no place. Raises
    `Violated` for a value out of bounds.

    >>> Limit(concurrent=1, per=lambda event: event.data.customer).number
    1
    """

    concurrent: int | None = None
    rate: int | None = None
    seconds: float | None = field(default=None, converter=_read_seconds)
    per: LimitKey | None = None
    priority: Callable[[Event[Any]], int] | None = None
    fairness_key: LimitKey | None = None

    def __attrs_post_init__(self) -> None:
        if issues := tuple(self._issues()):
            raise Violated(ConfigViolation("the limit is invalid", issues))

    @property
    def number(self) -> int:
        """The number of places: *concurrent* or *rate*."""
        number = self.rate if self.concurrent is None else self.concurrent
        assert number is not None
        return number

    def _issues(self) -> Iterable[Issue]:
        given = {"concurrent": self.concurrent, "rate": self.rate}
        named = {name: value for name, value in given.items() if value is not None}
        if len(named) != 1:
            got = " and ".join(named) or "neither"
            yield Issue("limit", "either concurrent or rate", got)
        for name, value in named.items():
            if type(value) is not int or not 1 <= value <= NUMBER_MAX:
                expected = f"a whole number from 1 to {NUMBER_MAX}"
                yield Issue(f"limit.{name}", expected, short_repr(value))
        if (self.rate is None) != (self.seconds is None):
            got = "rate" if self.seconds is None else "seconds"
            yield Issue("limit", "rate and seconds together: Limit(rate=100, seconds=60)", got)
        elif self.seconds is not None and not 0 < self.seconds <= SECONDS_MAX:
            expected = f"more than 0 and at most {SECONDS_MAX:.0f}"
            yield Issue("limit.seconds", expected, short_repr(self.seconds))
        functions: dict[str, object] = {
            "per": self.per,
            "priority": self.priority,
            "fairness_key": self.fairness_key,
        }
        for name, function in functions.items():
            if function is not None and (not callable(function) or is_async(function)):
                expected = "a plain function of an event, or None"
                yield Issue(f"limit.{name}", expected, short_repr(function))


def read_limits(value: Iterable[Limit]) -> tuple[Limit, ...]:
    """Read the limits of a handler; raises `Violated` for other values."""
    items: object = value
    if isinstance(items, Iterable) and not isinstance(items, str | bytes):
        listed: tuple[object, ...] = tuple(items)
        if len(listed) <= LIMITS_MAX and all(isinstance(item, Limit) for item in listed):
            return tuple(item for item in listed if isinstance(item, Limit))
    expected = f"a list of at most {LIMITS_MAX}: [Limit(concurrent=10)]"
    issue = Issue("limits", expected, short_repr(value))
    raise Violated(ConfigViolation("the policy of the handler is invalid", issue))
