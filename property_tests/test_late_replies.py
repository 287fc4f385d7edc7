"""Laws of late replies: a failure in the middle of a gather loses no reply of the others."""

from collections import deque
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias

import pytest
from attrs import define, evolve, frozen
from hypothesis import event as note
from hypothesis import given
from hypothesis import strategies as st

from arvo import (
    Commands,
    Commit,
    Complete,
    Contract,
    Emit,
    Event,
    Flow,
    Machine,
    Orchestrator,
    OrchestratorContract,
    Persist,
    Record,
    Resumable,
    System,
    Turn,
    Version,
    Workflow,
    ask,
    flow,
    gather,
)
from arvo.engine.history.revive import replies_after_failure, revived_record
from arvo.engine.step.step import step_plain
from arvo.statechart import State, Transition, assign, emit

NOW: Final = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
TIME: Final = NOW.isoformat(timespec="milliseconds")


@frozen
class Count:
    branches: int


@frozen
class Ask:
    n: int


@frozen
class Answer:
    n: int


@frozen
class Counted:
    numbers: tuple[int, ...]


service = Contract(
    uri="#/late/service",
    type="com.late.service",
    versions={"1.0.0": Version(accepts=Ask, emits={"evt.late.answer": Answer})},
)["1.0.0"]
workflow = OrchestratorContract(
    uri="#/late/workflow",
    name="late",
    versions={"1.0.0": Workflow(init=Count, complete=Counted)},
)
# Raises for the number of a branch that fails for now.
Check: TypeAlias = Callable[[int], None]


def as_flow(check: Check) -> Any:
    @flow(workflow, "1.0.0", services=[service])
    def count(event: Event[Count]) -> Flow[Counted]:
        def branch(number: int) -> Flow[int]:
            answer = yield from ask(Ask(number), Answer)
            check(answer.n)
            return answer.n

        numbers = yield from gather(*map(branch, range(event.data.branches)))
        return Counted(tuple(numbers))

    return count


@frozen
class Progress:
    branches: int
    numbers: tuple[int, ...] = ()
    asked: int = 0


def as_resumable(check: Check) -> Any:
    def count(turn: Turn[Progress]) -> Commands:
        match turn.event.data:
            case Count(branches=branches):
                return Persist(Progress(branches)), *(Emit(Ask(n)) for n in range(branches))
            case Answer(n=n):
                check(n)
                numbers = tuple(sorted((*turn.state.numbers, n)))
                if len(numbers) == turn.state.branches:
                    return Complete(Counted(numbers))
                return Persist(evolve(turn.state, numbers=numbers))
            case _:
                return None

    return Resumable(workflow, {"1.0.0": count}, services=[service], state=Progress)


def as_orchestrator(check: Check) -> Any:
    def add(context: Progress, event: Any) -> Progress:
        check(event.data.n)
        return evolve(context, numbers=tuple(sorted((*context.numbers, event.data.n))))

    def begun(event: Event[Count]) -> Progress:
        return Progress(event.data.branches)

    def ask_next(context: Progress, event: Any) -> Progress:
        return evolve(context, asked=context.asked + 1)

    machine = Machine(
        contract=workflow["1.0.0"],
        services=[service],
        context=begun,
        initial="asking",
        states={
            "asking": State(
                always=[
                    Transition(
                        "asking",
                        guard=lambda c, e: c.asked < c.branches,
                        actions=[emit(lambda c, e: Emit(Ask(c.asked))), assign(ask_next)],
                    ),
                    Transition("counting"),
                ]
            ),
            "counting": State(
                on={Answer: Transition(actions=[assign(add)])},
                always=Transition("counted", guard=lambda c, e: len(c.numbers) == c.branches),
            ),
            "counted": State(type="final", output=lambda c, e: Counted(c.numbers)),
        },
    )
    return Orchestrator([machine])


KINDS: Final = {"flow": as_flow, "resumable": as_resumable, "orchestrator": as_orchestrator}


@define
class Case:
    """A workflow with so many *branches*, whose replies come in this *order*, some more than once.

    *failing*: the branches that fail at first. *revived_after*: how many events come after each
    failure until the workflow is revived.
    """

    branches: int
    order: list[int]
    failing: set[int]
    revived_after: int


@st.composite
def cases(draw: st.DrawFn) -> Case:
    branches = draw(st.integers(1, 6))
    copies = draw(st.lists(st.integers(0, branches - 1), max_size=3))
    return Case(
        branches,
        draw(st.permutations([*range(branches), *copies])),
        set(draw(st.sets(st.integers(0, branches - 1), min_size=1, max_size=2))),
        draw(st.integers(0, 8)),
    )


@define
class Play:
    """One run of a workflow. *failing*: the branches that fail at first."""

    failing: set[int]
    outcomes: list[str]
    record: Record | None = None
    completions: Sequence[Event[Any]] = ()
    turn: tuple[Event[Any], ...] = ()

    def check(self, number: int) -> None:
        if number in self.failing:
            raise ConnectionError(f"branch {number} is down")

    def step(self, system: System, event: Event[Any]) -> Commit:
        commit = step_plain(system, event, self.record, now=NOW)
        assert isinstance(commit, Commit), commit
        self.outcomes.append(commit.outcome)
        self.record = commit.record or self.record
        return commit


def play(kind: str, case: Case, failing: set[int]) -> Play:
    """Run a workflow to its end; it is revived after each failure, once more events have come."""
    run = Play(set(failing), [])
    system = System([KINDS[kind](run.check)])
    begin: Event[Any] = workflow["1.0.0"].init(
        Count(case.branches), source="com.late.test", workflow_id="w", time=TIME
    )
    requests = run.step(system, begin).events
    events = deque(_reply(requests[number]) for number in case.order)
    until_revived = 0
    turn: tuple[Event[Any], ...] = (begin,)
    while events or _has_failed(run):
        if _has_failed(run) and (not until_revived or not events):
            assert run.record is not None
            again = (turn[0], *replies_after_failure(run.record))
            revived = revived_record(system, run.record, turn)
            assert isinstance(revived, Record), revived
            run.record = revived
            run.failing.remove(turn[0].data.n)
            events.extendleft(reversed(again))
            continue
        had_failed = _has_failed(run)
        commit = run.step(system, events.popleft())
        until_revived -= 1
        if _has_failed(run) and not had_failed:
            turn, until_revived = (commit.event, *commit.events), case.revived_after
        run.completions = [*run.completions, *(e for e in commit.events if e.type == _DONE)]
    return run


_DONE: Final = workflow["1.0.0"].completion.type


def _has_failed(run: Play) -> bool:
    return run.record is not None and run.record.status == "failed"


def _reply(request: Event[Ask]) -> Event[Answer]:
    return service.emits(
        Answer(request.data.n),
        source=service.type,
        id=f"reply {request.data.n}",
        time=request.time,
        subject=request.subject,
        parentid=request.id,
        to=request.redirectto,
    )


@pytest.mark.promise("I8")
@pytest.mark.parametrize("kind", KINDS)
@given(case=cases())
def test_a_revived_gather_has_the_result_of_one_that_never_failed(kind: str, case: Case) -> None:
    """Any branches fail, and the replies come in any order: none of them is a dead letter."""
    healthy, revived = play(kind, case, set()), play(kind, case, case.failing)

    note(f"late: {min(revived.outcomes.count('late'), 3)}")
    assert revived.record is not None
    assert healthy.record is not None
    assert revived.record.revivals == len(case.failing)
    assert "workflow_failed" not in revived.outcomes
    assert [event.data for event in revived.completions] == [
        event.data for event in healthy.completions
    ]
    assert len(revived.completions) == 1
    assert (revived.record.status, revived.record.late_replies) == ("done", 0)
    assert (revived.record.state, revived.record.journal) == (
        healthy.record.state,
        healthy.record.journal,
    )
