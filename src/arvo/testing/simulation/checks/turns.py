"""Turns: checks each commit that was applied against the records and steps before it."""

from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime
from typing import Any, final

from attrs import define, field

from arvo.core.begin import find_other_run, has_chosen_id, may_begin_next
from arvo.core.commit import Commit
from arvo.core.events.event import Event
from arvo.core.events.subject import workflow_id_of
from arvo.core.record import Record
from arvo.core.trace_context import trace_of
from arvo.engine.step.step import decide_taken_id
from arvo.interpreters.ports.messages import Delivery, Message, key_of
from arvo.testing.simulation.checks.begins import Begins
from arvo.testing.simulation.checks.cancellations import (
    PendingCancellations,
    consumed_message,
    repeat_turn,
)
from arvo.testing.simulation.checks.order import DeliveryKey, delivery_key
from arvo.testing.simulation.checks.report import Report, token_of
from arvo.testing.simulation.checks.trace import Decision
from arvo.testing.simulation.checks.world import World


@final
@define(eq=False)
class Turns:
    """The consumed events, the revisions of all records, and the times at which timers are due.

    *accepted* and *settled*: the events that the servers have taken, and those that are done.
    *is_pair*: a pair fences a stale worker by the revision of the record alone, and a handler
    without a record may answer an event again.
    """

    report: Report
    world: World
    clock: Callable[[], datetime]
    is_pair: bool
    accepted: Mapping[DeliveryKey, Message]
    settled: AbstractSet[DeliveryKey]
    # The accepted events that came from outside.
    outside: dict[DeliveryKey, Message] = field(factory=dict, init=False)
    consumed: set[DeliveryKey] = field(factory=set, init=False)
    timers: dict[DeliveryKey, datetime] = field(factory=dict, init=False)
    # The last delivery of each entry.
    holders: dict[int, object] = field(factory=dict, init=False)
    _revisions: dict[str, dict[int, Record]] = field(factory=dict, init=False)
    _outputs: dict[DeliveryKey, list[str]] = field(factory=dict, init=False)
    _begins: Begins = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._begins = Begins(self.report)

    def add(
        self, delivery: Delivery, commit: Commit, messages: Sequence[Message], decision: Decision
    ) -> bool:
        """Check an applied commit and record it; False if it repeats one that has no record."""
        key = delivery_key(consumed_message(delivery, commit))
        ids = [message.event.id for message in messages]
        if self.is_pair and commit.record is None and key in self.consumed:
            # A handler without a record has no journal, and answers again: with the same ids.
            if not commit.expected and ids != self._outputs[key]:
                problem = "the same event was answered by other events"
                self.report.add_violation("I2", problem, delivery)
            return False
        self._check(delivery, commit, decision)
        self._begins.check(delivery, commit, self.world.records)
        # A pair has no journal entry for most events that change nothing, so they come again after
        # a stale acknowledgement. It marks a begin that may begin the next run.
        is_marked = commit.outcome == "duplicate" and may_begin_next(commit.event)
        if is_marked or not (self.is_pair and commit.record is None and commit.expected):
            self.consumed.add(key)
        self._outputs[key] = ids
        if commit.record is not None:
            self.world.records[commit.record.subject] = commit.record
            revisions = self._revisions.setdefault(commit.record.subject, {})
            revisions[commit.record.revision] = commit.record
        return True

    @property
    def consumed_outside(self) -> list[Event[Any]]:
        """The events from outside that a handler has consumed and will not handle again."""
        return [
            message.event
            for key, message in self.outside.items()
            if key in self.consumed
            # A handler without a record has no journal on a pair.
            and not (self.is_pair and key_of(message.to) is None)
        ]

    def cleared_timers(self, commit: Commit) -> list[DeliveryKey]:
        """Return the timers that a commit clears: their events need not come."""
        ids, handler = commit.cleared_timers, commit.handler
        return [key for key in self.timers if key[2] in ids and key[0] == handler]

    def check_due(self, delivery: Delivery) -> None:
        """Check that a timer is not early (I7)."""
        due, now = self.timers.get(delivery_key(delivery.message)), self.clock()
        if due is not None and now < due:
            problem = f"timer {delivery.message.event.id!r} fired {due - now} early"
            self.report.add_violation("I7", problem, delivery)

    def _check(self, delivery: Delivery, commit: Commit, decision: Decision) -> None:
        """Check I2, I3, I4, I6, I7 and I9."""
        report = self.report.add_violation
        consumed = consumed_message(delivery, commit)
        if delivery_key(consumed) not in self.accepted:
            report("I5", f"no applied commit sent {commit.event.type}", delivery)
        if delivery_key(consumed) in self.consumed:
            report("I2", f"{commit.event.type} was applied twice", delivery)
        token = token_of(delivery)
        if not self.is_pair and self.holders.get(token[0]) != token:
            report("I6", "the commit of a stale worker was applied", delivery)
        if self.is_pair and commit.record is not None:
            self.check_due(delivery)
        before = self._revisions.get(commit.event.subject, {}).get(commit.expected)
        # A pair writes nothing for an event that changes nothing, so it compares nothing either.
        if commit.record is not None or (commit.expected and not self.is_pair):
            current = self.world.records.get(commit.event.subject)
            if before != current:
                problem = f"decided on {describe(before)} and applied to {describe(current)}"
                report("I4", problem, delivery)
        # A pair marks a cancellation after it was published: one that a turn has produced may have
        # no mark yet when this commit is applied.
        sent = self.outside if self.is_pair else self.accepted
        pending = PendingCancellations(sent, self.settled, self.consumed)
        passed = pending.overlooked(delivery, commit, before, decision)
        if passed is not None:
            report("stop", f"a turn was committed past cancellation {passed!r}", delivery)
        if delivery_key(consumed) != delivery_key(delivery.message):
            consumed = self.accepted.get(delivery_key(consumed), consumed)
        repeated = repeat_turn(delivery, commit, consumed, before, decision)
        if repeated != commit and not self._refuses_taken_id(commit, decision):
            report("I3", "the same step gives another commit when repeated", delivery)
        after = commit.record
        if before is None or after is None or after.status != "failed":
            return
        # A failed turn must not change the state that earlier turns persisted.
        if (after.state, after.journal) != (before.state, before.journal):
            report("I9", "a failed turn changed the persisted state", delivery)

    def _refuses_taken_id(self, commit: Commit, decision: Decision) -> bool:
        """Return whether a commit answers a begin whose workflow id another run has had."""
        if commit.record is not None or not (has_chosen_id(commit.event) and commit.events):
            return False
        # The worker decides it after the step, when the store has refused the turn.
        now, trace = datetime.fromisoformat(commit.events[0].time), trace_of(commit.events)
        return any(
            commit
            == decide_taken_id(
                decision.system, commit.event, record, commit.expected, now=now, trace=trace
            )
            for revisions in self._revisions.values()
            for record in revisions.values()
            if record.handler == commit.handler
            and find_other_run(record, commit.event)
            and workflow_id_of(record.subject) == workflow_id_of(commit.event.subject)
        )


def describe(record: Record | None) -> str:
    """Return a record as its revision."""
    return "no record" if record is None else f"revision {record.revision}"
