"""Measurements: what a reply, a handler, a service, a step costs where there are many of them."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any, Final

from arvo import (
    Commands,
    Commit,
    Compensate,
    Complete,
    Emit,
    Event,
    EventHandler,
    Flow,
    MemoryBackend,
    Record,
    Resumable,
    Runtime,
    Stamp,
    System,
    Turn,
    ask,
    flow,
    stamping,
)
from arvo.engine.step.step import step_plain
from arvo.interpreters.delivery.record_log import next_entry
from arvo.interpreters.sqlite import SqliteBackend
from benchmarks.durable import requests
from benchmarks.growth.stored import (
    dead_letters,
    due,
    due_memory,
    finished,
    idle,
    idle_sqlite,
    sleeping,
)
from benchmarks.growth.workloads import REQUEST_SECONDS, REQUESTS, sqlite_file, starts, workflow
from benchmarks.measure import Figures, processor_time
from benchmarks.pure import idle_service
from benchmarks.shop import (
    NOW,
    CardCharged,
    ChargeCard,
    OrderPaid,
    PlaceOrder,
    charge,
    order,
    pay,
    reply,
    system,
)


def replies(number: int) -> Figures:
    """Send *number* requests from one turn, and collect the replies of a service beside it."""

    def fan_out(turn: Turn[Any]) -> Commands:
        if turn.input is not None:
            return tuple(Emit(ChargeCard(f"o-{position}", 1.0)) for position in range(number))
        if len(turn.collected["evt.payment.charged"]) < number:
            return None
        return Complete(OrderPaid("all"))

    async def run(path: Path) -> float:
        steps = workflow(fan_out, EventHandler(charge, {"1.0.0": pay}))
        async with Runtime(steps, SqliteBackend(str(path))) as runtime:
            [event] = starts(1)
            start = time.process_time()
            answer = await runtime.request(event, timeout=REQUEST_SECONDS)
            assert answer.data == OrderPaid("all"), answer
            return time.process_time() - start

    with sqlite_file() as path:
        return {"µs a reply": asyncio.run(run(path)) / number * 1e6}


def handlers(number: int) -> Figures:
    """Send requests one by one to a workflow of a system with *number* handlers beside it."""
    others = [EventHandler(idle_service(n), {"1.0.0": lambda event: None}) for n in range(number)]

    async def run() -> Figures:
        async with Runtime(System([*system.handlers, *others]), MemoryBackend()) as runtime:
            return await requests(runtime, REQUESTS, 1)

    return {"µs": asyncio.run(run())["µs"]}


def services(number: int) -> Figures:
    """Take the first turn of a workflow that may ask *number* services beside the one it asks."""
    others = [idle_service(n)["1.0.0"] for n in range(number)]

    command = Emit(ChargeCard("o-1", 1.0))
    asking = Resumable(order, {"1.0.0": lambda turn: command}, services=[charge["1.0.0"], *others])
    system, [event] = System([asking]), starts(1)
    return processor_time(lambda: step_plain(system, event, None, now=NOW))()


def compensations(turns: int) -> Figures:
    """Take *turns* turns of one workflow, each of which adds a compensation."""
    request = ChargeCard("o-1", 1.0)
    commands = Compensate(request), Emit(request)
    system, written = workflow(lambda turn: commands), 0
    event: Event[Any] = starts(1)[0]
    record: Record | None = None
    room, times = 0, []
    for _ in range(turns):
        start = time.process_time()
        commit = step_plain(system, event, record, now=NOW)
        assert isinstance(commit, Commit)
        assert commit.record is not None
        entry = next_entry(commit.record, commit.before, room)
        times.append((time.process_time() - start) * 1e6)
        record, room = commit.record, entry.room
        written += len(entry.content)
        [sent] = commit.events
        event = reply(charge, sent, CardCharged("r"))
    return {
        "µs, turns 2 to 101": median(times[1:101]),
        "µs, the last 100": median(times[-100:]),
        "bytes of the record written a turn": written / turns,
    }


def flow_steps(steps: int) -> Figures:
    """Take *steps* steps of one flow, then one more without what the process remembers of it."""

    @flow(order, "1.0.0", services=[charge["1.0.0"]])
    def calling(event: Event[PlaceOrder]) -> Flow[OrderPaid]:
        for _ in range(steps + 1):
            yield from ask(ChargeCard(event.data.order_id, 1.0), CardCharged)
        return OrderPaid("all")

    system = System([calling])
    event: Event[Any] = starts(1)[0]
    record: Record | None = None
    times = []
    for _ in range(steps):
        start = time.process_time()
        commit = step_plain(system, event, record, now=NOW)
        times.append((time.process_time() - start) * 1e6)
        assert isinstance(commit, Commit)
        record = commit.record
        [request] = commit.events
        event = reply(charge, request, CardCharged("r"))
    calling.cache.clear()
    start = time.process_time()
    step_plain(system, event, record, now=NOW)
    replayed = time.process_time() - start
    return {
        "µs, steps 2 to 101": median(times[1:101]),
        "µs, the last 100": median(times[-100:]),
        "µs a step to resume": replayed / steps * 1e6,
    }


def simulation(runs: int) -> Figures:
    """Simulate the order example with faults, in each form of its workflow."""
    from arvo.testing import simulate
    from docs.examples.orders import carrier
    from docs.examples.orders.contracts import Item, PlaceOrder
    from docs.examples.orders.shop import order_event
    from docs.examples.orders.systems import SYSTEMS

    tea = PlaceOrder("ord-0001", "c-0001", "tok-1", "NL", (Item("kenya-250g", 2),), 2580)
    with stamping(lambda: Stamp("unused", "2026-01-02T03:04:05.000+00:00")):
        event = order_event(tea)
    effects = {carrier.request_tracking: carrier.tracking_for}
    figures = {}
    for form, steps in SYSTEMS.items():
        start = time.process_time()
        simulate(steps, [event], effects=effects, runs=runs)
        figures[f"ms, {form}"] = (time.process_time() - start) / runs * 1e3
    return figures


MEASUREMENTS: Final[dict[str, Callable[[int], Figures]]] = {
    "replies": replies,
    "handlers": handlers,
    "services": services,
    "compensations": compensations,
    "dead-letters": dead_letters,
    "flow": flow_steps,
    "finished": finished,
    "sleeping": sleeping,
    "due": due,
    "due-memory": due_memory,
    "idle": idle,
    "idle-sqlite": idle_sqlite,
    "simulation": simulation,
}
