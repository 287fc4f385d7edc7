"""Growth: the state of a run grows by the same for each step, and compaction bounds it."""

from typing import Any

import orjson
import pytest

from arvo import run
from arvo.agents import Allow, Answer, Budget, ToolCall, Usage, by_tool, drop_results, keep_last
from arvo.testing.agents import scripted
from tests.agents.support import DONE, begin, find_order, make_system

RESULT = {"total": 42.0, "order": 3.0}


def state_bytes(steps: int, **options: Any) -> int:
    """Return the size of the state after so many calls of a tool."""
    call = ToolCall("find_order", '{"order_id":"o-1"}')
    model = scripted([*(Answer("", (call,), Usage(10, 10, 0.5)) for _ in range(steps)), DONE])
    allow = by_tool({}, otherwise=Allow())
    system = make_system(model, policy=allow, budget=Budget(steps=steps + 1), **options)
    effects = {model: model, find_order: lambda order_id, key: RESULT}
    event = begin()
    trace = run(system, event, effects=effects)
    record = trace.records[event.subject]
    assert record.status == "done", record.failure
    return len(orjson.dumps(record.to_dict()["state"], default=dict))


def test_each_step_adds_the_same() -> None:
    """Nothing is stored again with each step."""
    few, more, many = (state_bytes(steps) for steps in (20, 40, 80))

    # The number of a step is in the ids of its calls.
    assert (many - more) / (more - few) == pytest.approx(2, abs=0.1)


@pytest.mark.parametrize(
    "compact", [keep_last(10), keep_last(50, bytes_max=2_000)], ids=["messages", "bytes"]
)
def test_compaction_bounds_the_state(compact: Any) -> None:
    assert state_bytes(80, compact=compact) <= state_bytes(40, compact=compact) + 100


def test_dropped_results_leave_the_calls() -> None:
    whole, dropped = state_bytes(40), state_bytes(40, compact=drop_results(keep=2))

    assert dropped < whole
