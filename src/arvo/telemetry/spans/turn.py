"""Turn: the span of one attempt at a message, with its effects and its outcome."""

import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any, Final, final

from attrs import define, evolve, field
from opentelemetry.context import Context, attach, detach, get_current
from opentelemetry.trace import (
    Link,
    Span,
    SpanContext,
    Status,
    StatusCode,
    set_span_in_context,
)

from arvo.core.commit import Commit
from arvo.core.events.event import Event
from arvo.core.events.protocol import SystemFault
from arvo.core.record import Record
from arvo.core.trace_context import TraceContext
from arvo.core.violations.violation import Violation
from arvo.handlers.effect import Perform, Performed
from arvo.interpreters.ports.messages import Message
from arvo.interpreters.ports.observation import Activity, Settled
from arvo.telemetry.conventions import names
from arvo.telemetry.logs.failures import report_failure
from arvo.telemetry.metrics.instruments import Metrics
from arvo.telemetry.spans.attributes import Attributes, Describe, state_text
from arvo.telemetry.spans.baggage import Baggage, with_baggage
from arvo.telemetry.spans.context import span_context_of, trace_context
from arvo.telemetry.spans.events import (
    TEXT_CHARACTERS_MAX,
    add_commit,
    add_exception,
    fault_of,
    violation_attributes,
)
from arvo.telemetry.spans.tracing import Tracing, end_span
from arvo.telemetry.spans.workflow import Workflows

# Outcomes for which no person has to act.
_SOUND: Final = frozenset(
    (
        *("handled", "cancelled", "duplicate", "late"),
        *("released", "sent_out", "answered", "unclaimed", "discarded"),
    )
)
# The outcome of an attempt that had none when the runtime stopped.
UNSETTLED: Final = "unsettled"

# What settles a message at its backend: the durations of `messaging.client.operation.duration`.
_SETTLES: Final = ("commit", "ack", "nack", "dead_letter")

# Links of one span to the events that it sends again.
LINKS_MAX: Final = 64

_NANOSECONDS: Final = 1_000_000_000


@final
@define(eq=False)
class Shared:
    """What all turns of a runtime use. *open*: those that have not ended."""

    tracing: Tracing
    metrics: Metrics
    describe: Describe
    workflows: Workflows
    baggage: Baggage
    open: set["Turn"] = field(factory=set, init=False)

    @contextmanager
    def operation(self, name: str, destination: str = "") -> Iterator[None]:
        """Record how long an operation on the backend takes."""
        began, error = time.perf_counter_ns(), ""
        try:
            yield
        except BaseException as raised:
            error = type(raised).__name__
            raise
        finally:
            elapsed = (time.perf_counter_ns() - began) / _NANOSECONDS
            system = self.describe.messaging_system
            self.metrics.add_operation((system, destination, name, error), elapsed)


@final
@define(eq=False)
class Turn:
    """An attempt at *message*, in a *span* that began at *began*, in nanoseconds since 1970.

    *operation*: `process`, `leave` or `answer`. *destination*: the queue, for the metrics.
    *parent*: the trace of the event.
    """

    shared: Shared
    span: Span
    message: Message
    operation: str
    destination: str
    began: int
    parent: SpanContext | None
    # Of a span that records. Set in one call: each takes the SDK as long as some of them do.
    attributes: Attributes = field(factory=dict, init=False)
    _trace: TraceContext | None = field(default=None, init=False)
    _step_seconds: float = field(default=0.0, init=False)

    @property
    def trace(self) -> TraceContext | None:
        """The trace of the events that the turn emits: that of its span."""
        if self._trace is None:
            context = self.span.get_span_context()
            event = self.message.event
            trace = trace_context(context, event, self.parent)
            entries = self.shared.baggage.of_event(event)
            self._trace = evolve(trace, baggage=entries) if trace and entries else trace
        return self._trace

    @contextmanager
    def doing(self, activity: Activity) -> Iterator[None]:
        """Make the span the current one: for the log, a driver or a listener."""
        # Not `use_span`: an exception is reported by the outcome.
        token = attach(self._context(get_current()))
        try:
            with self._measuring(activity):
                yield
        finally:
            detach(token)

    def _measuring(self, activity: Activity) -> AbstractContextManager[object]:
        """Return the context that shows how long an activity takes."""
        with ExitStack() as stack:
            if activity in _SETTLES:
                stack.enter_context(self.shared.operation(activity, self.destination))
            if activity in ("load", "commit") and self.span.is_recording():
                stack.enter_context(self.shared.tracing.current(f"arvo.{activity}"))
            return stack.pop_all()

    def _context(self, context: Context) -> Context:
        """Return a context with the span, and with the baggage of the event."""
        entries = self.shared.baggage.of_event(self.message.event)
        return set_span_in_context(self.span, with_baggage(context, entries))

    @contextmanager
    def performing(self, effect: Perform[Any]) -> Iterator["EffectSpan"]:
        """Begin the span of an effect, and make it the current one."""
        function = getattr(effect.function, "__qualname__", type(effect.function).__qualname__)
        with self.shared.tracing.current(
            f"call {function}",
            context=self._context(get_current()),
            attributes={names.FUNCTION: function},
        ) as span:
            yield EffectSpan(span, self.shared.metrics, function)

    def stepped(self, seconds: float) -> None:
        """Add to the time that the handler took."""
        self._step_seconds += seconds

    def forwarded(self, events: Sequence[Event[Any]]) -> None:
        """Show that the events of an earlier attempt are sent again."""
        contexts = [span_context_of(event.traceparent, event.tracestate) for event in events]
        how = {names.LINK: "forward"}
        links = [Link(context, how) for context in contexts[:LINKS_MAX] if context is not None]
        with self.shared.tracing.current(
            "arvo.outbox.forward",
            context=set_span_in_context(self.span),
            attributes={names.BATCH_COUNT: len(events)},
            links=links,
        ):
            pass

    def conflicted(self, revision: int) -> None:
        """Add an event."""
        self.shared.metrics.add(names.COMMIT_CONFLICTS, self.destination)
        self.span.add_event(names.CONFLICT, {"revision": revision})

    def settled(
        self,
        outcome: Settled,
        *,
        commit: Commit | None = None,
        violation: Violation | None = None,
        reason: str | None = None,
    ) -> None:
        """End the span, and count the outcome."""
        try:
            self._settle(outcome, commit, violation, reason)
        except BaseException as error:  # noqa: BLE001 - code of the application
            report_failure(error)

    def _settle(
        self,
        outcome: Settled,
        commit: Commit | None,
        violation: Violation | None,
        reason: str | None,
    ) -> None:
        fault = fault_of(commit) if commit is not None and outcome == "failed" else None
        error = "" if outcome in _SOUND else _error_type(outcome, fault, violation, reason)
        if self.span.is_recording():
            if violation is not None:
                self.attributes |= violation_attributes(violation)
            if commit is not None:
                self.attributes |= add_commit(self.span, commit)
                self.attributes |= self.shared.describe.emitted(commit.events)
            if fault is not None:
                add_exception(self.span, fault)
                self.attributes |= self.shared.describe.failed(fault)
                reason = fault.message
        self.end(outcome, error, reason or (str(violation) if violation else None))
        if commit is not None and commit.record is not None:
            self.shared.workflows.note(commit, commit.record, self.span, self.began)
            self._count_transition(commit.before, commit.record)

    def end(self, outcome: str, error: str, reason: str | None) -> None:
        """End the span with an outcome, and count it."""
        span, shared, end = self.span, self.shared, time.time_ns()
        shared.open.discard(self)
        if span.is_recording():
            ended = self.attributes
            ended[names.OUTCOME] = outcome
            if self._step_seconds:
                ended[names.STEP_SECONDS] = round(self._step_seconds, 6)
            if self.operation == "process":
                ended[names.EXECUTION_STATUS] = "failure" if outcome == "failed" else "normal"
            if error:
                ended[names.ERROR_TYPE] = error
                text = (reason or error)[:TEXT_CHARACTERS_MAX]
                span.set_status(Status(StatusCode.ERROR, text))
            span.set_attributes(ended)
            end_span(span, end)
        system = shared.describe.messaging_system
        attempt = (system, self.operation, self.destination, outcome, error)
        shared.metrics.add_attempt(attempt, (end - self.began) / _NANOSECONDS)

    def _count_transition(self, before: Record | None, record: Record) -> None:
        state = state_text(record.state)
        if state is not None and (before is None or state_text(before.state) != state):
            self.shared.metrics.add(names.TRANSITIONS, record.handler, state)


def _error_type(
    outcome: Settled,
    fault: SystemFault | None,
    violation: Violation | None,
    reason: str | None,
) -> str:
    """Return the class of what went wrong: of the fault, the violation or the exception."""
    if fault is not None:
        return fault.name
    if violation is not None:
        return type(violation).__name__
    # That of an exception begins with the name of its class.
    name = (reason or "").partition(":")[0]
    return name if name.isidentifier() else outcome


@final
@define(eq=False)
class EffectSpan:
    """The *span* of one effect, and of all its attempts."""

    span: Span
    metrics: Metrics
    function: str
    began: int = field(factory=time.perf_counter_ns, init=False)

    def retried(self, attempt: int, wait: float, error: BaseException) -> None:
        """Add an event."""
        text = f"{type(error).__name__}: {error}"[:TEXT_CHARACTERS_MAX]
        self.span.add_event(
            names.RETRY, {"attempt": attempt, "wait_s": wait, names.EXCEPTION_MESSAGE: text}
        )

    def performed(self, done: Performed) -> None:
        """Set the status, and record the duration."""
        attributes = {names.FUNCTION: self.function}
        if done.error is not None:
            attributes[names.ERROR_TYPE] = type(done.error).__name__
            self.span.set_attribute(names.ERROR_TYPE, attributes[names.ERROR_TYPE])
            self.span.record_exception(done.error)
            text = str(done.error)[:TEXT_CHARACTERS_MAX]
            self.span.set_status(Status(StatusCode.ERROR, text))
        elapsed = (time.perf_counter_ns() - self.began) / _NANOSECONDS
        self.metrics.effect_duration.record(elapsed, attributes)
