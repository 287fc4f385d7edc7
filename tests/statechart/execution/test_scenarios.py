"""Scenarios: the scenarios of the SCION SCXML suite that XState passes, on a virtual clock."""

from collections import deque
from typing import Any

import pytest

from arvo.statechart import (
    Act,
    Cancel,
    Chart,
    Command,
    Emit,
    Schedule,
    Send,
    Snapshot,
    initial,
    transition,
)
from tests.statechart.corpora import make_chart, scenarios
from tests.statechart.placeholders import parse_event

IDLE_MS = 60_000
STRUCTURAL = scenarios("structural")
DATAMODEL = scenarios("datamodel")
CACHE_SIZES = {"cached": 4_096, "no cache": 0}


@pytest.mark.parametrize("memory", CACHE_SIZES.values(), ids=CACHE_SIZES.keys())
@pytest.mark.parametrize("case", [c for _, c in STRUCTURAL], ids=[name for name, _ in STRUCTURAL])
def test_a_chart_without_data_reaches_the_same_states(case: dict[str, Any], memory: int) -> None:
    """The suite covers hierarchy, parallel regions, history and priorities one by one."""
    chart = make_chart(case["machine"], case, memory=memory)

    assert [Clock(chart).play(case) for _ in range(2)] == [expected(case)] * 2


@pytest.mark.parametrize("memory", CACHE_SIZES.values(), ids=CACHE_SIZES.keys())
@pytest.mark.parametrize("case", [c for _, c in DATAMODEL], ids=[name for name, _ in DATAMODEL])
def test_a_chart_with_data_reaches_the_same_states(case: dict[str, Any], memory: int) -> None:
    """These scenarios also need assignments, expressions and conditional actions."""
    chart = make_chart(case["machine"], case, memory=memory)

    assert [Clock(chart).play(case) for _ in range(2)] == [expected(case)] * 2


def expected(case: dict[str, Any]) -> list[set[str]]:
    """List the leaves that a scenario expects, from the start on."""
    after = [set(event["nextConfiguration"]) for event in case["events"]]
    return [set(case["initialConfiguration"]), *after]


class Clock:
    """A minimal runtime: an external queue, timers, and a virtual clock."""

    def __init__(self, chart: Chart[Any]) -> None:
        self.chart = chart
        self.snapshot: Snapshot[Any]
        self.now = 0.0
        self.queue: deque[object] = deque()
        self.timers: list[tuple[float, int, str | None, object]] = []
        self.started = 0

    def play(self, case: dict[str, Any]) -> list[set[str]]:
        """Play a scenario and return the leaves after every event."""
        self.snapshot, commands = initial(self.chart)
        self.apply(commands)
        if case.get("settle"):
            self.drain()
            self.advance(IDLE_MS)
        configurations = [set(self.snapshot.leaves)]
        self.drain()
        for event in case["events"]:
            self.advance(event.get("after") or 0)
            self.step(parse_event(event["event"]))
            self.drain()
            configurations.append(set(self.snapshot.leaves))
        return configurations

    def step(self, event: object) -> None:
        """Process *event*."""
        self.snapshot, commands = transition(self.chart, self.snapshot, event)
        self.apply(commands)

    def apply(self, commands: tuple[Command, ...]) -> None:
        """Queue the sent events, and start and stop timers. The end of the chart drops them all."""
        for command in commands:
            match command:
                case Send(event=event, delay_ms=None):
                    self.queue.append(event)
                case Send(event=event, delay_ms=delay, id=timer):
                    self.start(delay or 0, timer, event)
                case Schedule(delay_ms=delay, id=timer):
                    self.start(delay, timer, command)
                case Emit() | Act():
                    pass
                case Cancel(id=timer):
                    self.timers = [entry for entry in self.timers if entry[2] != timer]
        if self.snapshot.status != "active":
            self.queue.clear()
            self.timers.clear()

    def start(self, delay: float, timer: str | None, event: object) -> None:
        """Start a timer that comes after those due at the same time."""
        self.started += 1
        self.timers.append((self.now + delay, self.started, timer, event))

    def drain(self) -> None:
        """Process the events in the queue."""
        while self.queue and self.snapshot.status == "active":
            self.step(self.queue.popleft())

    def advance(self, milliseconds: float) -> None:
        """Advance the clock, and fire the timers that become due, in order."""
        end = self.now + milliseconds
        while due := min(
            (t for t in self.timers if t[0] <= end), default=None, key=lambda t: t[:2]
        ):
            self.timers.remove(due)
            self.now = due[0]
            self.step(due[3])
            self.drain()
        self.now = end
