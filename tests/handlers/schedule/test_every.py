"""Every: a schedule as a workflow, in virtual time."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from attrs import evolve, frozen

from arvo import (
    Commands,
    Complete,
    Cron,
    Event,
    Every,
    Fail,
    OrchestratorContract,
    Resumable,
    Schedule,
    System,
    TimerFired,
    Trace,
    Turn,
    Violated,
    Workflow,
    every,
    query,
    run,
)
from arvo.core.events.subject import workflow_id_of
from arvo.handlers.schedule.handler import ScheduleHandler
from arvo.handlers.schedule.plan import (
    Overlap,
    ScheduleCounts,
    SchedulePlan,
    ScheduleState,
)
from arvo.handlers.schedule.signals import (
    SIGNALS,
    BackfillSchedule,
    DeleteSchedule,
    PauseSchedule,
    ResumeSchedule,
    ScheduleSignal,
    TriggerSchedule,
    UpdateSchedule,
)

NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


@frozen
class Report:
    """Begin a report, which takes some minutes."""

    day: str
    minutes: int = 0


@frozen
class Reported:
    """The report is sent."""

    day: str


report = OrchestratorContract(
    uri="#/orchestrators/report",
    name="report.send",
    versions={"1.0.0": Workflow(init=Report, complete=Reported)},
)


def send(turn: Turn[None]) -> Commands:
    """Send a report after its minutes; one of "never" fails."""
    match turn.event.data:
        case Report(day="never"):
            return Fail("no paper")
        case Report(day=day, minutes=minutes):
            return Schedule("sent", after=timedelta(minutes=minutes), payload={"day": day})
        case TimerFired(payload={"day": day}):
            return Complete(Reported(day))
        case _:
            return None


reports = Resumable(report, {"1.0.0": send})


def hourly(minutes: int = 0, **options: Any) -> ScheduleHandler:
    """Make a schedule of a report each hour, which takes some minutes."""
    return every(report["1.0.0"], Every(hours=1), Report("today", minutes), **options)


def signal(handler: ScheduleHandler, at: datetime, payload: ScheduleSignal) -> Event[Any]:
    """Make a signal for the schedule *handler* that comes at a time."""
    contract = next(each for each in SIGNALS if each.accepted.type is type(payload))
    return contract.accepts(
        payload,
        source="com.shop.operator",
        to=handler.source,
        subject=handler.begin().subject,
        time=at,
    )


def play(handler: ScheduleHandler, hours: float, *signals: tuple[float, ScheduleSignal]) -> Trace:
    """Run a schedule for some hours from the new year, with signals at their hours."""
    events = [signal(handler, NEW_YEAR + HOUR * at, each) for at, each in signals]
    begin = handler.begin(time=NEW_YEAR + timedelta(minutes=1))
    return run(System([handler, reports]), begin, *events, until=NEW_YEAR + HOUR * hours)


def state_of(handler: ScheduleHandler, trace: Trace) -> ScheduleState:
    """Return the state of the schedule after a run."""
    state = query(handler, trace.records[trace.root.subject])
    assert isinstance(state, ScheduleState)
    return state


def statuses(trace: Trace) -> Mapping[str, str]:
    """Return the status of each run of the report, by its workflow id without the name."""
    return {
        workflow_id_of(subject).partition("/")[2]: record.status
        for subject, record in trace.records.items()
        if record.handler == reports.source
    }


def hour(number: int) -> str:
    """Return the end of a workflow id."""
    return f"2026-01-01T{number:02}:00:00Z"


def test_each_occurrence_begins_a_workflow_with_an_id_of_its_own() -> None:
    """The id follows from schedule and time, so any number of workers begin it once."""
    handler = hourly()
    trace = play(handler, 3)

    assert statuses(trace) == {hour(1): "done", hour(2): "done", hour(3): "done"}
    assert state_of(handler, trace).counts == ScheduleCounts(begun=3, completed=3)
    assert state_of(handler, trace).next_time == NEW_YEAR + 4 * HOUR


def test_years_pass_in_a_run() -> None:
    """A schedule is tested like any function; five years take a moment."""
    handler = every(
        report["1.0.0"],
        Cron("0 9 1 * *", tz="Europe/Berlin"),
        lambda at: Report(at.date().isoformat()),
    )
    until = datetime(2031, 1, 1, tzinfo=UTC)

    trace = run(System([handler, reports]), handler.begin(time=NEW_YEAR), until=until)

    days = [event.data.day for event in trace.events if isinstance(event.data, Report)]
    assert days[:2] == ["2026-01-01", "2026-02-01"]
    assert len(days) == 5 * 12
    record = trace.records[trace.root.subject]
    assert len(record.children) == len(record.answered_requests) == handler.children_max


def test_the_first_event_of_a_run_has_the_time_of_its_occurrence() -> None:
    """A report of yesterday must know which day it is, also when it begins late."""
    trace = play(hourly(), 1)

    (begun,) = [event for event in trace.events if event.type == reports.source]
    assert begun.extensions["scheduledtime"] == "2026-01-01T01:00:00+00:00"


@pytest.mark.parametrize(
    ("overlap", "expected", "counts"),
    [
        (
            "skip",
            {hour(1): "done", hour(3): "done", hour(5): "active"},
            ScheduleCounts(begun=3, completed=2, skipped=2),
        ),
        (
            "buffer",
            {hour(1): "done", hour(2): "done", hour(3): "done", hour(4): "active"},
            ScheduleCounts(begun=4, completed=3),
        ),
        (
            "cancel_previous",
            {hour(each): "cancelled" for each in range(1, 5)} | {hour(5): "active"},
            ScheduleCounts(begun=5),
        ),
        (
            "allow",
            {hour(each): "done" for each in range(1, 4)} | {hour(4): "active", hour(5): "active"},
            ScheduleCounts(begun=5, completed=3),
        ),
    ],
)
def test_the_policy_decides_what_is_due_while_a_run_goes_on(
    overlap: Overlap, expected: Mapping[str, str], counts: ScheduleCounts
) -> None:
    """A report takes 80 minutes, and one is due each hour."""
    handler = hourly(minutes=80, overlap=overlap)
    trace = play(handler, 5.1)

    assert statuses(trace) == expected
    assert state_of(handler, trace).counts == counts


def test_a_run_that_fails_does_not_stop_the_schedule() -> None:
    """The next night is another chance."""
    handler = every(report["1.0.0"], Every(hours=1), Report("never"))
    trace = play(handler, 2)

    assert set(statuses(trace).values()) == {"failed"}
    assert state_of(handler, trace).counts == ScheduleCounts(begun=2, failed=2)


def test_a_schedule_ends_after_its_last_occurrence() -> None:
    """The last one is that at *until* itself."""
    handler = hourly(minutes=5, until=NEW_YEAR + 2 * HOUR)
    trace = play(handler, 9)

    assert statuses(trace) == {hour(1): "done", hour(2): "done"}
    assert trace.records[trace.root.subject].status == "done"
    assert trace.at_rest


def test_jitter_moves_each_occurrence_by_the_same_span_each_time() -> None:
    """A thousand schedules at midnight do not begin in the same second."""
    handler = hourly(jitter=timedelta(minutes=10))
    first, second = play(handler, 3.5), play(handler, 3.5)

    begun = [
        datetime.fromisoformat(event.time) for event in first.events if event.type == reports.source
    ]
    late = [at - NEW_YEAR - number * HOUR for number, at in enumerate(begun, start=1)]
    assert all(timedelta() <= span < timedelta(minutes=10) for span in late)
    assert len(set(late)) == 3
    assert first.events == second.events
    assert list(statuses(first)) == [hour(1), hour(2), hour(3)]


def test_an_outage_is_caught_up_as_far_as_the_schedule_says() -> None:
    """No worker ran for a day: the hours of the last two are begun, the others are missed."""
    handler = hourly(catch_up=2 * HOUR, overlap="allow")
    system = System([handler, reports])
    before = play(handler, 1)
    back = NEW_YEAR + timedelta(hours=25, minutes=30)

    trace = run(
        system,
        signal(handler, back, TriggerSchedule()),
        records=before.records,
        now=back,
        until=back,
    )

    state = state_of(handler, trace)
    assert sorted(statuses(trace))[1:3] == ["2026-01-02T00:00:00Z", "2026-01-02T01:00:00Z"]
    assert state.counts == ScheduleCounts(begun=4, completed=4, missed=22)
    assert state.next_time == NEW_YEAR + 26 * HOUR


def test_a_schedule_that_is_paused_begins_nothing_and_goes_on_after_it() -> None:
    """The occurrences of the pause are left out."""
    handler = hourly()
    trace = play(handler, 6, (1.5, PauseSchedule("incident")), (4.5, ResumeSchedule()))
    paused = play(handler, 4, (1.5, PauseSchedule("incident")))

    assert list(statuses(trace)) == [hour(1), hour(5), hour(6)]
    assert state_of(handler, paused).paused == "incident"
    assert state_of(handler, paused).next_time is None


def test_a_trigger_begins_a_run_at_once_and_once() -> None:
    """Also while the schedule is paused; a copy of the signal begins nothing."""
    handler = hourly()
    begin = handler.begin(time=NEW_YEAR)
    pause = signal(handler, NEW_YEAR + timedelta(minutes=10), PauseSchedule())
    trigger = signal(handler, NEW_YEAR + timedelta(minutes=30), TriggerSchedule())
    until = NEW_YEAR + 2 * HOUR

    trace = run(System([handler, reports]), begin, pause, trigger, trigger, until=until)

    (id_,) = statuses(trace)
    assert id_.startswith("2026-01-01T00:30:00Z-")


def test_a_trigger_obeys_the_overlap_policy() -> None:
    """Who said that two must never run at once has said it of triggers, too."""
    trace = play(hourly(minutes=30), 1.2, (1.1, TriggerSchedule()))

    assert list(statuses(trace)) == [hour(1)]


def test_a_backfill_begins_past_occurrences_one_after_the_other_and_none_twice() -> None:
    """Yesterday's are begun, in order; the one that has run before is not begun again."""
    handler = hourly(minutes=5)
    start = NEW_YEAR - timedelta(hours=3, minutes=30)
    trace = play(handler, 2.5, (1.5, BackfillSchedule(start, NEW_YEAR + 9 * HOUR)))

    assert list(statuses(trace)) == [
        hour(1),
        *("2025-12-31T21:00:00Z", "2025-12-31T22:00:00Z", "2025-12-31T23:00:00Z", hour(0)),
        hour(2),
    ]
    state = state_of(handler, trace)
    assert state.backfills == ()
    assert state.counts == ScheduleCounts(begun=7, completed=6, repeated=1)


@pytest.mark.parametrize("overlap", ["skip", "buffer", "cancel_previous"])
def test_what_is_due_during_a_backfill_waits_for_the_run_in_progress(overlap: Overlap) -> None:
    """A long backfill takes no present occurrence away, and the present one goes first."""
    handler = hourly(minutes=25, overlap=overlap)
    start = NEW_YEAR - timedelta(hours=3, minutes=30)
    trace = play(handler, 4.9, (1.7, BackfillSchedule(start, NEW_YEAR)))

    assert list(statuses(trace)) == [
        *(hour(1), "2025-12-31T21:00:00Z", hour(2), "2025-12-31T22:00:00Z"),
        *("2025-12-31T23:00:00Z", hour(3), hour(0), hour(4)),
    ]
    assert state_of(handler, trace).counts.skipped == 0


def test_an_update_replaces_the_plan_for_what_follows() -> None:
    """The payload of an update is checked against the contract of the workflow."""
    handler = hourly()
    daily = SchedulePlan(spec=Every(hours=2), payload={"day": "other", "minutes": 0})
    trace = play(handler, 5, (1.5, UpdateSchedule(daily)))
    wrong = evolve(daily, payload={"day": 5})
    refused = play(handler, 5, (1.5, UpdateSchedule(wrong)))

    assert list(statuses(trace)) == [hour(1), hour(2), hour(4)]
    days = [event.data.day for event in trace.events if isinstance(event.data, Report)]
    assert days == ["today", "other", "other"]
    (violation,) = refused.violations
    assert "plan.payload.day: expected a string" in str(violation)
    assert len(statuses(refused)) == 5


def test_an_update_by_the_code_counts_only_if_the_code_has_changed() -> None:
    """An operator has changed the plan since; a restart of the same code leaves that as it is."""
    handler = hourly()
    other = SchedulePlan(spec=Every(hours=2), payload={"day": "other", "minutes": 0})
    trace = play(
        handler, 5, (1.2, UpdateSchedule(other)), (1.4, UpdateSchedule(handler.plan, declared=True))
    )
    deployed = play(handler, 5, (1.4, UpdateSchedule(other, declared=True)))

    assert list(statuses(trace)) == list(statuses(deployed)) == [hour(1), hour(2), hour(4)]
    assert state_of(handler, trace).declared == handler.declared
    assert state_of(handler, deployed).declared != handler.declared


def test_a_schedule_that_is_deleted_lets_its_runs_end() -> None:
    """Its report is sent still."""
    handler = hourly(minutes=30)
    trace = play(handler, 5, (1.2, DeleteSchedule()))

    assert statuses(trace) == {hour(1): "done"}
    assert trace.records[trace.root.subject].status == "done"
    assert trace.violations == ()


def test_one_handler_serves_a_schedule_for_each_customer() -> None:
    """Schedules that come and go with data are begun like any workflow."""
    handler = hourly()
    plan = SchedulePlan(spec=Every(hours=3), payload={"day": "ann", "minutes": 0})
    begin = handler.begin(plan, workflow_id="ann", time=NEW_YEAR)

    trace = run(System([handler, reports]), begin, until=NEW_YEAR + 4 * HOUR)

    children = [record for record in trace.records.values() if record.handler == reports.source]
    assert [workflow_id_of(child.subject) for child in children] == [f"ann/{hour(3)}"]


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: every(report, Every(hours=1), Report("x")), "workflow: expected one version"),  # type: ignore[arg-type]
        (lambda: hourly(name="A;B"), "name: expected lower-case segments"),
        (lambda: hourly(name="x" * 201), "name: expected lower-case segments"),
        (lambda: hourly(overlap="queue"), "overlap: expected one of skip, buffer"),
        (lambda: hourly(jitter=-1), "jitter: expected seconds or a timedelta"),
        (lambda: hourly(catch_up=timedelta(days=9_999)), "catch_up: expected a timedelta"),
        (lambda: hourly(until=datetime(2026, 1, 1)), "until: expected a datetime"),  # noqa: DTZ001
        (lambda: every(report["1.0.0"], "0 9 * * *", Report("x")), "spec: expected a Cron"),  # type: ignore[arg-type]
        (lambda: every(report["1.0.0"], Every(hours=1), Report(5)), "payload.day: expected"),  # type: ignore[arg-type]
        (lambda: BackfillSchedule(NEW_YEAR, NEW_YEAR), "end: expected later than the start"),
    ],
)
def test_a_schedule_that_cannot_run_is_refused_where_it_is_written(make: Any, text: str) -> None:
    """Not at night, when it would be due."""
    with pytest.raises(Violated) as refused:
        make()

    assert text in str(refused.value)
