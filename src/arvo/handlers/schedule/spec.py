"""Spec: when a schedule begins a workflow, as data."""

from collections.abc import Iterable
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, TypeAlias, final, get_args
from zoneinfo import ZoneInfo

from annotated_types import Ge, Le
from attrs import field, frozen
from cronsim import CronSim, CronSimError

from arvo.core.violations.issue import Issue, short_repr
from arvo.core.violations.violation import ConfigViolation, Violated

if TYPE_CHECKING:
    from attrs import Attribute

Weekday: TypeAlias = Literal["MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN"]
WEEKDAYS: Final[tuple[str, ...]] = get_args(Weekday)
# More often than that, a timer and a workflow for each occurrence are the wrong tool.
SHORTEST: Final = timedelta(seconds=1)
# A rule of a calendar lists a few dates, and not every day of a century.
DATES_MAX: Final = 1_000
EXPRESSION_CHARACTERS_MAX: Final = 255
# Any date will do to find out whether an expression can be read.
_ANY_TIME: Final = datetime(2000, 1, 1)  # noqa: DTZ001 - without a zone, as it is not the zone's turn


def _refuse(kind: str, *issues: Issue) -> Violated:
    return Violated(ConfigViolation(f"invalid {kind}", issues))


def _check_zone(spec: object, _: "Attribute[Any]", name: object) -> None:
    try:
        assert isinstance(name, str)
        ZoneInfo(name)
    # The lookup also raises for a name that is the path of no file, or of a folder.
    except (AssertionError, ValueError, OSError, LookupError):
        expected = "a time zone of the IANA database, such as Europe/Berlin"
        issue = Issue("tz", expected, short_repr(name))
        raise _refuse(type(spec).__name__, issue) from None


def _check_expression(_: "Cron", __: "Attribute[Any]", expression: object) -> None:
    try:
        assert isinstance(expression, str)
        assert len(expression) <= EXPRESSION_CHARACTERS_MAX
        CronSim(expression, _ANY_TIME)
    except (AssertionError, CronSimError) as error:
        expected = "five fields (minute, hour, day, month, weekday), or six with seconds first"
        got = f"{short_repr(expression)} ({error})" if str(error) else short_repr(expression)
        raise _refuse("Cron", Issue("expression", expected, got)) from None


@final
@frozen
class Cron:
    """The times of a cron expression in a time zone: `Cron("0 9 * * MON-FRI", tz="Europe/Berlin")`.

    *expression*: minute, hour, day of the month, month and day of the week as in Debian's cron,
    with `L`, `LW` and `MON#2` in addition; six fields begin with the second. *tz*: a name of the
    IANA database. Raises `Violated` for an expression or a zone that cannot be read.
    """

    expression: str = field(validator=_check_expression)
    tz: str = field(default="UTC", validator=_check_zone)
    kind: Literal["cron"] = field(default="cron", kw_only=True, repr=False)


def _check_interval(every: "Every", _: "Attribute[Any]", offset: object) -> None:
    try:
        interval = every.interval
    except (TypeError, OverflowError):
        interval = timedelta()
    if interval < SHORTEST:
        got = f"{every.weeks} w, {every.days} d, {every.hours} h, {every.minutes} min"
        issue = Issue("interval", "1 second to a million days", f"{got}, {every.seconds} s")
        raise _refuse("Every", issue)
    if (
        not isinstance(offset, timedelta)
        or offset.microseconds
        or not timedelta() <= offset < interval
    ):
        expected = f"a timedelta of whole seconds from 0 to less than {interval}"
        raise _refuse("Every", Issue("offset", expected, short_repr(offset)))


@final
@frozen
class Every:
    """The same span of time again and again: `Every(minutes=5)`.

    The times are multiples of the span since 1970-01-01 in UTC, so each worker finds the same ones;
    *offset* moves them: `Every(hours=1, offset=timedelta(minutes=10))` is ten past each hour.
    Daylight saving does not count. Raises `Violated` for a span below one second.
    """

    weeks: Annotated[int, Ge(0)] = 0
    days: Annotated[int, Ge(0)] = 0
    hours: Annotated[int, Ge(0)] = 0
    minutes: Annotated[int, Ge(0)] = 0
    seconds: Annotated[int, Ge(0)] = 0
    # The last field of the span, so that its validator sees the others.
    offset: timedelta = field(default=timedelta(), validator=_check_interval)
    kind: Literal["every"] = field(default="every", kw_only=True, repr=False)

    @property
    def interval(self) -> timedelta:
        """The span."""
        return timedelta(
            weeks=self.weeks,
            days=self.days,
            hours=self.hours,
            minutes=self.minutes,
            seconds=self.seconds,
        )


def _to_tuple(value: Any) -> Any:
    # A single value is the most likely slip, and a text would be read as its letters.
    return tuple(value) if isinstance(value, Iterable) and not isinstance(value, str) else (value,)


def _check_calendar(calendar: Any, _: "Attribute[Any]", __: object) -> None:
    # Of any type: callers that no type checker reads pass anything.
    issues = [
        Issue(f"at[{place}]", "a time of day in whole seconds, without an offset", short_repr(at))
        for place, at in enumerate(calendar.at)
        if not isinstance(at, time) or at.tzinfo is not None or at.microsecond
    ]
    if not calendar.at:
        issues.append(Issue("at", "one time of day or more, such as time(9, 30)", "none"))
    issues += [
        Issue(f"weekdays[{place}]", f"one of {', '.join(WEEKDAYS)}", short_repr(day))
        for place, day in enumerate(calendar.weekdays)
        if day not in WEEKDAYS
    ]
    issues += [
        Issue(f"days[{place}]", "1 to 31, or -1 (the last day) to -31", short_repr(day))
        for place, day in enumerate(calendar.days)
        if type(day) is not int or not 1 <= abs(day) <= 31
    ]
    issues += [
        Issue(f"months[{place}]", "1 to 12", short_repr(month))
        for place, month in enumerate(calendar.months)
        if type(month) is not int or not 1 <= month <= 12
    ]
    issues += [
        Issue(f"without[{place}]", "a date", short_repr(day))
        for place, day in enumerate(calendar.without)
        if type(day) is not date
    ]
    numbers = {name: len(getattr(calendar, name)) for name in ("at", "weekdays", "days", "months")}
    numbers["without"] = len(calendar.without)
    issues += [
        Issue(name, f"at most {DATES_MAX}", f"{number}")
        for name, number in numbers.items()
        if number > DATES_MAX
    ]
    if issues:
        raise _refuse("Calendar", *issues)


@final
@frozen
class Calendar:
    """Times of day on the dates that fit: `Calendar(at=(time(9), time(17, 30)), days=(-1,))`.

    *at*: the times of day, in the zone *tz*. A date fits if its weekday is one of *weekdays*
    (`MON` to `SUN`), its day of the month one of *days* (-1 is the last one), and its month one of
    *months*; where one of these is empty, any fits. *without*: dates that do not fit, such as
    public holidays. Raises `Violated`, which names each field.
    """

    at: tuple[time, ...] = field(converter=_to_tuple)
    tz: str = field(default="UTC", validator=_check_zone)
    weekdays: tuple[Weekday, ...] = field(default=(), converter=_to_tuple)
    days: tuple[Annotated[int, Ge(-31), Le(31)], ...] = field(default=(), converter=_to_tuple)
    months: tuple[Annotated[int, Ge(1), Le(12)], ...] = field(default=(), converter=_to_tuple)
    # The last field of the rule, so that its validator sees the others.
    without: tuple[date, ...] = field(default=(), converter=_to_tuple, validator=_check_calendar)
    kind: Literal["calendar"] = field(default="calendar", kw_only=True, repr=False)


Spec: TypeAlias = Cron | Every | Calendar
