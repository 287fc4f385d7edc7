"""Next times: the occurrences of a schedule, computed from its spec."""

from calendar import monthrange
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Final
from zoneinfo import ZoneInfo

from cronsim import CronSim

from arvo.core.violations.arguments import check_argument, check_time
from arvo.handlers.schedule.spec import WEEKDAYS, Calendar, Cron, Every, Spec

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
# A rule that no date fits for so long fits none: the 29th of February is a Monday each 28 years.
_DAYS_MAX: Final = 50 * 366
_MINUTE: Final = timedelta(minutes=1)


def next_times(spec: Spec, after: datetime) -> Iterator[datetime]:
    """Yield the occurrences of a schedule later than *after*, each once, in order.

    They are in the time zone of *spec*, and whole seconds. A time of day that daylight saving skips
    occurs at the end of the gap, and one that it repeats occurs the first time; a cron expression
    whose minute or hour begins with `*` counts the hours as they pass. *after* needs an offset.

    >>> day = datetime(2026, 3, 28, 12, tzinfo=UTC)
    >>> times = next_times(Cron("30 2 * * *", tz="Europe/Berlin"), day)
    >>> [str(next(times)) for _ in range(2)]
    ['2026-03-29 03:00:00+02:00', '2026-03-30 02:30:00+02:00']
    """
    check_argument("spec", spec, Spec, "a Cron, an Every or a Calendar", of="next_times")
    check_argument("after", after, datetime, "a datetime with an offset", of="next_times")
    check_time("after", after, of="next_times")
    return _increasing(spec, after)


def _increasing(spec: Spec, after: datetime) -> Iterator[datetime]:
    try:
        # In UTC: Python compares two times of one zone by the clock on the wall, which repeats an
        # hour.
        last = after.astimezone(UTC)
        for each in _times(spec, after):
            if (at := each.astimezone(UTC)) > last:
                last = at
                yield each
    # Before the year 1, or after the year 9999.
    except (OverflowError, ValueError):
        return


def _times(spec: Spec, after: datetime) -> Iterator[datetime]:
    match spec:
        case Cron(expression=expression, tz=tz):
            return iter(CronSim(expression, after.astimezone(_zone(tz))))
        case Every():
            return _every(spec, after)
        case Calendar():
            return _calendar(spec, after)


def _zone(name: str) -> tzinfo:
    # The library treats this one value as a zone without daylight saving.
    return UTC if name == "UTC" else ZoneInfo(name)


def _every(every: Every, after: datetime) -> Iterator[datetime]:
    interval, start = every.interval, _EPOCH + every.offset
    at = start + ((after - start) // interval + 1) * interval
    while True:
        yield at
        at += interval


def _calendar(calendar: Calendar, after: datetime) -> Iterator[datetime]:
    zone, times = _zone(calendar.tz), sorted(set(calendar.at))
    # A day earlier, because a gap may move the last time of a day to the next one.
    day, unfit = after.astimezone(zone).date() - timedelta(days=1), 0
    while unfit < _DAYS_MAX:
        if _fits(calendar, day):
            yield from (_resolve(day, at, zone) for at in times)
            unfit = 0
        unfit, day = unfit + 1, day + timedelta(days=1)


def _fits(calendar: Calendar, day: date) -> bool:
    if calendar.months and day.month not in calendar.months:
        return False
    if calendar.weekdays and WEEKDAYS[day.weekday()] not in calendar.weekdays:
        return False
    if calendar.days:
        _, last = monthrange(day.year, day.month)
        if not {day.day, day.day - last - 1}.intersection(calendar.days):
            return False
    return day not in calendar.without


def _resolve(day: date, at: time, zone: tzinfo) -> datetime:
    """Return a time of day on a date; where the clock skips it, the end of the gap."""
    local = datetime.combine(day, at, zone)
    if _exists(local):
        return local
    local = local.replace(second=0)
    while not _exists(local):
        local += _MINUTE
    return local


def _exists(local: datetime) -> bool:
    return local == local.astimezone(UTC).astimezone(local.tzinfo)
