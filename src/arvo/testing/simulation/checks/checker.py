"""Checker: observes every call that reaches the store, and reports broken promises."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import final

from attrs import define, field

from arvo.core.commit import Commit
from arvo.core.record import Record
from arvo.engine.step.route import ToHandler
from arvo.engine.system.system import System
from arvo.interpreters.ports.messages import DeadLetter, Delivery, Message, queue_of, timer_message
from arvo.interpreters.ports.results import CommitResult, Committed, Duplicate, Fenced
from arvo.testing.simulation.checks.cancellations import (
    PendingCancellations,
    consumed_message,
    repeat_turn,
)
from arvo.testing.simulation.checks.checkpoints import Checkpoints
from arvo.testing.simulation.checks.invariant import Check, InvariantViolated
from arvo.testing.simulation.checks.order import DeliveryKey, DeliveryOrder, delivery_key
from arvo.testing.simulation.checks.trace import Decision, Step
from arvo.testing.simulation.checks.world import World


@final
@define(eq=False)
class Checker:
    """Tracks accepted and settled events independently of the store and the workers.

    It compares every answer of the store with its own state. *violations* holds the promises that
    the run broke, *observed* the positions of the `sometimes` checks that held.
    """

    system: System
    world: World
    checks: tuple[Check, ...]
    clock: Callable[[], datetime]
    steps: list[Step] = field(factory=list, init=False)
    violations: list[InvariantViolated] = field(factory=list, init=False)
    observed: set[int] = field(factory=set, init=False)
    _accepted: dict[DeliveryKey, Message] = field(factory=dict, init=False)
    _settled: set[DeliveryKey] = field(factory=set, init=False)
    _timers: dict[DeliveryKey, datetime] = field(factory=dict, init=False)
    _consumed: set[DeliveryKey] = field(factory=set, init=False)
    _revisions: dict[str, dict[int, Record]] = field(factory=dict, init=False)
    _holders: dict[int, object] = field(factory=dict, init=False)
    _by_token: dict[object, Step] = field(factory=dict, init=False)
    _dead_letters: list[DeadLetter] = field(factory=list, init=False)
    checkpoints: Checkpoints = field(factory=Checkpoints, init=False)
    _order: DeliveryOrder = field(init=False)
    _cancellations: PendingCancellations = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._order = DeliveryOrder(self._settled)
        self._cancellations = PendingCancellations(self._accepted, self._settled, self._consumed)

    @property
    def commits(self) -> int:
        """The number of events whose commit was applied."""
        return len(self._consumed)

    def on_send(self, message: Message) -> None:
        """Record an event that came from outside."""
        self._accept(message)
        self._check_invariants()

    def on_deliver(
        self, delivery: Delivery, worker: str, notes: Sequence[str], *, arrived: bool = True
    ) -> None:
        """Record a delivery, and check that its event was sent (I5), is not early (I7), and does
        not overtake another one of its workflow (I4).
        """
        event, queue = delivery.message.event, queue_of(delivery.message.to)
        step = Step(event, queue, worker, [*notes])
        self.steps.append(step)
        assert isinstance(delivery.token, tuple)
        self._by_token[delivery.token] = step
        self._holders[delivery.token[0]] = delivery.token
        key = delivery_key(delivery.message)
        if not arrived:
            return
        if key not in self._accepted:
            self._report("I5", f"no applied commit sent {event.type}", delivery)
        if self.checkpoints.is_lost(delivery):
            self._report("effects", f"{event.type} came without its stored results", delivery)
        if (due := self._timers.get(key)) is not None and self.clock() < due:
            self._report("I7", f"timer {event.id!r} fired {due - self.clock()} early", delivery)
        if (overtaken := self._order.deliver(delivery.message)) is not None:
            self._report("I4", f"event {event.id!r} overtook event {overtaken!r}", delivery)

    def on_defer(self, delivery: Delivery) -> None:
        """Record that a delivery came before its time: the others of its workflow may pass it."""
        self._order.defer(delivery.message)

    def on_load(self, subject: str, record: Record | None) -> None:
        """Compare the record that a worker loads with the last committed one (I4, I5)."""
        current = self.world.records.get(subject)
        if record != current:
            problem = f"a load returned {_describe(record)} instead of {_describe(current)}"
            self._report("I4", problem, None)

    def on_commit(
        self,
        delivery: Delivery,
        commit: Commit,
        messages: Sequence[Message],
        dead_letters: Sequence[DeadLetter],
        result: CommitResult,
        decision: Decision,
    ) -> None:
        """Record a commit, and check its result."""
        key = delivery_key(delivery.message)
        if isinstance(result, Duplicate):
            if key not in self._consumed:
                problem = "reported as a duplicate, but it was not consumed before"
                self._report("I1", problem, delivery)
            self._settled.add(key)
        if not isinstance(result, Committed):
            if isinstance(result, Fenced):
                self.add_note(delivery, "the commit of a stale worker is refused")
            return
        self._check_commit(delivery, commit, decision)
        self._settled.add(key)
        self._consumed.add(delivery_key(consumed_message(delivery, commit)))
        if commit.record is not None:
            self.world.records[commit.record.subject] = commit.record
            revisions = self._revisions.setdefault(commit.record.subject, {})
            revisions[commit.record.revision] = commit.record
        for message in messages:
            self._accept(message)
        for timer in commit.timers:
            message = timer_message(commit, timer)
            self._timers[delivery_key(message)] = timer.due
            self._accept(message)
        self._clear_timers(commit)
        self._add_dead_letters(dead_letters)
        self._check_invariants()

    def on_ack(self, delivery: Delivery) -> None:
        """Record an event that left the system and was acknowledged."""
        if isinstance(delivery.message.to, ToHandler):
            self._report("I1", "acknowledged without a commit", delivery)
        self._settled.add(delivery_key(delivery.message))
        self._check_invariants()

    def on_dead_letter(
        self, delivery: Delivery, dead_letter: DeadLetter, *, is_served: bool
    ) -> None:
        """Record a dead letter, and check that it has a reason, and that no live worker serves the
        version that its worker lacks (*is_served*) (I8).
        """
        self._settled.add(delivery_key(delivery.message))
        self.add_note(delivery, f"dead letter: {dead_letter.reason}")
        if is_served:
            problem = "a dead letter, although a live worker serves its version"
            self._report("I8", problem, delivery)
        if not dead_letter.reason:
            self._report("I8", "a dead letter without a reason", delivery)
        self._add_dead_letters([dead_letter])
        self._check_invariants()

    def add_note(self, delivery: Delivery | None, text: str) -> None:
        """Add a note to a delivery in the diagram; without a delivery, to the last one."""
        step = None if delivery is None else self._by_token.get(delivery.token)
        if step is None and self.steps:
            step = self.steps[-1]
        if step is not None:
            step.notes.append(text)

    def finish(
        self,
        records: Mapping[str, Record | None],
        dead_letters: Mapping[str, DeadLetter],
        *,
        idle: bool,
    ) -> None:
        """Check the final state: events (I1), dead letters (I8), records (I4) and checks."""
        self.world.is_idle = idle
        if idle:
            for key, message in self._accepted.items():
                if key not in self._settled:
                    problem = f"{message.event.type} to {key[0]} was accepted and never settled"
                    self._report("I1", problem, None)
        stored = {_event_key(dead_letter) for dead_letter in dead_letters.values()}
        for dead_letter in self._dead_letters:
            if _event_key(dead_letter) not in stored:
                problem = f"the dead letter of {dead_letter.event.type} is lost"
                self._report("I8", problem, None)
        for subject, record in self.world.records.items():
            if records.get(subject) != record:
                problem = (
                    f"the store has {_describe(records.get(subject))} "
                    f"instead of {_describe(record)}"
                )
                self._report("I4", problem, None)
        self._check_invariants()
        for check in self.checks:
            if idle and check.when == "eventually" and not check.holds(self.world):
                self._report(check.name, "does not hold at the end", None)

    def _check_commit(self, delivery: Delivery, commit: Commit, decision: Decision) -> None:
        """Check an applied commit: I2, I3, I4, I6, I9, and that it passes no cancellation."""
        consumed = consumed_message(delivery, commit)
        if delivery_key(consumed) not in self._accepted:
            self._report("I5", f"no applied commit sent {commit.event.type}", delivery)
        if delivery_key(consumed) in self._consumed:
            self._report("I2", f"{commit.event.type} was applied twice", delivery)
        assert isinstance(delivery.token, tuple)
        if self._holders.get(delivery.token[0]) != delivery.token:
            self._report("I6", "the commit of a stale worker was applied", delivery)
        before = self._revisions.get(commit.event.subject, {}).get(commit.expected)
        if commit.record is not None or commit.expected:
            current = self.world.records.get(commit.event.subject)
            if before != current:
                problem = f"decided on {_describe(before)} and applied to {_describe(current)}"
                self._report("I4", problem, delivery)
        overlooked = self._cancellations.overlooked(delivery, commit, before, decision)
        if overlooked is not None:
            self._report("stop", f"a turn was committed past cancellation {overlooked!r}", delivery)
        if consumed is not delivery.message:
            # As it was sent; the commit has it with its payload.
            consumed = self._accepted.get(delivery_key(consumed), consumed)
        repeated = repeat_turn(delivery, commit, consumed, before, decision)
        if repeated != commit:
            self._report("I3", "the same step gives another commit when repeated", delivery)
        after = commit.record
        if before is None or after is None or after.status != "failed":
            return
        # A failed turn must not change the state that earlier turns persisted.
        if (after.state, after.journal) != (before.state, before.journal):
            self._report("I9", "a failed turn changed the persisted state", delivery)

    def _accept(self, message: Message) -> None:
        key = delivery_key(message)
        if key not in self._accepted:
            self._accepted[key] = message
            if key not in self._timers:
                self._order.add(message)
            self.world.sent.append(message.event)

    def _clear_timers(self, commit: Commit) -> None:
        """Mark cleared timers as settled: their events need not come."""
        for key in list(self._timers):
            if key[2] in commit.cleared_timers and key[0] == commit.handler:
                self._settled.add(key)

    def _add_dead_letters(self, dead_letters: Sequence[DeadLetter]) -> None:
        self._dead_letters += dead_letters
        self.world.dead_letters += dead_letters

    def _check_invariants(self) -> None:
        """Evaluate the checks after a change."""
        self.world.now = self.clock()
        for number, check in enumerate(self.checks):
            if check.when == "always" and not check.holds(self.world):
                self._report(check.name, "no longer holds", None)
            elif check.when == "sometimes" and check.holds(self.world):
                self.observed.add(number)

    def _report(self, law: str, problem: str, delivery: Delivery | None) -> None:
        if all(violation.law != law for violation in self.violations):
            violation = InvariantViolated(law, problem)
            self.add_note(delivery, str(violation))
            self.violations.append(violation)


def _event_key(dead_letter: DeadLetter) -> tuple[str, str, str]:
    return dead_letter.event.source, dead_letter.event.id, dead_letter.event.type


def _describe(record: Record | None) -> str:
    return "no record" if record is None else f"revision {record.revision}"
