"""Outcome: the result of a simulated run, and its report."""

from collections.abc import Iterator, Sequence
from typing import Any, final

from attrs import frozen

from arvo.core.events.event import Event
from arvo.engine.sequence_diagram import WIDTH, Arrow, draw_sequence
from arvo.interpreters.ports.messages import OUTBOUND_QUEUE, REPLY_QUEUE
from arvo.testing.simulation.checks.invariant import InvariantViolated
from arvo.testing.simulation.checks.trace import Step
from arvo.testing.simulation.checks.world import World
from arvo.testing.simulation.faults.fault import Fault, OldVersion
from arvo.testing.simulation.setup import StorageKind


@final
@frozen(kw_only=True)
class Simulation:
    """The result of a simulated run.

    *seed*, *faults*, *events*, *workers* and *storage* determine the run: the same five give the
    same result.
    *event_positions*: the positions of its events among the events that were passed to `simulate`.
    *steps*: the deliveries in order. *world*: the final state. *violations*: the promises that the
    run broke, empty if there are none. *runs*: the number of runs so far.
    """

    seed: int
    faults: tuple[Fault, ...]
    events: tuple[Event[Any], ...]
    event_positions: tuple[int, ...]
    steps: tuple[Step, ...]
    world: World
    violations: tuple[InvariantViolated, ...]
    workers: int
    storage: StorageKind = "store"
    runs: int = 1

    @property
    def reproduction(self) -> str:
        """The line of Python that repeats this run."""
        if not self.event_positions:
            return "repeat the moves above to reproduce this run"
        faults = ", ".join(map(repr, self.faults))
        events = ", ".join(f"events[{position}]" for position in self.event_positions)
        older = any(isinstance(fault, OldVersion) for fault in self.faults)
        return (
            f"simulate(system, [{events}], seed={self.seed}, workers={self.workers}, "
            f"storage={self.storage!r},{' older=older,' if older else ''} faults=[{faults}])"
        )

    def draw(self, *, width: int = WIDTH) -> str:
        """Draw the deliveries as a sequence diagram, with each fault below its delivery."""
        return draw_sequence(_arrows(self.steps), width=width)

    def __str__(self) -> str:
        lines = [str(violation) for violation in self.violations] or ["no promise was broken"]
        return "\n".join([*lines, "", self.draw(), "", self.reproduction])


@final
class SimulationFailed(AssertionError):
    """A run broke a promise; *simulation* is the shortest such run that was found."""

    def __init__(self, simulation: Simulation) -> None:
        super().__init__(f"run {simulation.runs} broke a promise:\n{simulation}")
        self.simulation = simulation


def _arrows(steps: Sequence[Step]) -> Iterator[Arrow]:
    for step in steps:
        event = step.event
        end = step.queue
        if step.queue == OUTBOUND_QUEUE:
            end = f"({event.domain})"
        elif step.queue == REPLY_QUEUE:
            end = event.to or REPLY_QUEUE
        yield Arrow(event.source, end, event.type, "; ".join(step.notes) or None)
