"""Middleware: puts the functions of an application around the step."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, final

from attrs import frozen

from arvo.core.commit import Commit
from arvo.core.events.event import Event
from arvo.core.record import Record
from arvo.core.trace_context import TraceContext
from arvo.core.violations.arguments import check_list
from arvo.core.violations.issue import Issue, short_repr
from arvo.core.violations.violation import (
    ConfigViolation,
    ExecutionViolation,
    Violated,
    Violation,
)
from arvo.engine.step.step import Middleware, Step, StepResult, step_plain
from arvo.engine.system.system import System
from arvo.handlers.effect import Perform, Performed


def wrap_step(middleware: Sequence[Middleware]) -> Step:
    """Return the step with *middleware* around it, the first one outermost.

    Raises `Violated` for a middleware that returns no step.
    """
    check_list("middleware", middleware, "functions from a step to a step", of="a Runtime")
    step: Step = step_plain
    wraps: tuple[Any, ...] = tuple(middleware)
    for wrap in reversed(wraps):
        wrapped = wrap(step) if callable(wrap) else None
        if not callable(wrapped):
            issue = Issue("middleware", "a function from a step to a step", short_repr(wrap))
            raise Violated(ConfigViolation("a middleware returned no step", issue))
        step = wrapped
    return _Checked(step) if middleware else step


@final
@frozen(eq=False)
class _Checked:
    """A wrapped step, whose results are those of a step.

    No backend could settle another one: its delivery would stay in hand until the lease ends.
    """

    step: Step

    def __call__(
        self,
        system: System,
        event: Event[Any],
        record: Record | None,
        /,
        *,
        now: datetime,
        performed: Sequence[Performed] = (),
        trace: TraceContext | None = None,
    ) -> StepResult:
        result: object = self.step(system, event, record, now=now, performed=performed, trace=trace)
        if isinstance(result, Commit | Perform | Violation):
            return result
        expected = "the result of the next step, or a violation"
        issue = Issue("middleware", expected, short_repr(result))
        return ExecutionViolation("a middleware returned no result of a step", issue)
