"""Flow: the cost of a step of a long flow, cached and replayed, next to an equal resumable."""

import time
from collections.abc import Callable
from statistics import median
from typing import Any

from arvo import (
    Commands,
    Commit,
    Complete,
    Emit,
    Event,
    Flow,
    FlowHandler,
    Persist,
    Record,
    Resumable,
    System,
    Turn,
    ask,
    flow,
)
from arvo.engine.step.step import step_plain
from benchmarks.shop import (
    NOW,
    CardCharged,
    ChargeCard,
    OrderPaid,
    PlaceOrder,
    charge,
    order,
    reply,
)

STEPS = 2_000
SERVICES = [charge["1.0.0"]]


@flow(order, "1.0.0", services=SERVICES)
def calling(event: Event[PlaceOrder]) -> Flow[OrderPaid]:
    for _ in range(STEPS + 1):
        yield from ask(ChargeCard(event.data.order_id, 1.0), CardCharged)
    return OrderPaid("all")


def counting(turn: Turn[Any]) -> Commands:
    number = 0 if turn.state is None else turn.state
    if number > STEPS:
        return Complete(OrderPaid("all"))
    return Persist(number + 1), Emit(ChargeCard("order-42", 1.0))


resumable = Resumable(order, {"1.0.0": counting}, services=SERVICES)


def time_steps(system: System, steps: int) -> tuple[list[float], Event[Any], Record]:
    """Take *steps* steps; return the microseconds of each, the next event and the record."""
    event: Event[Any] = order["1.0.0"].init(PlaceOrder("order-42", 1.0), source="com.shop.web")
    record: Record | None = None
    times = []
    for _ in range(steps):
        start = time.perf_counter()
        commit = step_plain(system, event, record, now=NOW)
        times.append((time.perf_counter() - start) * 1e6)
        assert isinstance(commit, Commit)
        record = commit.record
        (request,) = commit.events
        event = reply(charge, request, CardCharged("r"))
    assert record is not None
    return times, event, record


def time_replay(handler: FlowHandler[Any, Any], system: System, steps: int) -> float:
    """Return the milliseconds of a step that has to replay *steps* journal entries."""
    _, event, record = time_steps(system, steps)

    def once() -> float:
        handler.cache.clear()
        start = time.perf_counter()
        step_plain(system, event, record, now=NOW)
        return (time.perf_counter() - start) * 1e3

    return median(once() for _ in range(5))


def main() -> None:
    """Print the cost of early and late steps."""
    print(f"{'µs for each step, median of 5 runs':44} {'flow':>10} {'resumable':>10}")
    runs: dict[str, list[list[float]]] = {"flow": [], "resumable": []}
    for _ in range(5):
        runs["flow"].append(time_steps(System([calling]), STEPS)[0])
        runs["resumable"].append(time_steps(System([resumable]), STEPS)[0])
    for name, part in (
        ("steps 2 to 101", slice(1, 101)),
        (f"steps {STEPS - 99} to {STEPS}", slice(STEPS - 100, STEPS)),
        (f"all {STEPS}", slice(None)),
    ):
        costs = _medians(runs, lambda run, part=part: median(run[part]))  # type: ignore[misc]
        print(f"{name:44} {costs[0]:10.1f} {costs[1]:10.1f}")
    totals = _medians(runs, lambda run: sum(run) / 1e3)
    print(f"{f'ms for all {STEPS} together':44} {totals[0]:10.1f} {totals[1]:10.1f}")
    for steps in (STEPS // 4, STEPS // 2, STEPS):
        milliseconds = time_replay(calling, System([calling]), steps)
        print(f"{f'ms for a replay at step {steps}':44} {milliseconds:10.1f}")


def _medians(
    runs: dict[str, list[list[float]]], cost: Callable[[list[float]], float]
) -> tuple[float, float]:
    flow_cost, resumable_cost = (median(map(cost, times)) for times in runs.values())
    return flow_cost, resumable_cost


if __name__ == "__main__":
    main()
