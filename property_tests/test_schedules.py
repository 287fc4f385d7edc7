"""Laws of schedules: their occurrences, and the runs that begin at these."""

from datetime import UTC, datetime, time, timedelta
from functools import partial
from itertools import islice, pairwise, takewhile
from operator import add
from typing import Final

from attrs import frozen
from cronsim import CronSim
from hypothesis import assume, given, reject, settings, strategies

from arvo import (
    Commands,
    Complete,
    Fail,
    OrchestratorContract,
    Resumable,
    Schedule,
    System,
    TimerFired,
    Trace,
    Turn,
    Workflow,
    every,
    query,
    run,
)
from arvo.core.payloads.payload import Payload
from arvo.core.violations.violation import Violated
from arvo.handlers.schedule.next_times import next_times
from arvo.handlers.schedule.plan import Overlap
from arvo.handlers.schedule.spec import WEEKDAYS, Calendar, Cron, Every, Spec

MOMENT: Final = datetime(2026, 1, 1, tzinfo=UTC)
# Among them gaps at midnight, of half an hour, and of a whole day.
ZONES: Final = (
    *("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Asuncion"),
    *("Asia/Kathmandu", "Africa/Casablanca", "Pacific/Apia"),
)
zones = strategies.sampled_from(ZONES)
# Near the changes of the clock, and anywhere.
moments = strategies.one_of(
    *(
        strategies.timedeltas(timedelta(), timedelta(days=days)).map(partial(add, start))
        for start, days in (
            (datetime(2026, 3, 27, tzinfo=UTC), 10),
            (datetime(2026, 10, 1, tzinfo=UTC), 33),
            (datetime(2011, 12, 28, tzinfo=UTC), 5),
            (datetime(2000, 1, 1, tzinfo=UTC), 29_000),
        )
    )
)
times_of_day = strategies.builds(
    time, strategies.integers(0, 23), strategies.sampled_from((0, 10, 15, 30, 45, 59))
)
weekdays = strategies.lists(strategies.sampled_from(WEEKDAYS), unique=True, max_size=3).map(tuple)


def _field(low: int, high: int) -> strategies.SearchStrategy[str]:
    numbers = strategies.integers(low, high)
    return strategies.one_of(
        strategies.just("*"),
        numbers.map(str),
        strategies.lists(numbers, min_size=1, max_size=3).map(
            lambda all_: ",".join(map(str, all_))
        ),
        strategies.sampled_from((2, 5, 7)).map("*/{}".format),
    )


@strategies.composite
def crons(draw: strategies.DrawFn) -> Cron:
    """Draw an expression that can be read, with a zone."""
    fields = [_field(0, 59), _field(0, 23), _field(1, 31), _field(1, 12), _field(0, 7)]
    seconds = [_field(0, 59)] if draw(strategies.booleans()) else []
    try:
        return Cron(" ".join(map(draw, seconds + fields)), draw(zones))
    except Violated:
        # Such as the 31st of February.
        reject()


@strategies.composite
def calendars(draw: strategies.DrawFn) -> Calendar:
    """Draw a calendar."""
    return Calendar(
        at=draw(strategies.lists(times_of_day, min_size=1, max_size=3)),
        tz=draw(zones),
        weekdays=draw(weekdays),
        days=draw(strategies.lists(strategies.sampled_from((1, 15, 29, -1, -2)), max_size=2)),
    )


spans: strategies.SearchStrategy[Spec] = strategies.builds(
    Every,
    hours=strategies.integers(0, 40),
    minutes=strategies.integers(0, 90),
    seconds=strategies.integers(1, 90),
)
specs: strategies.SearchStrategy[Spec] = strategies.one_of(crons(), calendars(), spans)


@given(specs, moments)
def test_occurrences_are_later_than_the_given_time_and_in_order(
    spec: Spec, after: datetime
) -> None:
    """Each one has an id of its own, so two at one moment would be one."""
    times = [each.astimezone(UTC) for each in islice(next_times(spec, after), 6)]

    assert all(first < second for first, second in pairwise([after, *times]))
    assert not any(each.microsecond for each in times)


@given(specs, moments)
def test_a_schedule_goes_on_from_any_occurrence_as_if_it_had_never_stopped(
    spec: Spec, after: datetime
) -> None:
    """A workflow remembers the last occurrence only, and computes the next one from it."""
    times = [*islice(next_times(spec, after), 6)]

    resumed = [next(next_times(spec, each.astimezone(UTC))) for each in times[:-1]]

    assert resumed == times[1:]


@given(specs, moments, strategies.timedeltas(timedelta(), timedelta(days=40)))
def test_the_next_occurrence_is_the_same_from_every_moment_before_it(
    spec: Spec, after: datetime, wait: timedelta
) -> None:
    """It does not matter when a worker looks."""
    first = next(next_times(spec, after), None)
    assume(first is not None)
    assert first is not None
    between = min(after + wait, first.astimezone(UTC) - timedelta(microseconds=1))
    assume(between >= after)

    assert next(next_times(spec, between)) == first


@given(times_of_day, weekdays, zones, moments)
def test_a_calendar_has_the_occurrences_of_the_same_cron_expression(
    at: time, days: tuple[str, ...], tz: str, after: datetime
) -> None:
    """A calendar is ours and cron's reader is not: both change the clock in the same way."""
    calendar = Calendar(at=(at,), tz=tz, weekdays=days)
    cron = Cron(f"{at.minute} {at.hour} * * {','.join(days) or '*'}", tz)

    assert [*islice(next_times(calendar, after), 6)] == [*islice(next_times(cron, after), 6)]


@given(crons(), moments)
def test_every_occurrence_of_an_expression_is_one_of_the_reader_of_cron(
    cron: Cron, after: datetime
) -> None:
    """Nothing is left out either: only what is no later than what was asked, or a repetition."""
    times = [*islice(next_times(cron, after), 6)]
    assume(times)

    zone = times[0].tzinfo
    read = [*islice(CronSim(cron.expression, after.astimezone(zone)), 12)]
    late = [each for each in read if each.astimezone(UTC) > after]
    expected = [*dict.fromkeys(each.isoformat() for each in late)]
    assert [each.isoformat() for each in times] == expected[: len(times)]


@given(strategies.sampled_from((1, 2, 3, 5, 6, 10, 12, 15, 20, 30)), moments)
def test_a_span_that_divides_the_hour_is_the_same_cron_expression(
    minutes: int, after: datetime
) -> None:
    """Users know `*/5`."""
    cron = Cron(f"*/{minutes} * * * *")

    assert [*islice(next_times(Every(minutes=minutes), after), 6)] == [
        *islice(next_times(cron, after), 6)
    ]


@given(
    strategies.text(max_size=30) | strategies.from_regex(r"[0-9*/,#L-]{1,4}( [0-9*/,#L-]{1,4}){4}")
)
def test_a_text_is_an_expression_or_refused(text: str) -> None:
    """Expressions come in by signals."""
    try:
        cron = Cron(text)
    except Violated:
        return

    assert all(isinstance(each, datetime) for each in islice(next_times(cron, MOMENT), 2))


@given(specs)
def test_a_spec_travels_as_json(spec: Spec) -> None:
    """It is the payload of a signal, and a part of the workflow's state."""
    payload = Payload.of(type(spec))
    written = payload.write(spec)

    assert payload.read(written) == spec


@frozen
class Work:
    """Begin some work."""

    at: str


@frozen
class Worked:
    """The work is done."""

    at: str


work = OrchestratorContract(
    uri="#/orchestrators/work",
    name="work",
    versions={"1.0.0": Workflow(init=Work, complete=Worked)},
)
OVERLAPS: Final[tuple[Overlap, ...]] = ("skip", "buffer", "cancel_previous", "allow")
# How long the first, the second … work takes, in minutes; None fails at once.
durations = strategies.lists(
    strategies.none() | strategies.integers(0, 200), min_size=1, max_size=8
).map(tuple)


def _worker(minutes: tuple[int | None, ...]) -> Resumable[None]:
    """Return a workflow whose runs take these minutes, by the hour for which they are."""

    def take(turn: Turn[None]) -> Commands:
        match turn.event.data:
            case Work(at=at):
                takes = minutes[datetime.fromisoformat(at).hour % len(minutes)]
                if takes is None:
                    return Fail("no luck")
                return Schedule("done", after=timedelta(minutes=takes), payload={"at": at})
            case TimerFired(payload={"at": at}):
                return Complete(Worked(at))
            case _:
                return None

    return Resumable(work, {"1.0.0": take})


HOURS: Final = 12


# Each example is a run of half a day.
@settings(max_examples=settings().max_examples // 2)
@given(
    overlap=strategies.sampled_from(OVERLAPS),
    minutes=durations,
    jitter=strategies.integers(0, 90),
    spec=strategies.sampled_from((Every(hours=1), Every(minutes=40), Cron("0,10 * * * *"))),
)
def test_each_occurrence_is_decided_once_by_the_policy(
    overlap: Overlap, minutes: tuple[int | None, ...], jitter: int, spec: Spec
) -> None:
    """It begins, waits, or is left out and counted: none is lost, and none begins twice."""
    handler = every(
        work["1.0.0"],
        spec,
        lambda at: Work(at.isoformat()),
        overlap=overlap,
        jitter=timedelta(minutes=jitter),
        until=MOMENT + timedelta(hours=HOURS),
    )

    trace = run(System([handler, _worker(minutes)]), handler.begin(time=MOMENT))

    record = trace.records[trace.root.subject]
    state = query(handler, record)
    assert state is not None
    begun = [event for event in trace.events if event.type == work.type]
    times = [event.extensions["scheduledtime"] for event in begun]
    due = [each.isoformat() for each in takewhile(_is_within, next_times(spec, MOMENT))]
    assert (trace.violations, record.status) == ((), "done")
    assert len(set(times)) == len(times) == state.counts.begun
    assert times == [each for each in due if each in times]
    assert state.counts.begun + state.counts.skipped == len(due)
    if overlap != "skip":
        assert times == due
    if overlap in ("skip", "buffer"):
        assert _most_at_once(trace) <= 1


def _is_within(at: datetime) -> bool:
    return at <= MOMENT + timedelta(hours=HOURS)


def _most_at_once(trace: Trace) -> int:
    """Return how many runs went on at the same time at most, by the turns of the trace."""
    active, most = set[str](), 0
    for commit in trace.commits:
        if commit.record is not None and commit.record.handler == work.type:
            if commit.record.status == "active":
                active.add(commit.record.subject)
            else:
                active.discard(commit.record.subject)
            most = max(most, len(active))
    return most
