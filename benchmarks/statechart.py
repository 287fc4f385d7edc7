"""Statechart: microseconds per event, next to three other libraries.

    python -m benchmarks.statechart

Every figure is the median of several runs, each of which repeats the same few events. The last line
shows the speed of this machine: one orjson round trip of an event of about 700 bytes. Libraries
that are not installed (dependency group ``bench``) are left out.
"""

import json
from collections.abc import Callable, Iterable
from statistics import median
from time import perf_counter
from typing import Any

import orjson

from arvo.statechart import Chart, Event, State, Transition, assign, initial, raise_, transition
from benchmarks import peers

RUNS = 9
SECONDS_PER_RUN = 0.05
RING = 200

Send = Callable[[], object]


def flat() -> Chart[None]:
    """Two states that alternate."""
    return Chart(
        initial="off", states={"off": State(on={"GO": "on"}), "on": State(on={"GO": "off"})}
    )


def nested() -> Chart[None]:
    """Two branches of three levels; each event leaves one and enters the other."""
    return Chart(initial="a", states={"a": _branch("b"), "b": _branch("a")})


def parallel() -> Chart[None]:
    """Three regions of three levels, all of which move at each event."""
    region = State(initial="a", states={"a": _branch("b"), "b": _branch("a")})
    return Chart(type="parallel", states={f"r{number}": region for number in range(3)})


def ring() -> Chart[None]:
    """Two hundred states in a ring: states that are not active should cost nothing."""
    return Chart(
        initial="s0",
        states={f"s{n}": State(on={"GO": f"s{(n + 1) % RING}"}) for n in range(RING)},
    )


def guarded() -> Chart[dict[str, int]]:
    """The parallel chart, where each region also evaluates a guard, assigns and raises."""
    move = {
        to: Transition(
            to,
            lambda context, event: context["n"] >= 0,
            actions=[assign(lambda context, event: {"n": context["n"] + 1}), raise_("NOTED")],
        )
        for to in ("a", "b")
    }
    region = State(
        initial="a", states={"a": State(on={"GO": move["b"]}), "b": State(on={"GO": move["a"]})}
    )
    states = {f"r{number}": region for number in range(3)}
    return Chart(type="parallel", states=states, context={"n": 0})


def _branch(other: str) -> State:
    inner = State(initial="z", states={"z": State()})
    return State(initial="y", states={"y": inner}, on={"GO": other})


def sender(chart: Chart[Any]) -> Send:
    """Return a function that sends one event to *chart*."""
    event = Event("GO")
    snapshot, _ = initial(chart)

    def send() -> None:
        nonlocal snapshot
        snapshot, _ = transition(chart, snapshot, event)

    return send


def microseconds(send: Send) -> float:
    """Return the microseconds of one call of *send*."""
    send()
    start, calls = perf_counter(), 0
    while perf_counter() - start < SECONDS_PER_RUN:
        send()
        calls += 1
    times = []
    for _ in range(RUNS):
        start = perf_counter()
        for _ in range(calls):
            send()
        times.append((perf_counter() - start) / calls * 1e6)
    return median(times)


def round_trip() -> Send:
    """Return the reference: a function that reads and writes one event of about 700 bytes."""
    event = {
        "id": "0b8f0d0e-6b1e-4b1b-9f0a-8c1f0e6d7a55",
        "source": "com.web.shop",
        "type": "com.payment.charge",
        "subject": "eJwtjksOgzAMRO_iNUThV1FuExwjojZx5RhUCXH3hrZbv5l5PoAFV8oqTllgOiC5SDCBk51NYWbL",
        "datacontenttype": "application/cloudevents+json;charset=UTF-8",
        "dataschema": "#/contracts/payment/charge/1.0.0",
        "time": "2026-11-24T16:23:49.123456+00:00",
        "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "to": "com.payment.charge",
        "executionunits": 0.5,
        "data": {"order": 17, "lines": [{"item": f"i{n}", "count": n} for n in range(6)]},
    }
    text = json.dumps(event).encode()
    return lambda: orjson.dumps(orjson.loads(text))


def main() -> None:
    """Print the table."""
    charts: dict[str, Callable[[], Send]] = {
        "flat": lambda: sender(flat()),
        "nested": lambda: sender(nested()),
        "parallel": lambda: sender(parallel()),
        "ring": lambda: sender(ring()),
    }
    print(f"{'µs per event':24}" + "".join(f"{name:>12}" for name in charts))
    print(_row("arvo.statechart", (microseconds(make()) for make in charts.values())))
    for library, makers in peers.installed().items():
        row = (microseconds(makers[name]()) if name in makers else None for name in charts)
        print(_row(library, row))
    print(f"\n3×3 with guard, assign and raise: {microseconds(sender(guarded())):.2f} µs")
    print(f"orjson loads+dumps of one event: {microseconds(round_trip()):.2f} µs")


def _row(name: str, figures: Iterable[float | None]) -> str:
    cells = ("-" if figure is None else f"{figure:.2f}" for figure in figures)
    return f"{name:24}" + "".join(f"{cell:>12}" for cell in cells)


if __name__ == "__main__":
    main()
