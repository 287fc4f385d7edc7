"""Run checks: the problems that a law looks for in one run of a workflow."""

from collections import Counter
from typing import Any, final

from attrs import frozen

from arvo.core.commit import Commit
from arvo.core.record import Record
from arvo.core.violations.violation import Violation
from arvo.engine.system.system import System
from arvo.testing.laws.environment import Environment, workflow_handlers
from arvo.testing.laws.trace import TraceEntry
from arvo.testing.laws.violation import LawViolation


@final
@frozen(kw_only=True)
class RunChecks:
    """Looks for problems in a run, except for those that the caller allows.

    *allowed_exceptions* holds the names of exceptions that a workflow need not handle.
    *may_violate* holds classes of violations that are intended. *once* holds payload classes and
    event types that a run may request only once.
    """

    system: System
    allowed_exceptions: frozenset[str]
    may_violate: tuple[type[Violation], ...]
    once: frozenset[type[Any] | str]

    def find_failure(self, run: Environment, law: str) -> LawViolation | None:
        """Return a violation of *law* if a turn raised or violated."""
        for number, entry in enumerate(run.trace, 1):
            problem = self.problem_of(entry)
            if problem is not None:
                return LawViolation(
                    law=law,
                    problem=problem,
                    trace=run.format_trace()[:number],
                    remedy="return commands or a Fail for this event, narrow the contract that "
                    "permits it, or pass may_raise=[...] or may_violate=[...] if it is intended",
                )
        return None

    def problem_of(self, entry: TraceEntry) -> str | None:
        """Return a description if the turn raised or violated."""
        result = entry.result
        if not isinstance(result, Commit):
            if isinstance(result, self.may_violate):
                return None
            return f"a turn violates: {type(result).__name__}: {result}"
        failure = None if result.record is None else result.record.failure
        # A failure has a stack only if the handler raised an exception.
        if failure is None or failure.stack is None or failure.name in self.allowed_exceptions:
            return None
        return f"an exception is not handled: {failure.name}: {failure.message}"

    def find_duplicate_request(self, run: Environment, law: str) -> LawViolation | None:
        """Return a violation of *law* if a request of *once* was sent more than once."""
        counts = Counter(
            key for request in run.requests for key in (request.type, type(request.data))
        )
        for key in self.once:
            if counts[key] > 1:
                name = key if isinstance(key, str) else key.__name__
                return LawViolation(
                    law=law,
                    problem=f"it requests {name} {counts[key]} times, and `once` allows one",
                    trace=run.format_trace(),
                    remedy="record in the state that the request was sent, or Cancel the timer "
                    "when the reply comes",
                )
        return None

    def find_stuck_workflow(self, run: Environment, law: str) -> LawViolation | None:
        """Return a violation of *law* if an active workflow waits for nothing that can come."""
        refused = any(not isinstance(entry.result, Commit) for entry in run.trace)
        active = [record for record in run.records.values() if record.status == "active"]
        if refused or not active or any(map(self._accepts_signals, active)):
            return None
        return LawViolation(
            law=law,
            problem=f"{active[-1].handler} is still active, and no event can come that ends it",
            trace=run.format_trace(),
            remedy="handle this reply (Complete, Fail, or send another request), or set a timer",
        )

    def _accepts_signals(self, record: Record) -> bool:
        for handler in workflow_handlers(self.system):
            if handler.source == record.handler and record.version in handler.versions:
                return bool(handler.signals_of(record.version))
        return False
