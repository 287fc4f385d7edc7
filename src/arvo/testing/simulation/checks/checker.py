"""Checker: observes every call that reaches the servers, and reports broken promises."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, final

from attrs import define, field

from arvo.core.commit import Commit
from arvo.core.events.event import Event
from arvo.core.record import Record
from arvo.engine.step.route import ToHandler
from arvo.engine.system.system import System
from arvo.interpreters.limits.port import SlotRequest
from arvo.interpreters.ports.chains import CommitChain
from arvo.interpreters.ports.messages import (
    DeadLetter,
    Delivery,
    Message,
    timer_message,
)
from arvo.interpreters.ports.results import CommitResult, Committed, Duplicate, Fenced
from arvo.testing.simulation.checks.cancellations import consumed_message
from arvo.testing.simulation.checks.chains import ChainedEvents, turns_of
from arvo.testing.simulation.checks.checkpoints import Checkpoints
from arvo.testing.simulation.checks.forgeries import Forgeries
from arvo.testing.simulation.checks.invariant import Check, InvariantViolated
from arvo.testing.simulation.checks.losses import Losses, event_key
from arvo.testing.simulation.checks.order import DeliveryKey, DeliveryOrder, delivery_key
from arvo.testing.simulation.checks.report import Report, token_of
from arvo.testing.simulation.checks.trace import Decision, Step
from arvo.testing.simulation.checks.turns import Turns, describe
from arvo.testing.simulation.checks.watch import Watch
from arvo.testing.simulation.checks.world import World
from arvo.testing.simulation.limits.check import LimitCheck


@final
@define(eq=False)
class Checker:
    """Tracks accepted and settled events independently of the servers and the workers.

    It compares every answer with its own state. *watch* evaluates the checks of the simulation.
    """

    system: System
    world: World
    checks: tuple[Check, ...]
    clock: Callable[[], datetime]
    is_pair: bool = False
    report: Report = field(factory=Report, init=False)
    checkpoints: Checkpoints = field(init=False)
    losses: Losses = field(init=False)
    forgeries: Forgeries = field(init=False)
    limits: LimitCheck = field(init=False)
    watch: Watch = field(init=False)
    _turns: Turns = field(init=False)
    _order: DeliveryOrder = field(init=False)
    _accepted: dict[DeliveryKey, Message] = field(factory=dict, init=False)
    _settled: set[DeliveryKey] = field(factory=set, init=False)
    _chained: ChainedEvents = field(factory=ChainedEvents, init=False)
    _published: set[DeliveryKey] = field(factory=set, init=False)
    _sent_events: dict[tuple[str, str], Event[Any]] = field(factory=dict, init=False)

    def __attrs_post_init__(self) -> None:
        self._order = DeliveryOrder(self._settled)
        self._turns = Turns(
            self.report, self.world, self.clock, self.is_pair, self._accepted, self._settled
        )
        self.watch = Watch(self.report, self.world, self.checks, self.clock)
        self.losses = Losses(self.report)
        self.forgeries = Forgeries(self.report)
        self.limits = LimitCheck()
        # A store keeps the results with the message, a pair by the event.
        self.checkpoints = Checkpoints(
            (lambda delivery: delivery_key(delivery.message))
            if self.is_pair
            else (lambda delivery: token_of(delivery)[0])
        )

    @property
    def steps(self) -> list[Step]:
        """The deliveries, in order."""
        return self.report.steps

    @property
    def violations(self) -> list[InvariantViolated]:
        """The promises that the run broke."""
        return self.report.violations

    @property
    def commits(self) -> int:
        """The number of events whose commit was applied."""
        return len(self._turns.consumed)

    @property
    def consumed_outside(self) -> list[Event[Any]]:
        """The events from outside that a handler has consumed and will not handle again."""
        return self._turns.consumed_outside

    def on_send(self, message: Message) -> None:
        """Record an event that came from outside."""
        self._accept(message)
        self._turns.outside[delivery_key(message)] = message
        self.watch.evaluate()

    def on_deliver(
        self, delivery: Delivery, worker: str, notes: Sequence[str], *, arrived: bool = True
    ) -> None:
        """Record a delivery, and check that its event was sent (I5), is not early (I7), and does
        not overtake another one of its workflow (I4).
        """
        event, token = delivery.message.event, token_of(delivery)
        is_new = self.report.add_delivery(delivery, worker, notes)
        self._turns.holders[token[0]] = token
        if not arrived:
            return
        if delivery_key(delivery.message) not in self._accepted:
            self._report("I5", f"no applied commit sent {event.type}", delivery)
        if self._chained.has(delivery.message):
            self._report("I5", f"{event.type} was consumed in its chain, unsent", delivery)
        self.losses.check_deaths(delivery)
        if delivery.progress.data is not None and not self.is_pair:
            self.on_progress(delivery, delivery.progress.data, self.checkpoints.find(delivery))
        if not self.is_pair:
            # A broker may deliver early, if the worker returns the timer.
            self._turns.check_due(delivery)
        # One that its process delivers again, because it does not know whether the server has taken
        # it back, overtakes no other than before. If it was deferred, it may still be overtaken.
        if is_new:
            self._check_order(delivery)

    def on_defer(self, delivery: Delivery) -> None:
        """Record that a delivery came before its time: the others of its workflow may pass it."""
        self._order.defer(delivery.message)

    def on_look(self, message: Message) -> None:
        """Record that the broker of a pair says which other messages of a key wait (I4)."""
        self._order.look(message)

    def on_publish(self, message: Message) -> None:
        """Record that the broker of a pair has taken an event: it decides on the order (I4)."""
        key = delivery_key(message)
        if key not in self._published and key not in self._turns.timers:
            self._published.add(key)
            self._order.add(message)

    def on_refuse(self, message: Message) -> None:
        """Record that the broker refuses an event, of which there must be a dead letter (I8)."""
        self._settled.add(delivery_key(message))
        self.losses.add_refused(message)

    def on_progress(self, delivery: Delivery, got: bytes, stored: bytes) -> None:
        """Compare the results of effects that a worker reads with the stored ones."""
        if got != stored and delivery_key(delivery.message) not in self._turns.consumed:
            problem = f"{delivery.message.event.type} came without its stored results"
            self._report("effects", problem, delivery)

    def on_load(self, record: Record | None, current: Record | None) -> None:
        """Compare the record that a worker loads with the *current* one (I4, I5)."""
        if record != current:
            problem = f"a load returned {describe(record)} instead of {describe(current)}"
            self._report("I4", problem, None)

    def on_acquire(
        self, worker: str, requests: Sequence[SlotRequest], results: Sequence[bool]
    ) -> None:
        """Record which deliveries hold their slots, and check that no limit is exceeded."""
        self._report_unlimited(self.limits.acquire(worker, requests, results, self.clock()), None)

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
        # That of a cancellation, if it replaces the event: it has its turn before its own delivery.
        consumed = delivery_key(consumed_message(delivery, commit))
        if isinstance(result, Duplicate):
            if consumed not in self._turns.consumed:
                problem = "reported as a duplicate, but it was not consumed before"
                self._report("I1", problem, delivery)
            self._settled.add(key)
            self.limits.end(delivery)
        elif isinstance(result, Fenced):
            self.add_note(delivery, "the commit of a stale worker is refused")
        if isinstance(result, Committed):
            self._check_slots(delivery, delivery.token, decision)
            self.limits.end(delivery)
            self._chained.add_messages(messages)
            self._apply(delivery, commit, messages, dead_letters, decision)

    def _apply(
        self,
        delivery: Delivery,
        commit: Commit,
        messages: Sequence[Message],
        dead_letters: Sequence[DeadLetter],
        decision: Decision,
    ) -> None:
        """Record a commit that was applied, and check it."""
        self.forgeries.check(delivery, commit, messages)
        if not self._turns.add(delivery, commit, messages, decision):
            return
        self._settled.update(
            map(delivery_key, (delivery.message, consumed_message(delivery, commit)))
        )
        for message in messages:
            self._accept(message)
        for timer in commit.timers:
            message = timer_message(commit, timer)
            self._turns.timers[delivery_key(message)] = timer.due
            self._accept(message)
        self._settled.update(self._turns.cleared_timers(commit))
        self._add_dead_letters(dead_letters)
        self.watch.evaluate()

    def on_chain(self, chain: CommitChain, decision: Decision, worker: str) -> None:
        """Record a chain that was applied: its turns are checked like any other."""
        self._chained.add(chain, self._accepted)
        self._chained.add_messages(chain.messages)
        followers = chain.deliveries[1:]
        for place, (delivery, commit, messages) in enumerate(turns_of(chain)):
            if place and place <= len(followers):
                # It never was delivered by itself.
                self.on_deliver(delivery, worker, ["waited behind the event before it"])
            elif place and self.is_pair:
                overtaken = self._order.overtaken(delivery.message, chain.deliveries[0].message)
                self._report_overtaken(delivery, overtaken)
            elif place:
                self._check_order(delivery)
            token = delivery.token if place <= len(followers) else None
            self._check_slots(delivery, token, decision)
            self._apply(delivery, commit, messages, (), decision)
        self.limits.end(chain.deliveries[0])

    def on_ack(self, delivery: Delivery) -> None:
        """Record an event that left the system and was acknowledged."""
        key, to = delivery_key(delivery.message), delivery.message.to
        if isinstance(to, ToHandler) and to.address in self.system.subscriptions:
            if all(event.id != delivery.message.event.id for event in self.world.outcomes):
                self._report("I1", "an outcome that no listener has heard is gone", delivery)
        elif isinstance(to, ToHandler) and key not in self._turns.consumed:
            self._report("I1", "acknowledged without a commit", delivery)
        self._settled.add(key)
        self.limits.end(delivery)
        self.watch.evaluate()

    def on_dead_letter(
        self, delivery: Delivery, dead_letter: DeadLetter, *, is_served: bool
    ) -> None:
        """Record a dead letter, and check that it has a reason, and that no live worker serves the
        version that its worker lacks (*is_served*) (I8).
        """
        self._settled.add(delivery_key(delivery.message))
        self.limits.end(delivery)
        self.add_note(delivery, f"dead letter: {dead_letter.reason}")
        if is_served:
            problem = "a dead letter, although a live worker serves its version"
            self._report("I8", problem, delivery)
        if not dead_letter.reason:
            self._report("I8", "a dead letter without a reason", delivery)
        self._add_dead_letters([dead_letter])
        self.watch.evaluate()

    def add_note(self, delivery: Delivery | None, text: str) -> None:
        """Add a note to a delivery in the diagram; without a delivery, to the last one."""
        self.report.add_note(delivery, text)

    def as_sent(self, event: Event[Any]) -> Event[Any]:
        """Return an event that left the system as it was sent: with its payload, not as JSON."""
        return self._sent_events.get((event.source, event.id), event)

    def finish(
        self,
        records: Mapping[str, Record | None],
        dead_letters: Iterable[DeadLetter],
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
            self.losses.check_cancellations(self._accepted.values(), self.world.records)
        self.world.dead_letters += self.losses.check_dead_letters(dead_letters, self.clock())
        if idle:
            self.losses.check_reused(self.world.dead_letters)
        for subject, record in self.world.records.items():
            if records.get(subject) != record:
                problem = (
                    f"the store has {describe(records.get(subject))} instead of {describe(record)}"
                )
                self._report("I4", problem, None)
        self.watch.evaluate()
        if idle:
            self.watch.finish()

    def _accept(self, message: Message) -> None:
        key = delivery_key(message)
        if key not in self._accepted:
            self._accepted[key] = message
            if key not in self._turns.timers and not self.is_pair:
                self._order.add(message)
            self.world.sent.append(message.event)
            self._sent_events[message.event.source, message.event.id] = message.event

    def _check_order(self, delivery: Delivery) -> None:
        self._report_overtaken(delivery, self._order.deliver(delivery.message))

    def _report_overtaken(self, delivery: Delivery, overtaken: str | None) -> None:
        if overtaken is not None:
            id_ = delivery.message.event.id
            self._report("I4", f"event {id_!r} overtook event {overtaken!r}", delivery)

    def _add_dead_letters(self, dead_letters: Sequence[DeadLetter]) -> None:
        self.losses.add_dead_letters(dead_letters)
        if self.is_pair:
            # A pair has one dead letter for each event, and the newer one replaces the older.
            new = {event_key(dead_letter.event) for dead_letter in dead_letters}
            old = self.world.dead_letters
            old[:] = [each for each in old if event_key(each.event) not in new]
        self.world.dead_letters += dead_letters

    def _check_slots(self, delivery: Delivery, token: object, decision: Decision) -> None:
        problem = self.limits.find_unlimited(decision.system, delivery.message, token)
        self._report_unlimited(problem, delivery)

    def _report_unlimited(self, problem: str | None, delivery: Delivery | None) -> None:
        if problem is not None:
            self._report("limit", problem, delivery)

    def _report(self, law: str, problem: str, delivery: Delivery | None) -> None:
        self.report.add_violation(law, problem, delivery)
