"""Jobs: a workflow that begins one child for each of its names, and ends one when it is told."""

from collections.abc import Sequence
from typing import Any

from attrs import frozen

from arvo import (
    CancelChild,
    Cancellation,
    Commands,
    Complete,
    Contract,
    Emit,
    Event,
    OrchestratorContract,
    Persist,
    Resumable,
    System,
    Trace,
    Turn,
    Version,
    Workflow,
    run,
)
from arvo.core.events.subject import workflow_id_of


@frozen
class Begin:
    names: tuple[str, ...]


@frozen
class Job:
    is_quick: bool


@frozen
class Done:
    reason: str = ""


@frozen
class Stop:
    name: str


boss = OrchestratorContract(
    uri="#/boss", name="boss", versions={"1.0.0": Workflow(init=Begin, complete=Done)}
)
job = OrchestratorContract(
    uri="#/job", name="job", versions={"1.0.0": Workflow(init=Job, complete=Done)}
)
stop = Contract(uri="#/stop", type="com.jobs.stop", versions={"1.0.0": Version(accepts=Stop)})


def lead(turn: Turn[Any]) -> Commands:
    match turn.event.data:
        case Begin(names=names):
            return [Emit(Job(name.startswith("quick")), workflow_id=name) for name in names]
        case Stop(name=name):
            return CancelChild(name, "too slow")
        case _:
            return None


def work(turn: Turn[Any]) -> Commands:
    match turn.event.data:
        case Job(is_quick=True):
            return Complete(Done())
        case Cancellation(reason=reason):
            return Persist({"reason": reason})
        case _:
            return None


bosses = Resumable(boss, {"1.0.0": lead}, services=[job["1.0.0"]], signals=[stop["1.0.0"]])
system = System([bosses, Resumable(job, {"1.0.0": work})])


def begin(names: Sequence[str]) -> Event[Begin]:
    return boss["1.0.0"].init(Begin(tuple(names)), source="com.jobs.web")


def run_jobs(names: Sequence[str], stopped: Sequence[str]) -> Trace:
    """Begin the jobs, and then stop some by name, one after the other."""
    event = begin(names)
    stops = (
        stop["1.0.0"].accepts(
            Stop(name), source="com.jobs.web", to=bosses.source, subject=event.subject
        )
        for name in stopped
    )
    return run(system, event, *stops)


def statuses(trace: Trace) -> dict[str, str]:
    """Return the status of each job by its name."""
    return {
        workflow_id_of(record.subject): record.status
        for record in trace.records.values()
        if record.parent is not None
    }
