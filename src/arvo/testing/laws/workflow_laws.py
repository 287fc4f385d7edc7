"""Workflow laws: each law as a function from a scenario to its violation, or None."""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, Final, final

from attrs import field, frozen

from arvo.core.commit import Commit
from arvo.core.contracts.versioned_workflow import VersionedWorkflow
from arvo.core.events.stamp import Stamp, stamping
from arvo.core.record import Record
from arvo.engine.history.migrate import migrate_plain
from arvo.engine.system.system import System
from arvo.testing.laws.environment import STEPS_MAX, Environment, clear_flow_caches
from arvo.testing.laws.outcome import comparable, summarise
from arvo.testing.laws.run_checks import RunChecks
from arvo.testing.laws.scenario import Scenario
from arvo.testing.laws.trace import PendingEvent
from arvo.testing.laws.violation import LawViolation
from arvo.testing.strategies.strategies import CLIENT, TIME

# Points of a run at which a law interferes. A shrunk trace has no more steps.
POINTS_MAX: Final = 12
# Steps that are reported of a run that does not end.
REPORTED_STEPS: Final = 6
_OUTCOME_CHARACTERS_MAX: Final = 120


@final
@frozen(kw_only=True)
class WorkflowLaws:
    """The laws of one workflow: see `check_workflow` for each law and for the options.

    *cases* counts for each law how often it had something to check, and *steps* the steps of all
    runs that a handler took. *sent* collects the requests of all runs that `once` may name.
    """

    system: System
    contract: VersionedWorkflow[Any, Any]
    checks: RunChecks
    ordered: frozenset[frozenset[str]]
    migrate_to: str | None
    migrate_state: Callable[[Any], Any] | None
    cases: Counter[str] = field(factory=Counter, eq=False)
    outcomes: Counter[str] = field(factory=Counter, eq=False)
    sent: set[Any] = field(factory=set, eq=False)

    def redelivery(self, scenario: Scenario) -> LawViolation | None:
        """A redelivered event has the same result, also on a worker without caches."""
        run = self._run(scenario, scenario.moves)
        for number, entry in enumerate(run.trace):
            self.cases["redelivery"] += 1
            clear_flow_caches(self.system)
            again = run.step(entry.delivered.event, entry.before, entry.now)
            if comparable(again) != comparable(entry.result):
                trace = run.format_trace()[: number + 1]
                return LawViolation(
                    law="a redelivered event changes nothing (redelivery)",
                    problem="the same event on the same record has another result when it is "
                    "delivered again",
                    trace=(*trace, f"delivered again: {summarise(again)}"),
                    remedy="keep all state in the record (Persist), and use no clock, randomness "
                    "or I/O: read event.time, and use `call(...)` for everything else",
                )
        return None

    def total(self, scenario: Scenario) -> LawViolation | None:
        """A workflow handles every reply of its services."""
        run = self._run(scenario)
        law = "a workflow handles every event that its contracts permit (total)"
        self.cases["total"] += len(run.trace)
        return self.checks.find_failure(run, law)

    def rest(self, scenario: Scenario) -> LawViolation | None:
        """A workflow ends, or waits for an event that can come."""
        run = self._run(scenario, scenario.moves)
        law = "a workflow ends or waits for an event that can come (rest)"
        self.cases["rest"] += run.root is not None
        if run.options():
            return LawViolation(
                law=law,
                problem=f"it is still running after {STEPS_MAX} steps",
                trace=run.format_trace("and so on", steps=REPORTED_STEPS),
                remedy="limit what it repeats: count the attempts in its state, and Fail at a "
                "maximum",
            )
        return self.checks.find_stuck_workflow(run, law)

    def race(self, scenario: Scenario) -> LawViolation | None:
        """Timers, replies and signals may come in any order."""
        law = "timers, replies and signals may come in any order (race)"
        for run in self._run_races(scenario):
            violation = self.checks.find_failure(run, law)
            violation = violation or self.checks.find_duplicate_request(run, law)
            if violation is not None:
                return violation
        return None

    def _run_races(self, scenario: Scenario) -> Iterator[Environment]:
        """Yield the run of *scenario*, and runs with one event out of order, enough for most."""
        yield self._run(scenario, scenario.moves)
        for point in range(1, POINTS_MAX):
            options = self._run(scenario, steps=point).options()
            for position in range(1, len(options)):
                run = self._run(scenario, steps=point)
                run.deliver(run.options()[position])
                run.deliver_all()
                self.cases["race"] += 1
                yield run
            if not options:
                return

    def order(self, scenario: Scenario) -> LawViolation | None:
        """Two replies that are pending at once lead to the same end in either order."""
        for point in range(1, POINTS_MAX):
            first = self._run(scenario, steps=point)
            pair = next(_reply_pairs(first), None)
            if pair is None or frozenset(reply.event.type for reply in pair) in self.ordered:
                continue
            self.cases["order"] += 1
            second = self._run(scenario, steps=point)
            for run, replies in ((first, pair), (second, pair[::-1])):
                for reply in replies:
                    run.deliver(reply)
                run.deliver_all()
            ends = self._final_state(first), self._final_state(second)
            if ends[0] != ends[1]:
                types = sorted({reply.event.type for reply in pair})
                return LawViolation(
                    law="the order of independent replies does not matter (order)",
                    problem=f"it ends as {_describe(ends[0])} or as {_describe(ends[1])}, "
                    f"depending on which reply comes first",
                    trace=(
                        *first.format_trace()[: point + 2],
                        "in the other order:",
                        *second.format_trace()[point : point + 2],
                    ),
                    remedy="wait for all replies (turn.collected, gather), or pass "
                    f"ordered=[{tuple(types * 2)[:2]!r}] if the order is meant to matter",
                )
        return None

    def cancellation(self, scenario: Scenario) -> LawViolation | None:
        """A workflow that is cancelled at any point ends, and so do its children."""
        for point in range(1, POINTS_MAX):
            run = self._run_until(point, scenario)
            if run is None:
                return None
            self.cases["cancellation"] += 1
            with stamping(lambda: Stamp("cancellation", TIME)):
                event = self.contract.cancel(
                    "enough", source=CLIENT, subject=scenario.event.subject
                )
            entry = run.deliver(PendingEvent("cancellation", event))
            problem = self.checks.problem_of(entry)
            run.deliver_internal_events()
            active = sorted(r.handler for r in run.records.values() if r.status == "active")
            if problem is None and active:
                problem = f"these workflows are still running afterwards: {', '.join(active)}"
            if problem is not None:
                return LawViolation(
                    law="cancellation leaves nothing running (cancellation)",
                    problem=problem,
                    trace=run.format_trace(),
                    remedy="handle the Cancellation as the last turn: send only clean-up events "
                    "that need no reply, and start children with this workflow as their parent",
                )
        return None

    def migration(self, scenario: Scenario) -> LawViolation | None:
        """An active run can be migrated at any point, and continues in the new version."""
        if self.migrate_to is None:
            return None
        law = "every active run can be migrated (migration)"
        for point in range(1, POINTS_MAX):
            run = self._run_until(point, scenario)
            if run is None or run.root is None:
                return None
            self.cases["migration"] += 1
            migrated = migrate_plain(
                self.system, run.root, to=self.migrate_to, state=self.migrate_state
            )
            if not isinstance(migrated, Record):
                return LawViolation(
                    law=law,
                    problem=f"an active run cannot be migrated: {migrated}",
                    trace=run.format_trace(f"migration to {self.migrate_to}"),
                    remedy="let migrate_state map every state that the old version can persist",
                )
            run.records[migrated.subject] = migrated
            run.deliver_all()
            violation = self.checks.find_failure(run, law)
            violation = violation or self.checks.find_stuck_workflow(run, law)
            if violation is not None:
                return violation
        return None

    def _run(
        self, scenario: Scenario, moves: tuple[int, ...] = (), steps: int = STEPS_MAX
    ) -> Environment:
        run = Environment.start(self.system, scenario)
        run.deliver_all(moves, steps=steps)
        self._count(run)
        return run

    def _count(self, run: Environment) -> None:
        for entry in run.trace:
            result = entry.result
            handled = isinstance(result, Commit) and result.outcome == "handled"
            self.outcomes[
                "handled" if handled else summarise(result)[:_OUTCOME_CHARACTERS_MAX]
            ] += 1
        self.sent.update(key for sent in run.requests for key in (sent.type, type(sent.data)))

    def _run_until(self, point: int, scenario: Scenario) -> Environment | None:
        """Return the run after *point* steps, or None if the workflow is not active there."""
        run = self._run(scenario, scenario.moves, steps=point)
        is_active = run.root is not None and run.root.status == "active"
        return run if len(run.trace) == point and is_active else None

    def _final_state(self, run: Environment) -> tuple[str, Any]:
        root = run.root
        completions = [event for event in run.outbound if event.type == self.contract.complete_type]
        status = "nothing" if root is None else root.status
        return status, completions[0].raw if completions else None


def _reply_pairs(run: Environment) -> Iterator[tuple[PendingEvent, PendingEvent]]:
    """Yield pairs of pending replies to the same workflow."""
    replies = [pending for pending in run.pending if pending.source == "reply"]
    for position, one in enumerate(replies):
        for other in replies[position + 1 :]:
            if one.event.subject == other.event.subject:
                yield one, other


def _describe(end: tuple[str, Any]) -> str:
    status, raw = end
    return status if raw is None else f"{status} with {dict(raw)}"
