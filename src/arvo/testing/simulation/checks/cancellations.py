"""Cancellations: no turn is committed past one, and its own turn is as the step decides it."""

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from typing import final

from attrs import frozen

from arvo.core.commit import Commit
from arvo.core.contracts.versioned_workflow import PARENT_SUBJECT
from arvo.core.record import Record
from arvo.core.trace_context import trace_of, with_trace
from arvo.engine.step.advance import cancel_first_turn
from arvo.engine.step.step import StepResult, step_plain
from arvo.engine.system.handler import is_workflow
from arvo.engine.system.outcomes import with_outcomes
from arvo.interpreters.ports.messages import (
    Delivery,
    Message,
    is_cancellation,
    key_of,
    yields_to_cancellation,
)
from arvo.testing.simulation.checks.order import DeliveryKey, delivery_key
from arvo.testing.simulation.checks.trace import Decision


@final
@frozen
class PendingCancellations:
    """The cancellations that were *accepted* and neither *settled* nor *consumed*."""

    accepted: Mapping[DeliveryKey, Message]
    settled: AbstractSet[DeliveryKey]
    consumed: AbstractSet[DeliveryKey]

    def overlooked(
        self, delivery: Delivery, commit: Commit, before: Record | None, decision: Decision
    ) -> str | None:
        """Return the id of a cancellation that an applied commit, decided on *before*, had to yield
        to. A worker may pass over one only if its turn cannot be decided.
        """
        if not yields_to_cancellation(commit):
            return None
        for message in self._pending(delivery):
            last_turn = repeat_turn(delivery, commit, message, before, decision)
            is_passed_over = message.event.id in delivery.progress.passed_over
            if not is_passed_over or isinstance(last_turn, Commit):
                return message.event.id
        return None

    def _pending(self, delivery: Delivery) -> Iterator[Message]:
        key = key_of(delivery.message.to)
        for delivered, message in self.accepted.items():
            if (
                is_cancellation(message)
                and key_of(message.to) == key
                and delivered not in self.settled
                and delivered not in self.consumed
            ):
                yield message


def consumed_message(delivery: Delivery, commit: Commit) -> Message:
    """Return the message that a commit consumes: of the delivery, or the cancellation that replaces
    it.
    """
    message = Message(commit.event, delivery.message.to)
    is_own = delivery_key(message) == delivery_key(delivery.message)
    return delivery.message if is_own else message


def repeat_turn(
    delivery: Delivery,
    commit: Commit,
    consumed: Message,
    before: Record | None,
    decision: Decision,
) -> StepResult:
    """Take the step of a commit again, on the record *before* and under its trace."""
    trace = trace_of([*commit.events, *(timer.event for timer in commit.timers)])
    begin, handler = delivery.message.event, decision.system.handler_at(consumed.event.to)
    is_replaced = delivery_key(consumed) != delivery_key(delivery.message)
    if is_replaced and is_workflow(handler) and (before is None or not before.init):
        now, parent = commit.now or decision.now, begin.raw.get(PARENT_SUBJECT)
        last = cancel_first_turn(handler, consumed.event, before, now, init=begin.id, parent=parent)
        last = with_outcomes(decision.system, last)
        return with_trace(last, trace) if trace is not None and isinstance(last, Commit) else last
    return step_plain(
        decision.system,
        consumed.event,
        before,
        now=decision.now,
        performed=decision.performed,
        trace=trace,
    )
