"""Latency: the time of an event from the wire to its commit, next to orjson."""

import asyncio
import time
from collections.abc import Iterator
from functools import partial
from statistics import median

import orjson

from arvo import (
    Commit,
    Emit,
    Event,
    MemoryBackend,
    Record,
    Resumable,
    Runtime,
    Subject,
    System,
    run,
)
from arvo.engine.step.step import step_plain
from benchmarks import orchestrator
from benchmarks.measure import microseconds
from benchmarks.shop import (
    NOW,
    CardCharged,
    ChargeCard,
    PlaceOrder,
    charge,
    order,
    reply,
    system,
)


def _event() -> Event[PlaceOrder]:
    return order["1.0.0"].init(PlaceOrder("order-42", 12.5), source="com.shop.web")


def costs() -> Iterator[tuple[str, float, str]]:
    """Yield the name of each operation, its microseconds, and the aim or an empty text."""
    init = _event()
    wire = init.to_json()
    fields = {**init.to_dict()}
    yield (
        f"orjson loads + dumps of the event ({len(wire)} bytes)",
        microseconds(lambda: orjson.dumps(orjson.loads(wire))),
        "4.3 there",
    )
    yield (
        "event: create, serialise, parse",
        microseconds(lambda: Event.parse(Event.from_dict(fields).to_json())),
        "20",
    )
    number = iter(range(10**9))
    yield (
        "subject: new and parse, cold",
        microseconds(
            lambda: Subject.parse(
                str(
                    Subject.new(
                        "arvo.orc.order",
                        "1.0.0",
                        initiator="com.shop.web",
                        id=f"run-{next(number)}",
                    )
                )
            )
        ),
        "60",
    )
    subject = str(Subject.new("arvo.orc.order", "1.0.0", initiator="com.shop.web", id="run"))
    yield "subject: parse, cached", microseconds(lambda: Subject.parse(subject)), ""
    yield "contract: an init event", microseconds(_event), ""
    yield from _step_costs(init)


def _step_costs(init: Event[PlaceOrder]) -> Iterator[tuple[str, float, str]]:
    request = charge["1.0.0"].accepts(ChargeCard("order-42", 12.5), source="com.shop.web")
    yield (
        "event handler: one step",
        microseconds(lambda: step_plain(system, request, None, now=NOW)),
        "25",
    )
    parsed = Event.parse(request.to_json())
    yield (
        "event handler: one step, event off the wire",
        microseconds(lambda: step_plain(system, parsed, None, now=NOW)),
        "",
    )
    yield "run: a workflow and its service (3 steps)", microseconds(lambda: run(system, init)), ""
    yield "resumable: two turns, memory backend, with their service", _time_runtime(1), "200"
    yield "the same, 64 at a time", _time_runtime(64), ""


def _time_runtime(in_flight: int, number: int = 600) -> float:
    async def measure() -> float:
        async with Runtime(system, MemoryBackend()) as runtime:
            start = time.perf_counter()
            for _ in range(number // in_flight):
                await asyncio.gather(*(runtime.request(_event()) for _ in range(in_flight)))
            return (time.perf_counter() - start) / (number // in_flight * in_flight) * 1e6

    return median(asyncio.run(measure()) for _ in range(5))


def time_turns() -> tuple[float, float]:
    """Return the microseconds of turn 2 and of turn 2,000 of one workflow."""
    endless = System(
        [
            Resumable(
                order,
                {"1.0.0": lambda turn: Emit(ChargeCard("o", 1.0))},
                services=[charge["1.0.0"]],
            )
        ]
    )
    event: Event[object] = order["1.0.0"].init(PlaceOrder("o", 1.0), source="com.shop.web")
    record: Record | None = None
    timed = {}
    for turn in range(1, 2001):
        if turn in (2, 2000):
            timed[turn] = microseconds(partial(step_plain, endless, event, record, now=NOW))
        commit = step_plain(endless, event, record, now=NOW)
        assert isinstance(commit, Commit)
        record = commit.record
        (request,) = commit.events
        event = reply(charge, request, CardCharged("r"))
    return timed[2], timed[2000]


def main() -> None:
    """Print the times."""
    print(f"{'from the wire to the commit':60} {'µs':>10} {'aim':>12}")
    for name, cost, aim in (*costs(), *orchestrator.costs()):
        print(f"{name:60} {cost:10.1f} {aim:>12}")
    second, last = time_turns()
    print(f"{'a turn, the 2nd':60} {second:10.1f}")
    print(f"{'a turn, the 2,000th':60} {last:10.1f} {'1.2 times':>12}")


if __name__ == "__main__":
    main()
