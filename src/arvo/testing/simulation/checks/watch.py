"""Watch: evaluates the checks of a simulation after each change."""

from collections.abc import Callable
from datetime import datetime
from typing import final

from attrs import define, field

from arvo.testing.simulation.checks.invariant import Check
from arvo.testing.simulation.checks.report import Report
from arvo.testing.simulation.checks.world import World


@final
@define(eq=False)
class Watch:
    """The *checks* of a run. *observed*: the positions of the `sometimes` checks that held."""

    report: Report
    world: World
    checks: tuple[Check, ...]
    clock: Callable[[], datetime]
    observed: set[int] = field(factory=set, init=False)

    def evaluate(self) -> None:
        """Evaluate the checks after a change."""
        self.world.now = self.clock()
        for number, check in enumerate(self.checks):
            if check.when == "always" and not check.holds(self.world):
                self.report.add_violation(check.name, "no longer holds", None)
            elif check.when == "sometimes" and check.holds(self.world):
                self.observed.add(number)

    def finish(self) -> None:
        """Evaluate the checks of the final state of a system that is idle."""
        for check in self.checks:
            if check.when == "eventually" and not check.holds(self.world):
                self.report.add_violation(check.name, "does not hold at the end", None)
