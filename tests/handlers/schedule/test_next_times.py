"""Next times: the occurrences of a schedule, with the days on which the clock changes."""

from datetime import UTC, date, datetime, time, timedelta
from itertools import islice, pairwise

import pytest

from arvo.core.violations.violation import Violated
from arvo.handlers.schedule.next_times import next_times
from arvo.handlers.schedule.spec import Calendar, Cron, Every, Spec

BERLIN = "Europe/Berlin"
# The clock in Berlin goes from 2:00 to 3:00 on the 29th of March 2026, back on the 25th of October.
BEFORE_SPRING = datetime(2026, 3, 28, 12, tzinfo=UTC)
BEFORE_AUTUMN = datetime(2026, 10, 24, 12, tzinfo=UTC)
JANUARY = datetime(2026, 1, 1, tzinfo=UTC)


def texts(spec: Spec, after: datetime, number: int) -> list[str]:
    """Return the first occurrences as text."""
    return [each.isoformat() for each in islice(next_times(spec, after), number)]


def test_working_days_at_nine_are_at_nine_in_summer_and_in_winter() -> None:
    """The user gave a zone so that the hour on the wall stays."""
    cron = Cron("0 9 * * MON-FRI", tz=BERLIN)

    assert texts(cron, datetime(2026, 3, 26, 12, tzinfo=UTC), 2) == [
        "2026-03-27T09:00:00+01:00",
        "2026-03-30T09:00:00+02:00",
    ]


@pytest.mark.parametrize(
    "spec",
    [Cron("30 2 * * *", tz=BERLIN), Calendar(at=(time(2, 30),), tz=BERLIN)],
    ids=["cron", "calendar"],
)
def test_a_time_that_the_clock_skips_occurs_at_the_end_of_the_gap(spec: Spec) -> None:
    """A daily report that is left out once a year is missed."""
    assert texts(spec, BEFORE_SPRING, 2) == [
        "2026-03-29T03:00:00+02:00",
        "2026-03-30T02:30:00+02:00",
    ]


@pytest.mark.parametrize(
    "spec",
    [Cron("30 2 * * *", tz=BERLIN), Calendar(at=(time(2, 30),), tz=BERLIN)],
    ids=["cron", "calendar"],
)
def test_a_time_that_the_clock_repeats_occurs_the_first_time(spec: Spec) -> None:
    """A daily payment that is made twice once a year is an incident."""
    assert texts(spec, BEFORE_AUTUMN, 2) == [
        "2026-10-25T02:30:00+02:00",
        "2026-10-26T02:30:00+01:00",
    ]
    between = datetime(2026, 10, 25, 1, 10, tzinfo=UTC)  # 2:10 for the second time
    assert texts(spec, between, 1) == ["2026-10-26T02:30:00+01:00"]


def test_two_times_that_a_gap_moves_to_one_moment_are_one_occurrence() -> None:
    """Each occurrence has a workflow id of its own, which follows from its time."""
    calendar = Calendar(at=(time(2, 10), time(2, 40), time(3)), tz=BERLIN)

    assert texts(calendar, datetime(2026, 3, 29, tzinfo=UTC), 2) == [
        "2026-03-29T03:00:00+02:00",
        "2026-03-30T02:10:00+02:00",
    ]


def test_an_expression_that_begins_with_a_star_counts_the_hours_as_they_pass() -> None:
    """Every half hour is every half hour, also in the hour that the clock repeats or skips."""
    half_hours = Cron("*/30 * * * *", tz=BERLIN)

    spring = list(islice(next_times(half_hours, datetime(2026, 3, 29, tzinfo=UTC)), 8))
    autumn = list(islice(next_times(half_hours, datetime(2026, 10, 25, tzinfo=UTC)), 8))

    for times in (spring, autumn):
        moments = [each.astimezone(UTC) for each in times]
        assert {b - a for a, b in pairwise(moments)} == {timedelta(minutes=30)}


def test_a_span_has_the_same_times_whenever_one_asks() -> None:
    """Two workers that start at different times agree on every occurrence."""
    hourly = Every(hours=1, offset=timedelta(minutes=10))

    assert texts(hourly, JANUARY, 2) == ["2026-01-01T00:10:00+00:00", "2026-01-01T01:10:00+00:00"]
    assert texts(hourly, JANUARY + timedelta(minutes=10), 1) == ["2026-01-01T01:10:00+00:00"]


def test_a_calendar_takes_the_last_working_day_out_of_the_holidays() -> None:
    """What cron cannot say: the last day of a quarter that is no holiday, at two times."""
    calendar = Calendar(
        at=(time(17), time(9)), days=(-1,), months=(3, 12), without=(date(2026, 12, 31),)
    )

    assert texts(calendar, JANUARY, 3) == [
        "2026-03-31T09:00:00+00:00",
        "2026-03-31T17:00:00+00:00",
        "2027-03-31T09:00:00+00:00",
    ]


def test_a_rule_that_no_date_fits_has_no_occurrence() -> None:
    """The search ends."""
    assert texts(Calendar(at=(time(0),), days=(30,), months=(2,)), JANUARY, 1) == []


@pytest.mark.parametrize("spec", [Cron("0 0 1 1 *"), Every(days=300), Calendar(at=(time(0),))])
def test_the_occurrences_end_with_the_years(spec: Spec) -> None:
    """Python has no year 10000."""
    last = [*next_times(spec, datetime(9998, 12, 1, tzinfo=UTC))]

    assert last
    assert {each.year for each in last} <= {9998, 9999}


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: Cron("0 0 30 2 *"), "expression: expected five fields"),
        (lambda: Cron("0 0 * *"), "Wrong number of fields"),
        (lambda: Cron(5), "expression: expected five fields"),  # type: ignore[arg-type]
        (lambda: Cron("* * * * *", tz="Europe/Atlantis"), "tz: expected a time zone"),
        (lambda: Cron("* * * * *", tz="../etc/passwd"), "tz: expected a time zone"),
        (lambda: Cron("* * * * *", tz=""), "tz: expected a time zone"),
        (Every, "interval: expected 1 second"),
        (lambda: Every(weeks=10**12), "interval: expected 1 second"),
        (lambda: Every(minutes=1, offset=timedelta(minutes=1)), "offset: expected a timedelta"),
        (lambda: Calendar(at=()), "at: expected one time of day"),
        (lambda: Calendar(at=(time(0, 0, 0, 1),)), "at[0]: expected a time of day"),
        (lambda: Calendar(at=(time(0),), days=(0,)), "days[0]: expected 1 to 31"),
        (lambda: Calendar(at=(time(0),), months=(13,)), "months[0]: expected 1 to 12"),
        (lambda: Calendar(at=(time(0),), weekdays=("monday",)), "weekdays[0]: expected one of"),
        (lambda: Calendar(at=(time(0),), without=(JANUARY,)), "without[0]: expected a date"),
        (lambda: next_times("* * * * *", JANUARY), "spec: expected a Cron"),  # type: ignore[arg-type]
        (lambda: next_times(Every(days=1), JANUARY.replace(tzinfo=None)), "after: expected"),
    ],
)
def test_a_spec_that_cannot_be_read_names_its_field(make: object, text: str) -> None:
    """It is refused where it is written, and not at night when it would be due."""
    assert callable(make)
    with pytest.raises(Violated) as refused:
        print(make())

    assert text in str(refused.value)
