"""Schedules: worker processes that begin schedules of every policy, and the check of their runs."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import takewhile
from typing import Any, Final

from attrs import frozen

from arvo import (
    Client,
    Commands,
    Complete,
    DeleteSchedule,
    Every,
    OrchestratorContract,
    Resumable,
    Schedule,
    ScheduleState,
    System,
    TimerFired,
    Turn,
    Workflow,
    every,
    next_times,
)
from arvo.core.events.subject import workflow_id_of
from arvo.handlers.schedule.plan import OVERLAPS
from tests.interpreters.until import until
from tests.processes.worker import work

# How long the processes may take in all: a loaded machine is slow.
TIMEOUT_SECONDS: Final = 180.0
SPEC: Final = Every(seconds=1)
# Some runs are over before the next one is due, and some are not.
RUN_SECONDS: Final = (0.1, 1.2)


@frozen
class Work:
    """Begin some work."""

    at: datetime


@frozen
class Worked:
    """The work is done."""


job = OrchestratorContract(
    uri="#/processes/work",
    name="processes.work",
    versions={"1.0.0": Workflow(init=Work, complete=Worked)},
)


def take(turn: Turn[None]) -> Commands:
    """Work for a while."""
    match turn.event.data:
        case Work(at=at):
            return Schedule("done", after=RUN_SECONDS[at.second % 2])
        case TimerFired():
            return Complete(Worked())
        case _:
            return None


schedules = [
    every(job["1.0.0"], SPEC, Work, name=f"processes.{overlap.partition('_')[0]}", overlap=overlap)
    for overlap in OVERLAPS
]
system = System([*schedules, Resumable(job, {"1.0.0": take})])


def run_worker(url: str, report: Callable[[], None]) -> None:
    """Work on a backend until SIGTERM; call *report* when it works."""
    asyncio.run(work(system, url, report))


async def count_begun(client: Client) -> list[int]:
    """Return how many runs each schedule has begun, 0 for one that has not begun itself."""
    records = [await client.record(schedule.name) for schedule in schedules]
    states: list[Any] = [None if record is None else record.state for record in records]
    return [0 if state is None else state["counts"]["begun"] for state in states]


async def end_schedules(client: Client) -> None:
    """Delete the schedules, and wait until their last runs have ended."""
    for schedule in schedules:
        await client.signal(schedule.name, DeleteSchedule(), id=f"end-{schedule.name}")

    async def is_over() -> bool:
        return not await client.workflows(status="active") and not (await client.depth()).total

    await until(is_over, pause=0.05)


async def check(client: Client) -> None:
    """Check that each occurrence has begun once, or was left out as the policy says."""
    ids = [workflow_id_of(each.record.subject) for each in await client.workflows(limit=10_000)]
    assert not await client.dead_letters()
    assert len(ids) == len(set(ids))
    for schedule in schedules:
        state: ScheduleState = await client.query(schedule.name)
        first, *_ = await client.history(schedule.name)
        assert first.event is not None
        began = datetime.fromisoformat(first.event.time)
        due = [*takewhile(lambda at, last=state.after: at <= last, next_times(SPEC, began))]  # type: ignore[misc]
        names = [f"{schedule.name}/{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}" for at in due]
        begun = [name for name in names if name in ids]
        waiting, counts = len(state.buffered), state.counts
        assert (counts.missed, counts.repeated, counts.failed) == (0, 0, 0)
        assert len(begun) == counts.begun
        assert len(begun) + counts.skipped + waiting == len(due)
        if schedule.plan.overlap in ("allow", "cancel_previous"):
            assert begun == names
        elif schedule.plan.overlap == "buffer":
            assert begun == names[: len(names) - waiting]
        assert {id_ for id_ in ids if id_.startswith(f"{schedule.name}/")} == set(begun)
