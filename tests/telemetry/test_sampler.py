"""Sampler: a workflow is sampled as a whole, with its timers and its children."""

import pytest
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.trace import SpanKind

from arvo import Runtime, Stamp, Violated, stamping
from arvo.telemetry import WorkflowSampler
from tests.family import family, plan, top
from tests.shop import TIME, WEB, order_request
from tests.telemetry.recorded import Sdk
from tests.telemetry.test_trees import make_timer


def test_a_workflow_is_sampled_with_the_turns_of_its_timers() -> None:
    """A timer begins a new trace, which a ratio of trace ids would decide anew."""
    counts, keys = set[int](), [f"i{number}" for number in range(40)]
    for key in keys:
        sdk = Sdk(WorkflowSampler(0.5))

        async def work(runtime: Runtime, key: str = key) -> None:
            await runtime.request(order_request(key))

        sdk.run(make_timer(), work)
        counts.add(len(sdk.spans))

    # All of send, two turns, the answer and the workflow; or, where the sender's span alone was
    # decided by itself, nothing.
    assert counts == {0, 5}


def test_a_child_is_sampled_with_its_parent() -> None:
    """It has a subject of its own."""
    decisions = set[bool]()
    for number in range(20):
        sdk = Sdk(WorkflowSampler(0.5))

        async def work(runtime: Runtime, number: int = number) -> None:
            with stamping(lambda: Stamp(f"b{number}", TIME)):
                event = top["1.0.0"].init(plan("complete", plan("complete")), source=WEB)
            await runtime.request(event)

        sdk.run(family, work)
        names = {span.name for span in sdk.spans}
        has_top = "process arvo.orc.family.top" in names
        assert ("process arvo.orc.family.middle" in names) == has_top
        decisions.add(has_top)

    assert decisions == {True, False}


@pytest.mark.parametrize(("ratio", "is_sampled"), [(0.0, False), (1.0, True)])
def test_the_bounds_of_the_ratio_are_never_and_always(ratio: float, is_sampled: bool) -> None:
    """Also for spans that have no subject."""
    sampler = WorkflowSampler(ratio)

    decided = {
        sampler.should_sample(None, trace_id, "span", SpanKind.INTERNAL).decision
        for trace_id in (1, 2**64 - 1, 2**128 - 1)
    }

    assert decided == {Decision.RECORD_AND_SAMPLE if is_sampled else Decision.DROP}


def test_a_ratio_out_of_bounds_is_refused() -> None:
    """As by the SDK's own."""
    with pytest.raises(Violated, match="ratio: expected 0 to 1, got 2"):
        WorkflowSampler(2)
    assert WorkflowSampler(0.5).get_description() == "WorkflowSampler{0.5}"
