"""Report: the deliveries of a simulated run, the notes on them, and the promises that it broke."""

from collections.abc import Sequence
from typing import final

from attrs import define, field

from arvo.interpreters.ports.broker import EncodedDelivery
from arvo.interpreters.ports.messages import Delivery, queue_of
from arvo.testing.simulation.checks.invariant import InvariantViolated
from arvo.testing.simulation.checks.trace import Step


@final
@define(eq=False)
class Report:
    """The *steps* and the *violations* of a run. *repeats*: deliveries that a process repeated."""

    steps: list[Step] = field(factory=list, init=False)
    violations: list[InvariantViolated] = field(factory=list, init=False)
    repeats: int = field(default=0, init=False)
    _by_token: dict[object, Step] = field(factory=dict, init=False)

    def add_delivery(self, delivery: Delivery, worker: str, notes: Sequence[str]) -> bool:
        """Add a delivery. One that its process delivers again, without the broker, adds no step,
        and the answer is False.
        """
        token = token_of(delivery)
        if token in self._by_token:
            self.repeats += 1
            return False
        message = delivery.message
        step = Step(message.event, queue_of(message.to), worker, [*notes])
        self.steps.append(step)
        self._by_token[token] = step
        return True

    def add_note(self, delivery: Delivery | None, text: str) -> None:
        """Add a note to a delivery in the diagram; without a delivery, to the last one."""
        step = None if delivery is None else self._by_token.get(token_of(delivery))
        if step is None and self.steps:
            step = self.steps[-1]
        if step is not None and text not in step.notes:
            step.notes.append(text)

    def add_violation(self, law: str, problem: str, delivery: Delivery | None) -> None:
        """Add a broken promise, the first one of its *law*."""
        if all(violation.law != law for violation in self.violations):
            violation = InvariantViolated(law, problem)
            self.add_note(delivery, str(violation))
            self.violations.append(violation)


def token_of(delivery: Delivery) -> tuple[int, int]:
    """Return the token of a delivery: the number of the entry, and how often it was delivered."""
    token = delivery.token
    token = token.token if isinstance(token, EncodedDelivery) else token
    assert isinstance(token, tuple)
    return token
