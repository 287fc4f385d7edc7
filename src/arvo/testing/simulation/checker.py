"""Watch: sees every call that reaches the store, and says which promise is broken."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TypeAlias, final

from attrs import define, field

from arvo.core.commit import Commit
from arvo.core.record import Record
from arvo.engine.step.route import ToHandler
from arvo.engine.step.step import take
from arvo.engine.system.system import System
from arvo.interpreters.ports.backend import (
    CommitResult,
    Committed,
    DeadLetter,
    Delivery,
    Duplicate,
    Fenced,
    Message,
    queue_of,
    timer_message,
)
from arvo.testing.simulation.trace import Decided, InvariantViolated, Step
from arvo.testing.simulation.world import Check, World

Place: TypeAlias = tuple[str, str, str, str]


@final
@define(eq=False)
class Watch:
    """Keeps books of its own on what was taken, and compares what store and workers do with them.

    It trusts neither: what a store answered is held against it afterwards.
    """

    system: System
    world: World
    checks: tuple[Check, ...]
    clock: Callable[[], datetime]
    steps: list[Step] = field(factory=list, init=False)
    broken: list[InvariantViolated] = field(factory=list, init=False)
    found: set[int] = field(factory=set, init=False)
    _owed: dict[Place, Message] = field(factory=dict, init=False)
    _over: set[Place] = field(factory=set, init=False)
    _due: dict[Place, datetime] = field(factory=dict, init=False)
    _consumed: set[Place] = field(factory=set, init=False)
    _past: dict[str, dict[int, Record]] = field(factory=dict, init=False)
    _holders: dict[int, object] = field(factory=dict, init=False)
    _by_token: dict[object, Step] = field(factory=dict, init=False)
    _buried: list[DeadLetter] = field(factory=list, init=False)

    def sent(self, message: Message) -> None:
        """Take note of an event that was taken from outside."""
        self._owe(message)
        self._look()

    def handed(
        self, delivery: Delivery, worker: str, notes: Sequence[str], *, arrived: bool = True
    ) -> None:
        """Take note of a delivery; a timer must not come before its time (I7)."""
        event, queue = delivery.message.event, queue_of(delivery.message.to)
        step = Step(event, queue, worker, [*notes])
        self.steps.append(step)
        assert isinstance(delivery.token, tuple)
        self._by_token[delivery.token] = step
        self._holders[delivery.token[0]] = delivery.token
        place = _place(delivery.message)
        if arrived and place not in self._owed:
            self._break(
                "I5", f"{event.type} was sent, and no commit that sends it stands", delivery
            )
        due = self._due.get(place)
        if arrived and due is not None and self.clock() < due:
            self._break("I7", f"timer {event.id!r} came {due - self.clock()} early", delivery)

    def loaded(self, subject: str, record: Record | None) -> None:
        """Compare what a worker reads with what was committed last (I4, I5)."""
        if record != self.world.records.get(subject):
            said = f"a read of {_revision(record)} where {_revision(self._newest(subject))} stands"
            self._break("I4", said, None)

    def committed(
        self,
        delivery: Delivery,
        commit: Commit,
        messages: Sequence[Message],
        dead_letters: Sequence[DeadLetter],
        applied: CommitResult,
        decided: Decided,
    ) -> None:
        """Compare a commit, and the answer to it, with what is in the books."""
        place = _place(delivery.message)
        if isinstance(applied, Duplicate):
            if place not in self._consumed:
                self._break("I1", "taken for consumed before, and it was not", delivery)
            self._over.add(place)
        if not isinstance(applied, Committed):
            if isinstance(applied, Fenced):
                self.note(delivery, "the commit of a stale worker is refused")
            return
        self._judge(delivery, commit, decided)
        self._over.add(place)
        self._consumed.add(place)
        if commit.record is not None:
            self.world.records[commit.record.subject] = commit.record
            past = self._past.setdefault(commit.record.subject, {})
            past[commit.record.revision] = commit.record
        for message in messages:
            self._owe(message)
        for timer in commit.timers:
            message = timer_message(commit, timer)
            self._due[_place(message)] = timer.due
            self._owe(message)
        self._clear(commit)
        self._bury(dead_letters)
        self._look()

    def gone(self, delivery: Delivery) -> None:
        """Take note of an event that went out or home and is settled."""
        if isinstance(delivery.message.to, ToHandler):
            self._break("I1", "acknowledged, and nothing was committed", delivery)
        self._over.add(_place(delivery.message))
        self._look()

    def buried(self, delivery: Delivery, dead_letter: DeadLetter) -> None:
        """Take note of a dead letter, which must give a reason (I8)."""
        self._over.add(_place(delivery.message))
        self.note(delivery, f"dead letter: {dead_letter.reason}")
        if not dead_letter.reason:
            self._break("I8", "a dead letter without a reason", delivery)
        self._bury([dead_letter])
        self._look()

    def note(self, delivery: Delivery | None, said: str) -> None:
        """Write something below a delivery in the drawing; below the last one if there is none."""
        step = None if delivery is None else self._by_token.get(delivery.token)
        if step is None and self.steps:
            step = self.steps[-1]
        if step is not None:
            step.notes.append(said)

    def end(
        self,
        records: Mapping[str, Record | None],
        dead_letters: Mapping[str, DeadLetter],
        *,
        rested: bool,
    ) -> None:
        """Close the books: all that was taken must have come to an end (I1, I8)."""
        self.world.at_rest = rested
        if rested:
            for place, message in self._owed.items():
                if place not in self._over:
                    said = f"{message.event.type} to {place[0]} was taken and never carried through"
                    self._break("I1", said, None)
        kept = {
            (each.event.source, each.event.id, each.event.type) for each in dead_letters.values()
        }
        for dead_letter in self._buried:
            if (dead_letter.event.source, dead_letter.event.id, dead_letter.event.type) not in kept:
                self._break("I8", f"the dead letter of {dead_letter.event.type} is gone", None)
        for subject, record in self.world.records.items():
            if records.get(subject) != record:
                said = f"{_revision(records.get(subject))} is left where {_revision(record)} stood"
                self._break("I4", said, None)
        self._look()
        for check in self.checks:
            if rested and check.when == "eventually" and not check.holds(self.world):
                self._break(check.name, "does not hold in the end", None)

    def _judge(self, delivery: Delivery, commit: Commit, decided: Decided) -> None:
        """Judge a commit that was applied: I2, I3, I4, I6, I9."""
        if _place(delivery.message) in self._consumed:
            self._break("I2", f"{commit.event.type} was applied twice", delivery)
        assert isinstance(delivery.token, tuple)
        if self._holders.get(delivery.token[0]) != delivery.token:
            self._break("I6", "the commit of a stale worker was applied", delivery)
        before = self._past.get(commit.event.subject, {}).get(commit.expected)
        if commit.record is not None or commit.expected:
            newest = self._newest(commit.event.subject)
            if before != newest:
                said = f"decided on {_revision(before)} and applied to {_revision(newest)}"
                self._break("I4", said, delivery)
        event = delivery.message.event
        once_more = take(self.system, event, before, now=decided.now, performed=decided.performed)
        if once_more != commit:
            self._break("I3", "the same step, taken once more, gives another commit", delivery)
        after = commit.record
        if before is None or after is None or after.status != "failed":
            return
        # What the handler last persisted must stay readable, whatever its last turn said.
        if (after.state, after.journal) != (before.state, before.journal):
            self._break("I9", "the failure has changed what is remembered", delivery)

    def _newest(self, subject: str) -> Record | None:
        return self.world.records.get(subject)

    def _owe(self, message: Message) -> None:
        place = _place(message)
        if place not in self._owed:
            self._owed[place] = message
            self.world.sent.append(message.event)

    def _clear(self, commit: Commit) -> None:
        """Nobody owes a timer that was cleared."""
        for place in list(self._due):
            if place[2] in commit.cleared_timers and place[0] == commit.handler:
                self._over.add(place)

    def _bury(self, dead_letters: Sequence[DeadLetter]) -> None:
        self._buried += dead_letters
        self.world.letters += dead_letters

    def _look(self) -> None:
        """Ask the invariants, now that something has changed."""
        self.world.now = self.clock()
        for number, check in enumerate(self.checks):
            if check.when == "always" and not check.holds(self.world):
                self._break(check.name, "does not hold any more", None)
            elif check.when == "sometimes" and check.holds(self.world):
                self.found.add(number)

    def _break(self, law: str, said: str, delivery: Delivery | None) -> None:
        if all(each.law != law for each in self.broken):
            self.note(delivery, f"{law} is broken: {said}")
            self.broken.append(InvariantViolated(law, said))


def _place(message: Message) -> Place:
    """Name an event at the place that it goes to: what must happen there at most once."""
    return queue_of(message.to), message.event.source, message.event.id, message.event.subject


def _revision(record: Record | None) -> str:
    return "no record" if record is None else f"revision {record.revision}"
