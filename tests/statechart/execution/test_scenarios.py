"""Every scenario of the SCION SCXML suite that XState passes, with a virtual clock."""

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
from tests.statechart.corpora import chart_of, event_of, scenarios

SETTLE_MS = 60_000
STRUCTURAL = scenarios("structural")
DATAMODEL = scenarios("datamodel")
MEMORIES = {"remembering": 4_096, "forgetting": 0}


@pytest.mark.parametrize("memory", MEMORIES.values(), ids=MEMORIES.keys())
@pytest.mark.parametrize("case", [c for _, c in STRUCTURAL], ids=[name for name, _ in STRUCTURAL])
def test_a_chart_without_data_reaches_the_same_states(case: dict[str, Any], memory: int) -> None:
    """The suite covers hierarchy, parallel regions, history and priorities one by one."""
    chart = chart_of(case["machine"], case, memory=memory)

    assert [Clock(chart).play(case) for _ in range(2)] == [expected(case)] * 2


@pytest.mark.parametrize("memory", MEMORIES.values(), ids=MEMORIES.keys())
@pytest.mark.parametrize("case", [c for _, c in DATAMODEL], ids=[name for name, _ in DATAMODEL])
def test_a_chart_with_data_reaches_the_same_states(case: dict[str, Any], memory: int) -> None:
    """These need assignments, expressions and conditional actions on top."""
    chart = chart_of(case["machine"], case, memory=memory)

    assert [Clock(chart).play(case) for _ in range(2)] == [expected(case)] * 2


def expected(case: dict[str, Any]) -> list[set[str]]:
    """List the leaves that a scenario wants to see, from the start on."""
    after = [set(event["nextConfiguration"]) for event in case["events"]]
    return [set(case["initialConfiguration"]), *after]


class Clock:
    """A runtime of the smallest kind: a queue outside, timers, and time that is told to pass."""

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
        self.absorb(commands)
        if case.get("settle"):
            self.drain()
            self.advance(SETTLE_MS)
        seen = [set(self.snapshot.leaves)]
        self.drain()
        for event in case["events"]:
            self.advance(event.get("after") or 0)
            self.step(event_of(event["event"]))
            self.drain()
            seen.append(set(self.snapshot.leaves))
        return seen

    def step(self, event: object) -> None:
        """Hand *event* to the chart."""
        self.snapshot, commands = transition(self.chart, self.snapshot, event)
        self.absorb(commands)

    def absorb(self, commands: tuple[Command, ...]) -> None:
        """Queue what was sent, start and stop timers; all is dropped when the chart ends."""
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
        """Start a timer behind those that are due at the same time."""
        self.started += 1
        self.timers.append((self.now + delay, self.started, timer, event))

    def drain(self) -> None:
        """Take what waits in the queue."""
        while self.queue and self.snapshot.status == "active":
            self.step(self.queue.popleft())

    def advance(self, milliseconds: float) -> None:
        """Let time pass, and timers come due in order."""
        end = self.now + milliseconds
        while due := min(
            (t for t in self.timers if t[0] <= end), default=None, key=lambda t: t[:2]
        ):
            self.timers.remove(due)
            self.now = due[0]
            self.step(due[3])
            self.drain()
        self.now = end
