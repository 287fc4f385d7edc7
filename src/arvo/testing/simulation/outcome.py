"""Outcome: a simulated run that is over, and the story that it tells."""

from collections.abc import Iterator, Sequence
from typing import Any, final

from attrs import frozen

from arvo.core.events.event import Event
from arvo.engine.sequence_diagram import WIDTH, Arrow, draw_sequence
from arvo.interpreters.ports.backend import OUTBOUND_QUEUE, REPLY_QUEUE
from arvo.testing.simulation.faults import Fault
from arvo.testing.simulation.trace import InvariantViolated, Step
from arvo.testing.simulation.world import World


@final
@frozen(kw_only=True)
class Simulation:
    """What came of a simulated run.

    *seed*, *faults* and *events* are what it was made of: the same three give the same run. *kept*
    are the positions of its events among those that were given. *steps*: the deliveries, in order.
    *world*: what it was like in the end. *broken*: the promises that were not kept; () if all were.
    *runs*: how many runs it took to come here.
    """

    seed: int
    faults: tuple[Fault, ...]
    events: tuple[Event[Any], ...]
    kept: tuple[int, ...]
    steps: tuple[Step, ...]
    world: World
    broken: tuple[InvariantViolated, ...]
    workers: int
    runs: int = 1

    @property
    def line(self) -> str:
        """The line of Python that gives this run again."""
        if not self.kept:
            return "its moves give it again"
        faults = ", ".join(map(repr, self.faults))
        kept = ", ".join(f"events[{position}]" for position in self.kept)
        return (
            f"simulate(system, [{kept}], seed={self.seed}, workers={self.workers},"
            f" faults=[{faults}])"
        )

    def draw(self, *, width: int = WIDTH) -> str:
        """Draw the deliveries as a sequence diagram, each fault below the one that it hit."""
        return draw_sequence(_arrows(self.steps), width=width)

    def __str__(self) -> str:
        said = [str(each) for each in self.broken] or ["all promises are kept"]
        return "\n".join([*said, "", self.draw(), "", self.line])


@final
class SimulationFailed(AssertionError):
    """A promise was not kept; *simulation* is the shortest run that shows it."""

    def __init__(self, simulation: Simulation) -> None:
        super().__init__(f"after {simulation.runs} runs:\n{simulation}")
        self.simulation = simulation


def _arrows(steps: Sequence[Step]) -> Iterator[Arrow]:
    for step in steps:
        event = step.event
        end = step.lane
        if step.lane == OUTBOUND_QUEUE:
            end = f"({event.domain})"
        elif step.lane == REPLY_QUEUE:
            end = event.to or REPLY_QUEUE
        yield Arrow(event.source, end, event.type, "; ".join(step.notes) or None)
