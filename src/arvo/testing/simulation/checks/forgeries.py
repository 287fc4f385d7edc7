"""Forgeries: checks that no forged event from outside has an effect (I12)."""

from collections.abc import Sequence
from typing import Any, final

from attrs import define, field

from arvo.core.commit import Commit
from arvo.core.events.event import Event
from arvo.interpreters.ports.messages import Delivery, Message
from arvo.testing.simulation.checks.report import Report


@final
@define(eq=False)
class Forgeries:
    """The forged events that the door has let in."""

    report: Report
    _entered: set[tuple[str, str]] = field(factory=set, init=False)

    def add(self, event: Event[Any]) -> None:
        """Record a forged event that the door has let in."""
        self._entered.add((event.source, event.id))

    def check(self, delivery: Delivery, commit: Commit, messages: Sequence[Message]) -> None:
        """Check that an applied commit is not the effect of a forged event."""
        event = commit.event
        if (event.source, event.id) in self._entered and (commit.record is not None or messages):
            effect = "was answered" if commit.record is None else "changed a workflow"
            problem = f"{event.type}, which an outsider forged, {effect}"
            self.report.add_violation("I12", problem, delivery)
