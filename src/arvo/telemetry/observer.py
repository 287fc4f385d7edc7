"""Observer: makes the spans and the metrics of a runtime, or of a client."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, final

from attrs import define, evolve, field
from opentelemetry._logs import LoggerProvider
from opentelemetry.context import attach, detach, get_current
from opentelemetry.trace import (
    Link,
    Span,
    SpanContext,
    SpanKind,
    get_current_span,
    set_span_in_context,
)

from arvo.core.events.event import Event
from arvo.core.trace_context import TraceContext, event_with_trace, trace_of
from arvo.engine.step.route import ToCaller, ToDomain, ToHandler
from arvo.interpreters.ports.errors import Unavailable
from arvo.interpreters.ports.messages import Delivery, Message, queue_of
from arvo.interpreters.worker.waits import Waits, wait_of
from arvo.interrupts import is_interrupt
from arvo.telemetry.conventions import names
from arvo.telemetry.logs.failures import report_argument
from arvo.telemetry.logs.handler import attach_handler, detach_handler
from arvo.telemetry.metrics.gauges import Gauges
from arvo.telemetry.spans.attributes import Attributes, EndUser, workflow_attributes
from arvo.telemetry.spans.context import NO_CONTEXT, span_context_of, trace_context
from arvo.telemetry.spans.join import JoinRule, join_reason
from arvo.telemetry.spans.tracing import end_span, fail_span
from arvo.telemetry.spans.turn import UNSETTLED, Shared, Turn

_NANOSECONDS: Final = 1_000_000_000
_KINDS: Final = {
    "process": SpanKind.CONSUMER,
    "answer": SpanKind.CONSUMER,
    "leave": SpanKind.PRODUCER,
}


@final
@define(eq=False)
class TelemetryObserver:
    """Makes a span for each attempt at a message, and for what a client sends and does.

    *join*, *waits*, *enduser*: see `observe`. *gauges*: None where another process reports them.
    *logs*: where the log goes; None: only where `logging` writes it.
    """

    shared: Shared
    join: JoinRule | None
    waits: float
    gauges: Gauges | None
    logs: LoggerProvider | None = None
    enduser: EndUser | None = None
    _is_logging: bool = field(default=False, init=False)
    _counted: Waits = field(factory=Waits, init=False)

    @property
    def wait_counts(self) -> tuple[int, ...]:
        """How long messages waited, for the console; see `CountsWaits`."""
        return self._counted.counts

    async def start(self) -> None:
        """Begin to ask the backend for what the gauges show, and to export the log."""
        if self.logs is not None and not self._is_logging:
            self._is_logging = True
            attach_handler(self.logs)
        if self.gauges is not None:
            self.gauges.start()

    def received(
        self, message: Message, delivery: Delivery | None, began: int | None = None
    ) -> Turn:
        """Begin the span of an attempt at a message."""
        began = time.time_ns() if began is None else began
        event, shared = message.event, self.shared
        operation, name, destination = _target(message)
        origin = span_context_of(event.traceparent, event.tracestate)
        parent, links = origin, None
        if origin is not None:
            if self.join is None:
                reason = join_reason(message, self.waits)
            else:
                reason = self._ask(event, delivery)
            if reason is not None:
                parent = None
            elif delivery is not None and delivery.attempt > 1:
                reason = "redelivery"
            if reason is not None and reason != "none":
                links = [Link(origin, {names.LINK: reason})]
        span = shared.tracing.begin(
            operation if operation == "answer" else f"{operation} {name}",
            parent,
            _KINDS[operation],
            shared.describe.begin(operation, name, event),
            links=links,
            start=began,
        )
        turn = Turn(shared, span, message, operation, destination, began, parent)
        shared.open.add(turn)
        if span.is_recording():
            described = turn.attributes = shared.describe.message(event)
            if operation == "process":
                shared.describe.add_handler(described, name, event)
            if delivery is not None:
                described[names.ATTEMPT] = delivery.attempt
        if delivery is not None and delivery.attempt == 1:
            self._record_wait(event, destination, began)
        return turn

    @contextmanager
    def sending(self, message: Message) -> Iterator[Message]:
        """Begin the span of an event that is sent from outside, below the current span."""
        event, shared, began = message.event, self.shared, time.perf_counter_ns()
        _, name, destination = _target(message)
        parent: SpanContext | None = get_current_span().get_span_context()
        context = get_current()
        if parent is None or not parent.is_valid:
            # An event that came over HTTP has the trace of its request.
            parent, context = span_context_of(event.traceparent, event.tracestate), NO_CONTEXT
        attributes = shared.describe.begin("send", name, event)
        span = shared.tracing.begin(
            f"send {name}", parent, SpanKind.PRODUCER, attributes, context=context
        )
        if span.is_recording():
            span.set_attributes(shared.describe.message(event))
        trace = trace_of([event])
        entries = shared.baggage.of_event(event) or shared.baggage.of_context(get_current())
        if trace is None:
            # CloudEvents, Distributed Tracing: one that is set must not be changed.
            trace = trace_context(span.get_span_context(), None, None)
        if trace is not None and (event.traceparent is None or entries):
            traced = event_with_trace(event, evolve(trace, baggage=entries))
            message = Message(traced, message.to, message.outside)
        error, token = "", attach(set_span_in_context(span))
        try:
            yield message
        except BaseException as raised:
            error = type(raised).__name__
            fail_span(span, raised)
            raise
        finally:
            detach(token)
            end_span(span)
            operation = (shared.describe.messaging_system, destination, "send", error)
            elapsed = (time.perf_counter_ns() - began) / _NANOSECONDS
            shared.metrics.add(names.SENT_MESSAGES, *operation)
            shared.metrics.add_operation(operation, elapsed)

    @contextmanager
    def operating(self, verb: str, subject: str | None) -> Iterator["Command"]:
        """Begin the span of an operator's command, below the current span."""
        attributes: Attributes = {names.VERB: verb}
        if subject is not None:
            attributes |= workflow_attributes(subject)
            attributes[names.CONVERSATION_ID] = subject
        if (enduser := self._enduser()) is not None:
            attributes[names.ENDUSER] = enduser
        with self.shared.tracing.current(f"client {verb}", attributes=attributes) as span:
            yield Command(span, _LINKS.get(verb, verb))

    @contextmanager
    def committing(self) -> Iterator[None]:
        """Record how long a tick takes to be durable."""
        with self.shared.operation("commit"):
            yield

    def unavailable(self, error: Unavailable) -> None:  # noqa: ARG002 - the protocol's
        """Count an outage."""
        self.shared.metrics.add(names.UNAVAILABLE, self.shared.describe.messaging_system)

    async def close(self) -> None:
        """End what is open."""
        if self.gauges is not None:
            await self.gauges.stop()
        await self.shared.workflows.close()
        for turn in list(self.shared.open):
            turn.end(UNSETTLED, UNSETTLED, "the runtime stopped before its outcome was durable")
        if self.logs is not None and self._is_logging:
            self._is_logging = False
            detach_handler(self.logs)

    def _ask(self, event: Event[Any], delivery: Delivery | None) -> str | None:
        """Return the reason for a new trace that the rule of the user gives."""
        assert self.join is not None
        try:
            decided = self.join(event, delivery)
        except BaseException as error:
            if is_interrupt(error):
                raise
            return None
        return {"parent": None, "link": "join", "none": "none"}.get(decided)

    def _enduser(self) -> str | None:
        if self.enduser is None:
            return None
        try:
            return self.enduser()
        except BaseException as error:  # noqa: BLE001 - code of the user, and telemetry never raises
            report_argument("enduser", error)
            return None

    def _record_wait(self, event: Event[Any], destination: str, began: int) -> None:
        seconds = wait_of(event, began)
        self.shared.metrics.add_wait(destination, seconds)
        self._counted.add(seconds)


@final
@define(eq=False)
class Command:
    """An operator's command in its *span*. *link*: what the link to an earlier trace is named."""

    span: Span
    link: str

    @property
    def trace(self) -> TraceContext | None:
        """The trace of the command."""
        return trace_context(self.span.get_span_context(), None, None)

    def follows(self, trace: TraceContext) -> None:
        """Link the command to an earlier trace."""
        context = span_context_of(trace.traceparent, trace.tracestate)
        if context is not None:
            self.span.add_link(context, {names.LINK: self.link})


# Of a command that sends an event again.
_LINKS: Final = {
    "revive": "revived",
    "redrive": "redriven",
    "migrate": "migrated",
    "fork": "forked",
}


def _target(message: Message) -> tuple[str, str, str]:
    """Return the operation on a message, the name of its target, and that for the metrics."""
    match message.to:
        case ToHandler(address=address):
            return "process", address, address
        case ToDomain(domain=domain):
            return "leave", domain, domain
        case ToCaller(address=address):
            # Callers are not bounded by the system, so they are one series of the metrics.
            return "answer", address, queue_of(message.to)
