"""Simulated: schedules with several workers, crashes, wrong clocks and lost messages."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest
from attrs import frozen

from arvo import (
    Commands,
    Complete,
    Event,
    Every,
    OrchestratorContract,
    PauseSchedule,
    Resumable,
    ResumeSchedule,
    Schedule,
    System,
    TimerFired,
    TriggerSchedule,
    Turn,
    Workflow,
    every,
)
from arvo.handlers.schedule.plan import OVERLAPS, Overlap
from arvo.handlers.schedule.signals import SIGNALS, ScheduleSignal
from arvo.testing import World, always, eventually, simulate, sometimes

START: Final = datetime(2026, 1, 1, tzinfo=UTC)
# One each ten seconds, and each second run takes longer than that.
DUE: Final = [START + timedelta(seconds=10 * number) for number in range(1, 7)]
# A clock that jumps ahead must not make an occurrence a missed one.
FOR_EVER: Final = timedelta(days=3_000)


@frozen
class Work:
    """Begin some work."""

    second: int


@frozen
class Worked:
    """The work is done."""


work = OrchestratorContract(
    uri="#/orchestrators/simulated/work",
    name="simulated.work",
    versions={"1.0.0": Workflow(init=Work, complete=Worked)},
)


def take(turn: Turn[None]) -> Commands:
    """Work for 1 or 15 seconds."""
    match turn.event.data:
        case Work(second=second):
            return Schedule("done", after=15 if second % 20 else 1)
        case TimerFired():
            return Complete(Worked())
        case _:
            return None


worker = Resumable(work, {"1.0.0": take})


def scheduled(overlap: Overlap) -> tuple[System, list[Event[Any]]]:
    """Return a system with a schedule of a minute, and the event that begins it."""
    handler = every(
        work["1.0.0"],
        Every(seconds=10),
        lambda at: Work((at - START).seconds),
        overlap=overlap,
        catch_up=FOR_EVER,
        until=DUE[-1],
    )
    return System([handler, worker]), [handler.begin(time=START)]


def each_occurrence_begins_once(world: World) -> bool:
    """No two workers begin the same one."""
    begun = [event.extensions["scheduledtime"] for event in world.sent if event.type == work.type]
    return len(begun) == len(set(begun))


def at_most_one_runs(world: World) -> bool:
    """The policies that say so."""
    runs = [record for record in world.records.values() if record.handler == work.type]
    return sum(record.status == "active" for record in runs) <= 1


def a_run_takes_longer_than_the_interval(world: World) -> bool:
    """Otherwise the policy has nothing to decide."""
    active = {subject for subject, it in world.records.items() if it.status == "active"}
    return any(
        datetime.fromisoformat(event.time) + timedelta(seconds=10) < world.now
        for event in world.sent
        if event.type == work.type and event.subject in active
    )


def all_are_decided(*, all_begin: bool) -> Callable[[World], bool]:
    """Return the check that each occurrence has begun, or is counted as skipped."""

    def each_occurrence_is_decided(world: World) -> bool:
        (state,) = world.states("arvo.orc.schedule.simulated.work").values()
        counts = state["counts"]
        decided = counts["begun"] + (0 if all_begin else counts["skipped"])
        ended = {record.status for record in world.records.values()} <= {"done", "cancelled"}
        return ended and decided == len(DUE) and not world.dead_letters

    return each_occurrence_is_decided


@pytest.mark.promise("I1", "I2", "I7")
@pytest.mark.parametrize("overlap", OVERLAPS)
def test_each_occurrence_begins_once_under_every_fault(overlap: Overlap) -> None:
    """I1, I2, I7: crashes, pauses, wrong clocks, copies and losses, with three schedulers."""
    system, events = scheduled(overlap)
    is_single = overlap in ("skip", "buffer")

    simulation = simulate(
        system,
        events,
        checks=[
            always(each_occurrence_begins_once),
            *([always(at_most_one_runs)] if is_single else []),
            eventually(all_are_decided(all_begin=overlap != "skip")),
            sometimes(a_run_takes_longer_than_the_interval),
        ],
        runs=6,
    )

    assert simulation.runs == 6


def test_signals_are_decided_once_under_every_fault() -> None:
    """A trigger begins one run, and nothing that is due in a pause begins."""
    system, (begin,) = scheduled("allow")

    def signal(payload: ScheduleSignal, seconds: int) -> Event[Any]:
        contract = next(each for each in SIGNALS if each.accepted.type is type(payload))
        at = START + timedelta(seconds=seconds)
        to, subject = begin.type, begin.subject
        return contract.accepts(payload, source="com.shop.ops", to=to, subject=subject, time=at)

    def each_trigger_begins_one(world: World) -> bool:
        (state,) = world.states(begin.type).values()
        begun = [event for event in world.sent if event.type == work.type]
        extra = [event for event in begun if event.raw["second"] not in range(0, 61, 10)]
        return state["counts"]["begun"] == len(begun) and len(extra) == 2

    triggers = [signal(TriggerSchedule(), seconds) for seconds in (13, 27)]
    simulate(
        system,
        [begin, *triggers, signal(PauseSchedule(), 33), signal(ResumeSchedule(), 41)],
        checks=[always(each_occurrence_begins_once), eventually(each_trigger_begins_one)],
        runs=6,
    )
