"""Flow: what a step of a long flow costs, warm and cold, beside a resumable that does the same."""

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
from arvo.engine.step.step import take
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
def asking(event: Event[PlaceOrder]) -> Flow[OrderPaid]:
    for _ in range(STEPS + 1):
        yield from ask(ChargeCard(event.data.order_id, 1.0), CardCharged)
    return OrderPaid("all")


def counting(turn: Turn[Any]) -> Commands:
    number = 0 if turn.state is None else turn.state
    if number > STEPS:
        return Complete(OrderPaid("all"))
    return Persist(number + 1), Emit(ChargeCard("order-42", 1.0))


resumable = Resumable(order, {"1.0.0": counting}, services=SERVICES)


def walked(system: System, steps: int) -> tuple[list[float], Event[Any], Record]:
    """Take *steps* steps; give what each took, and where the last one left the workflow."""
    event: Event[Any] = order["1.0.0"].init(PlaceOrder("order-42", 1.0), source="com.shop.web")
    record: Record | None = None
    took = []
    for _ in range(steps):
        start = time.perf_counter()
        commit = take(system, event, record, now=NOW)
        took.append((time.perf_counter() - start) * 1e6)
        assert isinstance(commit, Commit)
        record = commit.record
        (asked,) = commit.events
        event = reply(charge, asked, CardCharged("r"))
    assert record is not None
    return took, event, record


def cold(handler: FlowHandler[Any, Any], system: System, steps: int) -> float:
    """Give the milliseconds of a step that has to replay *steps* lines."""
    _, event, record = walked(system, steps)

    def once() -> float:
        handler.live.clear()
        start = time.perf_counter()
        take(system, event, record, now=NOW)
        return (time.perf_counter() - start) * 1e3

    return median(once() for _ in range(5))


def main() -> None:
    """Print what steps cost, early and late."""
    print(f"{'µs for each step, median of 5 walks':44} {'flow':>10} {'resumable':>10}")
    walks: dict[str, list[list[float]]] = {"flow": [], "resumable": []}
    for _ in range(5):
        walks["flow"].append(walked(System([asking]), STEPS)[0])
        walks["resumable"].append(walked(System([resumable]), STEPS)[0])
    for name, part in (
        ("steps 2 to 101", slice(1, 101)),
        (f"steps {STEPS - 99} to {STEPS}", slice(STEPS - 100, STEPS)),
        (f"all {STEPS}", slice(None)),
    ):
        costs = _medians(walks, lambda walk, part=part: median(walk[part]))  # type: ignore[misc]
        print(f"{name:44} {costs[0]:10.1f} {costs[1]:10.1f}")
    totals = _medians(walks, lambda walk: sum(walk) / 1e3)
    print(f"{f'ms for all {STEPS} together':44} {totals[0]:10.1f} {totals[1]:10.1f}")
    for steps in (STEPS // 4, STEPS // 2, STEPS):
        milliseconds = cold(asking, System([asking]), steps)
        print(f"{f'ms for a cold resume at step {steps}':44} {milliseconds:10.1f}")


def _medians(
    walks: dict[str, list[list[float]]], cost: Callable[[list[float]], float]
) -> tuple[float, float]:
    flow_cost, resumable_cost = (median(map(cost, each)) for each in walks.values())
    return flow_cost, resumable_cost


if __name__ == "__main__":
    main()
