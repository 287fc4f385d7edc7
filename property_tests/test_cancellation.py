"""Cancellation: whenever it is accepted, the workflow sends nothing more, and ends once."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from attrs import define, field
from hypothesis import given
from hypothesis import strategies as st

from arvo import (
    Cancellation,
    Commands,
    Commit,
    Complete,
    Effects,
    Emit,
    Event,
    Flow,
    MemoryBackend,
    Persist,
    Runtime,
    System,
    Turn,
    ask,
    call,
    flow,
)
from arvo.interpreters.ports.messages import yields_to_cancellation
from arvo.interpreters.ports.results import Committed
from tests.shop import (
    SERVICES,
    CardCharged,
    ChargeCard,
    OrderFulfilled,
    PlaceOrder,
    make_workflow,
    order,
    order_request,
    payments,
)

BEGIN = order_request()
OPERATIONS = ("load", "commit", "commit_chains", "checkpoint", "pending_cancellation")
# More than the points of any workflow below.
POINTS_MAX = 50


@define(eq=False)
class Interleaved:
    """A backend that accepts a cancellation at the *at*-th point: before or after an operation.

    *past*: the turns that were applied although they began to be committed after that. *ends*: the
    turns that ended the workflow. *late*: the events that came after the end. *is_blind*: commit in
    spite of the cancellation.
    """

    inner: MemoryBackend
    at: int
    is_blind: bool = False
    cancel: Callable[[], Any] | None = None
    point: int = 0
    has_accepted: bool = False
    has_ended_before: bool = False
    past: list[Commit] = field(factory=list)
    ends: list[Commit] = field(factory=list)
    late: list[Event[Any]] = field(factory=list)

    def __getattr__(self, name: str) -> Any:
        operation = getattr(self.inner, name)
        if name not in OPERATIONS:
            return operation

        async def call(*args: Any) -> Any:
            await self.pass_point()
            accepted = self.has_accepted
            if self.is_blind and name == "commit":
                pending = await self.inner.pending_cancellation(args[0])
                args[0].progress.passed_over.update([] if pending is None else [pending.id])
            result = await operation(*args)
            if name == "commit" and result == Committed():
                self.record(args[1], accepted=accepted)
            if name == "commit_chains":
                for chain, is_applied in zip(args[0], result, strict=True):
                    for commit in chain.commits if is_applied else ():
                        self.record(commit, accepted=accepted)
            await self.pass_point()
            return result

        return call

    async def pass_point(self) -> None:
        """Cancel the workflow if this is the point."""
        self.point += 1
        if self.point == self.at and self.cancel is not None:
            self.has_ended_before = bool(self.ends)
            await self.cancel()
            self.has_accepted = True

    def record(self, commit: Commit, *, accepted: bool) -> None:
        """Record a commit that was applied."""
        if commit.handler != order["1.0.0"].type:
            return
        if accepted and yields_to_cancellation(commit):
            self.past.append(commit)
        if commit.record is not None and commit.record.status != "active":
            self.ends.append(commit)
        if commit.outcome == "late":
            self.late.append(commit.event)


async def work(number: int) -> int:
    """Perform an effect that gives way to others."""
    await asyncio.sleep(0)
    return number


def as_flow(turns: Sequence[int]) -> Any:
    """Make a flow with so many effects before each request."""

    @flow(order, "1.0.0", services=SERVICES)
    def pay(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
        for number, effects in enumerate(turns):
            for effect in range(effects):
                yield from call(work, effect)
            yield from ask(ChargeCard(f"{event.data.order_id}-{number}", 1.0), CardCharged)
        return OrderFulfilled("t")

    return pay


def as_function(turns: Sequence[int]) -> Any:
    """Make the same workflow as a function, with effects in its last turn, too."""

    def pay(turn: Turn[Any]) -> Effects[Commands]:
        number = 0 if turn.state is None else turn.state
        if isinstance(turn.event.data, Cancellation):
            yield from call(work, -1)
            return None
        if number == len(turns):
            return Complete(OrderFulfilled("t"))
        for effect in range(turns[number]):
            yield from call(work, effect)
        return Persist(number + 1), Emit(ChargeCard(f"o-{number}", 1.0))

    return make_workflow(pay)


async def run_cancelled(
    workflow: Any, at: int, *, is_blind: bool = False
) -> tuple[Interleaved, str]:
    """Run the workflow with a cancellation at a point; return what was seen, and its status."""
    backend = Interleaved(MemoryBackend(), at, is_blind)
    async with asyncio.timeout(60), Runtime(System([payments, workflow]), backend) as runtime:
        backend.cancel = lambda: runtime.cancel(BEGIN.subject, "enough")
        await runtime.send(BEGIN)
        await runtime.drain(timeout=60)
        record = await runtime.record(BEGIN.subject)
        assert record is not None
        return backend, record.status


@pytest.mark.parametrize("kind", [as_flow, as_function])
@given(turns=st.lists(st.integers(0, 2), min_size=1, max_size=3), at=st.integers(1, POINTS_MAX))
def test_no_turn_is_committed_past_a_cancellation(
    kind: Callable[[Sequence[int]], Any], turns: list[int], at: int
) -> None:
    """For every interleaving: one end, and the cancellation is late only for an ended workflow."""
    seen, status = asyncio.run(run_cancelled(kind(turns), at))

    assert seen.past == []
    assert len(seen.ends) == 1
    is_stopped = seen.has_accepted and not seen.has_ended_before
    assert status == ("cancelled" if is_stopped else "done")
    assert not (is_stopped and any(isinstance(it.data, Cancellation) for it in seen.late))


def test_the_law_finds_a_backend_that_does_not_look_for_cancellations() -> None:
    """Else it would hold for a workflow that is never interrupted."""
    seen = [asyncio.run(run_cancelled(as_flow([1]), at, is_blind=True))[0] for at in range(1, 20)]

    assert any(each.past for each in seen)
