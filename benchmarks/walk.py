"""Walk: what an event costs from the wire to its commit, beside orjson (design section 12)."""

import asyncio
import time
from collections.abc import Iterator
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
from arvo.engine.step.step import take
from benchmarks import led
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
    """Give each piece of work, its microseconds, and the aim where there is one."""
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
    asked = charge["1.0.0"].accepts(ChargeCard("order-42", 12.5), source="com.shop.web")
    yield "event handler: one step", microseconds(lambda: take(system, asked, None, now=NOW)), "25"
    cold = Event.parse(asked.to_json())
    yield (
        "event handler: one step, event off the wire",
        microseconds(lambda: take(system, cold, None, now=NOW)),
        "",
    )
    yield "run: a workflow and its service (3 steps)", microseconds(lambda: run(system, init)), ""
    yield "resumable: two turns, memory backend, with their service", _through_runtime(1), "200"
    yield "the same, 64 at a time", _through_runtime(64), ""


def _through_runtime(at_once: int, number: int = 600) -> float:
    async def once() -> float:
        async with Runtime(system, MemoryBackend()) as runtime:
            start = time.perf_counter()
            for _ in range(number // at_once):
                await asyncio.gather(*(runtime.request(_event()) for _ in range(at_once)))
            return (time.perf_counter() - start) / (number // at_once * at_once) * 1e6

    return median(asyncio.run(once()) for _ in range(5))


def growth() -> tuple[float, float]:
    """Give the microseconds of turn 2 and of turn 2,000 of one workflow."""
    ever = System(
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
            at, before = event, record
            timed[turn] = microseconds(lambda at=at, before=before: take(ever, at, before, now=NOW))  # type: ignore[misc]
        commit = take(ever, event, record, now=NOW)
        assert isinstance(commit, Commit)
        record = commit.record
        (asked,) = commit.events
        event = reply(charge, asked, CardCharged("r"))
    return timed[2], timed[2000]


def main() -> None:
    """Print what the walk costs."""
    print(f"{'the walk':60} {'µs':>10} {'aim':>12}")
    for name, cost, aim in (*costs(), *led.costs()):
        print(f"{name:60} {cost:10.1f} {aim:>12}")
    second, last = growth()
    print(f"{'a turn, the 2nd':60} {second:10.1f}")
    print(f"{'a turn, the 2,000th':60} {last:10.1f} {'1.2 times':>12}")


if __name__ == "__main__":
    main()
