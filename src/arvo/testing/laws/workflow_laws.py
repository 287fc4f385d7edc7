"""Judge: holds one scenario of a workflow against each law."""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, Final, final

from attrs import frozen

from arvo.core.commit import Commit
from arvo.core.contracts.versioned import VersionedWorkflow
from arvo.core.events.stamp import Stamp, stamping
from arvo.core.record import Record
from arvo.core.violations.violation import Violation
from arvo.engine.history.migrate import move
from arvo.engine.system.system import System
from arvo.testing.laws.environment import (
    STEPS_MAX,
    Coming,
    Happened,
    Scenario,
    World,
    forget,
    workflows,
)
from arvo.testing.laws.laws import LawViolation
from arvo.testing.laws.outcome import plain, summary
from arvo.testing.strategies.strategies import CLIENT, TIME

# Points of a run at which a law interferes: a shrunk story has no more.
POINTS_MAX: Final = 12
# Of a run that does not end, so much is told.
TOLD_STEPS: Final = 6


@final
@frozen(kw_only=True)
class Judge:
    """The workflow that is searched, and what it is allowed (see `check_workflow`)."""

    system: System
    contract: VersionedWorkflow[Any, Any]
    escapes: frozenset[str]
    may_violate: tuple[type[Violation], ...]
    once: frozenset[type[Any] | str]
    ordered: frozenset[frozenset[str]]
    migrate_to: str | None
    migrate_state: Callable[[Any], Any] | None

    def redelivery(self, scenario: Scenario) -> LawViolation | None:
        """An event that is delivered again, to a worker just started, comes to the same."""
        world = self._played(scenario, scenario.moves)
        for number, happened in enumerate(world.story):
            forget(self.system)
            again = world.settle(happened.coming.event, happened.before, happened.now)
            if plain(again) != plain(happened.settled):
                story = world.told()[: number + 1]
                return LawViolation(
                    law="redelivery changes nothing (redelivery)",
                    problem="the same event on the same record comes to something else when it is "
                    "delivered again",
                    story=(*story, f"delivered again: {summary(again)}"),
                    remedy="keep nothing outside the record (Persist it), and take clock, chance "
                    "and I/O out: event.time says when, `call(...)` asks for the rest",
                )
        return None

    def total(self, scenario: Scenario) -> LawViolation | None:
        """Whatever its services answer, nothing breaks."""
        world = self._played(scenario)
        return self._fault(world, "a workflow takes all that its contracts permit (total)")

    def rest(self, scenario: Scenario) -> LawViolation | None:
        """It comes to an end, or waits for something that can come."""
        world = self._played(scenario, scenario.moves)
        law = "a workflow always comes to rest (rest)"
        if world.options():
            return LawViolation(
                law=law,
                problem=f"it is still going on after {STEPS_MAX} steps",
                story=world.told("and so on", steps=TOLD_STEPS),
                remedy="bound what it repeats: count the tries in its state, and Fail at last",
            )
        return self._stuck(world, law)

    def race(self, scenario: Scenario) -> LawViolation | None:
        """Whatever comes first, timers, replies or signals: nothing breaks, nothing is doubled."""
        law = "timers and replies race safely (race)"
        for world in self._races(scenario):
            broken = self._fault(world, law) or self._doubled(world, law)
            if broken is not None:
                return broken
        return None

    def _races(self, scenario: Scenario) -> Iterator[World]:
        """Play it as drawn, and with each single event out of turn: most races take but one."""
        yield self._played(scenario, scenario.moves)
        for at in range(1, POINTS_MAX):
            options = self._played(scenario, steps=at).options()
            for number in range(1, len(options)):
                world = self._played(scenario, steps=at)
                world.take(world.options()[number])
                world.play()
                yield world
            if not options:
                return

    def _doubled(self, world: World, law: str) -> LawViolation | None:
        asked = Counter(key for each in world.requests for key in (each.type, type(each.data)))
        for key in self.once:
            if asked[key] > 1:
                name = key if isinstance(key, str) else key.__name__
                return LawViolation(
                    law=law,
                    problem=f"it asks for {name} {asked[key]} times, which may be asked for once",
                    story=world.told(),
                    remedy="note in the state that it was asked for, or Cancel the timer when the "
                    "reply comes",
                )
        return None

    def order(self, scenario: Scenario) -> LawViolation | None:
        """Of two replies that may come in either order, neither order comes to another end."""
        for at in range(1, POINTS_MAX):
            first = self._played(scenario, steps=at)
            pair = next(_pairs(first), None)
            if pair is None or frozenset(each.event.type for each in pair) in self.ordered:
                continue
            second = self._played(scenario, steps=at)
            for world, order in ((first, pair), (second, pair[::-1])):
                for coming in order:
                    world.take(coming)
                world.play()
            if self._end(first) != self._end(second):
                types = sorted({each.event.type for each in pair})
                return LawViolation(
                    law="the order of independent replies does not matter (order)",
                    problem=f"it ends as {_said(self._end(first))} or {_said(self._end(second))}, "
                    f"by which comes first",
                    story=(
                        *first.told()[: at + 2],
                        "and in the other order:",
                        *second.told()[at : at + 2],
                    ),
                    remedy="decide when all replies are there (turn.collected, gather), or say "
                    f"ordered=[{tuple(types * 2)[:2]!r}] if the order is meant to matter",
                )
        return None

    def cancellation(self, scenario: Scenario) -> LawViolation | None:
        """Cancelled at any point, it ends, and so does all that it began."""
        law = "cancellation leaves nothing running (cancellation)"
        for at in range(1, POINTS_MAX):
            world = self._played(scenario, scenario.moves, steps=at)
            if len(world.story) < at or world.root is None or world.root.status != "active":
                return None
            with stamping(lambda: Stamp("cancellation", TIME)):
                event = self.contract.cancel("enough", source=CLIENT, subject=world.root.subject)
            happened = world.take(Coming("cancellation", event))
            problem = self._problem(happened)
            world.calm()
            running = [each.handler for each in world.records.values() if each.status == "active"]
            if problem is None and running:
                problem = f"afterwards these still run: {', '.join(sorted(running))}"
            if problem is not None:
                return LawViolation(
                    law=law,
                    problem=problem,
                    story=world.told(),
                    remedy="let it take a Cancellation as its last turn: clean up by events that "
                    "no one waits for, begin nothing, and begin children on its own behalf",
                )
        return None

    def migration(self, scenario: Scenario) -> LawViolation | None:
        """Wherever it is under way, it can be moved to the new version, and goes on there."""
        if self.migrate_to is None:
            return None
        law = "a migration is total (migration)"
        for at in range(1, POINTS_MAX):
            world = self._played(scenario, scenario.moves, steps=at)
            if len(world.story) < at or world.root is None or world.root.status != "active":
                return None
            moved = move(self.system, world.root, to=self.migrate_to, state=self.migrate_state)
            if not isinstance(moved, Record):
                return LawViolation(
                    law=law,
                    problem=f"a run that is under way cannot move: {moved}",
                    story=world.told(f"and moves to {self.migrate_to}"),
                    remedy="let migrate_state map all that the old version can have remembered",
                )
            world.records[moved.subject] = moved
            world.play()
            broken = self._fault(world, law) or self._stuck(world, law)
            if broken is not None:
                return broken
        return None

    def _played(
        self, scenario: Scenario, moves: tuple[int, ...] = (), steps: int = STEPS_MAX
    ) -> World:
        world = World.begin(self.system, scenario)
        world.play(moves, steps=steps)
        return world

    def _fault(self, world: World, law: str) -> LawViolation | None:
        for number, happened in enumerate(world.story, 1):
            problem = self._problem(happened)
            if problem is not None:
                return LawViolation(
                    law=law,
                    problem=problem,
                    story=world.told()[:number],
                    remedy="answer it by commands or a Fail, narrow the contract that permits it, "
                    "or say may_raise=[...] or may_violate=[...] if it is meant",
                )
        return None

    def _problem(self, happened: Happened) -> str | None:
        settled = happened.settled
        if not isinstance(settled, Commit):
            if isinstance(settled, self.may_violate):
                return None
            return f"it violates: {type(settled).__name__}: {settled}"
        failure = None if settled.record is None else settled.record.failure
        # Only what escaped has a stack.
        if failure is None or failure.stack is None or failure.name in self.escapes:
            return None
        return f"an exception escapes: {failure.name}: {failure.message}"

    def _stuck(self, world: World, law: str) -> LawViolation | None:
        refused = any(not isinstance(each.settled, Commit) for each in world.story)
        running = [each for each in world.records.values() if each.status == "active"]
        if refused or not running or any(map(self._listens, running)):
            return None
        return LawViolation(
            law=law,
            problem=f"{running[-1].handler} is still active, and nothing that can come moves it",
            story=world.told(),
            remedy="handle this answer (Complete, Fail, or ask for something else), or set a timer",
        )

    def _listens(self, record: Record) -> bool:
        for handler in workflows(self.system):
            if handler.source == record.handler and record.version in handler.versions:
                return bool(handler.signals_of(record.version))
        return False

    def _end(self, world: World) -> tuple[str, Any]:
        root = world.root
        done = [each for each in world.heard if each.type == self.contract.complete_type]
        status = "nothing" if root is None else root.status
        return status, done[0].raw if done else None


def _pairs(world: World) -> Iterator[tuple[Coming, Coming]]:
    """Give two replies to one workflow that are both on their way."""
    coming = [each for each in world.pending if each.source == "reply"]
    for position, one in enumerate(coming):
        for other in coming[position + 1 :]:
            if one.event.subject == other.event.subject:
                yield one, other


def _said(end: tuple[str, Any]) -> str:
    status, raw = end
    return status if raw is None else f"{status} with {dict(raw)}"
