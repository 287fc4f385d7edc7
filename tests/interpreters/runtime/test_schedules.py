"""Schedules: a runtime begins those of its system, and updates them when the code changes."""

from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import wraps
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen

from arvo import (
    Commands,
    Complete,
    DeleteSchedule,
    Every,
    MemoryBackend,
    OrchestratorContract,
    PauseSchedule,
    Record,
    Resumable,
    ResumeSchedule,
    Runtime,
    ScheduleHandler,
    SchedulePlan,
    ScheduleState,
    System,
    TriggerSchedule,
    Turn,
    Unavailable,
    UpdateSchedule,
    Workflow,
    every,
    query,
)
from arvo.core.events.subject import workflow_id_of
from tests.interpreters.runtime.running import within
from tests.interpreters.until import until


@frozen
class Clean:
    """Begin to clean."""

    room: str


@frozen
class Cleaned:
    """The room is clean."""

    room: str


clean = OrchestratorContract(
    uri="#/orchestrators/clean",
    name="hotel.clean",
    versions={"1.0.0": Workflow(init=Clean, complete=Cleaned)},
)


def take_turn(turn: Turn[None]) -> Commands:
    """Clean at once."""
    match turn.event.data:
        case Clean(room=room):
            return Complete(Cleaned(room))
        case _:
            return None


cleaning = Resumable(clean, {"1.0.0": take_turn})


def schedule(weeks: int = 500, **options: Any) -> ScheduleHandler:
    """Make a schedule that is never due in a test."""
    return every(clean["1.0.0"], Every(weeks=weeks), Clean("hall"), **options)


Test = Callable[[Path], Coroutine[Any, Any, None]]


def finished(function: Test) -> Callable[[Path], None]:
    """Run an async test, for a minute at most."""

    @wraps(function)
    def test(tmp_path: Path) -> None:
        within(function(tmp_path))

    return test


@asynccontextmanager
async def working(handler: ScheduleHandler, path: Path) -> AsyncIterator[Runtime]:
    """Start a runtime on a file, as a deploy does, and wait until its schedule has begun."""
    async with Runtime(System([handler, cleaning]), f"sqlite:///{path}/hotel.db") as runtime:
        await runtime.drain(timeout=30)
        yield runtime


async def record_of(runtime: Runtime, handler: ScheduleHandler) -> Record:
    """Return the record of the schedule."""
    record = await runtime.record(handler.name)
    assert record is not None
    return record


async def state_of(runtime: Runtime, handler: ScheduleHandler) -> ScheduleState:
    """Return the state of the schedule."""
    state = query(handler, await record_of(runtime, handler))
    assert isinstance(state, ScheduleState)
    return state


@finished
async def test_a_schedule_begins_with_the_first_runtime_and_once(tmp_path: Path) -> None:
    """The user puts it into the system, and sends nothing."""
    handler = schedule()
    async with working(handler, tmp_path) as first, working(handler, tmp_path) as second:
        records = [await record_of(runtime, handler) for runtime in (first, second)]
        assert records[0] == records[1]
        assert records[0].revision == 1
        assert not await first.dead_letters()

    async with working(handler, tmp_path) as third:
        assert await record_of(third, handler) == records[0]
        assert (await third.drain(timeout=30)).duplicates == 0


@finished
async def test_a_plan_that_has_changed_in_the_code_is_an_update(tmp_path: Path) -> None:
    """It is the same schedule, with all that it remembers, and not a second one."""
    async with working(schedule(), tmp_path) as runtime:
        await runtime.signal("hotel.clean", TriggerSchedule())
        await runtime.drain(timeout=30)

    changed = schedule(weeks=300, overlap="buffer")
    async with working(changed, tmp_path) as first, working(changed, tmp_path) as second:
        state = await state_of(second, changed)
        assert state.plan == changed.plan
        assert state.counts.begun == 1
        assert (await record_of(first, changed)).revision == 4
        assert len(await first.workflows(type=changed.source)) == 1


@finished
async def test_what_an_operator_has_changed_stays_until_the_code_changes(tmp_path: Path) -> None:
    """A restart is no reason to undo what someone did at night."""
    handler, other = schedule(), SchedulePlan(spec=Every(weeks=400))
    async with working(handler, tmp_path) as runtime:
        await runtime.signal("hotel.clean", UpdateSchedule(other))
        await runtime.signal("hotel.clean", PauseSchedule("moths"))
        await runtime.drain(timeout=30)

    async with working(handler, tmp_path) as runtime:
        state = await state_of(runtime, handler)
        assert (state.plan, state.paused) == (other, "moths")

    changed = schedule(weeks=300)
    async with working(changed, tmp_path) as runtime:
        state = await state_of(runtime, changed)
        assert (state.plan, state.paused) == (changed.plan, "moths")


@finished
async def test_a_deleted_schedule_comes_back_with_another_plan_only(
    tmp_path: Path,
) -> None:
    """The code still has it: an old process that restarts must not bring it back."""
    handler = schedule()
    async with working(handler, tmp_path) as runtime:
        await runtime.signal("hotel.clean", DeleteSchedule())
        await runtime.drain(timeout=30)

    async with working(handler, tmp_path) as runtime:
        assert (await record_of(runtime, handler)).status == "done"

    changed = schedule(weeks=300)
    async with working(changed, tmp_path) as first, working(changed, tmp_path) as second:
        assert (await record_of(second, changed)).status == "active"
        assert not await first.dead_letters()


@finished
async def test_the_turns_of_a_schedule_replay_equally(tmp_path: Path) -> None:
    """What a turn decides by its time, it decides by the same time again."""
    handler, other = schedule(), SchedulePlan(spec=Every(hours=1), jitter=timedelta(minutes=9))
    async with working(handler, tmp_path) as runtime:
        for signal in (TriggerSchedule(), PauseSchedule(), UpdateSchedule(other), ResumeSchedule()):
            await runtime.signal("hotel.clean", signal)
            await runtime.drain(timeout=30)

        replayed = await runtime.replay("hotel.clean")
        assert replayed.agrees, str(replayed)
        assert len(replayed.turns) == 6


@finished
async def test_a_run_of_a_schedule_is_found_by_its_time(tmp_path: Path) -> None:
    """An operator looks for the run of last night."""
    handler = schedule(jitter=timedelta(seconds=1))
    async with working(handler, tmp_path) as runtime:
        signal = await runtime.signal("hotel.clean", TriggerSchedule())
        await runtime.drain(timeout=30)

        (run,) = await runtime.workflows(type=cleaning.source)
        tree = await runtime.tree("hotel.clean")
        assert [each.subject for each in tree.children] == [run.record.subject]
        assert run.record.status == "done"
        assert workflow_id_of(run.record.subject).startswith(f"hotel.clean/{signal.time[:19]}Z-")


def test_a_schedule_begins_as_soon_as_the_backend_is_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A database that starts after the worker is no reason to lose a schedule."""
    monkeypatch.setattr("arvo.interpreters.services.schedules.RETRY_SECONDS", 0.001)
    handler, load, refusals = schedule(), MemoryBackend.load, [1, 2]

    async def refuse(backend: MemoryBackend, subject: str) -> Record | None:
        if refusals:
            raise Unavailable(f"no connection {refusals.pop()}")
        return await load(backend, subject)

    monkeypatch.setattr(MemoryBackend, "load", refuse)

    async def go() -> None:
        async with Runtime(System([handler, cleaning])) as runtime:

            async def has_begun() -> bool:
                return bool(await runtime.workflows())

            await until(has_begun)

    within(go())
