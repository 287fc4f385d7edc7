"""Tracing: begins and ends spans. What code of the application raises there stops no delivery."""

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, final

from attrs import define, field
from opentelemetry.context import Context
from opentelemetry.trace import (
    INVALID_SPAN,
    Link,
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    Tracer,
    use_span,
)
from opentelemetry.util.types import AttributeValue

from arvo.telemetry.conventions import names
from arvo.telemetry.logs.failures import report_failure
from arvo.telemetry.spans.context import remote_parent

_RANDOM: Final = 2
# Of a span that is dropped, by the flag of W3C that says whether its trace id is random.
_DROPPED: Final = {0: TraceFlags(0), _RANDOM: TraceFlags(_RANDOM)}


@define(eq=False)
class _Sampler:
    """The sampler of a tracer, but the result of the next question is known: *next*."""

    inner: Any
    next: Any = None

    def should_sample(self, *arguments: Any, **options: Any) -> Any:
        result, self.next = self.next, None
        return result or self.inner.should_sample(*arguments, **options)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


@define(eq=False)
class _Ids:
    """The id generator of a tracer, but the next ids are known, where they are not 0."""

    inner: Any
    trace_id: int = 0
    span_id: int = 0

    def generate_trace_id(self) -> int:
        known, self.trace_id = self.trace_id, 0
        return known or int(self.inner.generate_trace_id())

    def generate_span_id(self) -> int:
        known, self.span_id = self.span_id, 0
        return known or int(self.inner.generate_span_id())

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


@final
@define(eq=False)
class Tracing:
    """Begins spans by a *tracer*.

    If it is the SDK's, its sampler is asked here: for a span that is dropped the SDK takes twice as
    long as its sampler and the ids do.
    """

    tracer: Tracer
    _sampler: _Sampler | None = field(default=None, init=False)
    _ids: _Ids | None = field(default=None, init=False)
    _root_flags: TraceFlags = field(default=_DROPPED[0], init=False)

    def __attrs_post_init__(self) -> None:
        sampler = getattr(self.tracer, "sampler", None)
        ids = getattr(self.tracer, "id_generator", None)
        if sampler is None or ids is None:
            return
        self._sampler, self._ids = _Sampler(sampler), _Ids(ids)
        if getattr(ids, "is_trace_id_random", bool)():
            self._root_flags = _DROPPED[_RANDOM]
        # A copy: the SDK gives the same tracer to all that ask for one of this scope.
        tracer: Any = copy.copy(self.tracer)
        tracer.sampler, tracer.id_generator = self._sampler, self._ids
        self.tracer = tracer

    def begin(  # noqa: PLR0913 - those of `Tracer.start_span`
        self,
        name: str,
        parent: SpanContext | None,
        kind: SpanKind,
        attributes: dict[str, AttributeValue],
        *,
        context: Context | None = None,
        links: Sequence[Link] | None = None,
        start: int | None = None,
        span_id: int = 0,
    ) -> Span:
        """Begin a span below *parent*, or a new trace; one that records nothing if that raises.

        *attributes*: those that the sampler sees. *context*: that in which *parent* is the current
        span; by default one that holds nothing else. *start*: nanoseconds since 1970; None: now.
        *span_id*: its id, where the tracer is the SDK's; 0: any.
        """
        try:
            held = context or remote_parent(parent)
            return self._begin(name, parent, held, kind, attributes, links, start, span_id)
        except BaseException as error:  # noqa: BLE001 - code of the application
            report_failure(error)
            return INVALID_SPAN

    def _begin(  # noqa: PLR0913 - see `begin`
        self,
        name: str,
        parent: SpanContext | None,
        context: Context,
        kind: SpanKind,
        attributes: dict[str, AttributeValue],
        links: Sequence[Link] | None,
        start: int | None,
        span_id: int,
    ) -> Span:
        sampler, ids = self._sampler, self._ids
        if sampler is None or ids is None:
            return self.tracer.start_span(name, context, kind, attributes, links, start)
        trace_id = ids.inner.generate_trace_id() if parent is None else parent.trace_id
        result = sampler.inner.should_sample(context, trace_id, name, kind, attributes, links)
        if not result.decision.is_recording():
            flags = self._root_flags if parent is None else _DROPPED[parent.trace_flags & _RANDOM]
            # An id of its own all the same, by which a line of the log is found.
            span_id = span_id or ids.inner.generate_span_id()
            dropped = SpanContext(trace_id, span_id, False, flags, result.trace_state)  # noqa: FBT003
            return NonRecordingSpan(dropped)
        sampler.next, ids.trace_id, ids.span_id = result, trace_id, span_id
        try:
            return self.tracer.start_span(name, context, kind, attributes, links, start)
        finally:
            sampler.next, ids.trace_id, ids.span_id = None, 0, 0

    @contextmanager
    def current(self, name: str, **options: Any) -> Iterator[Span]:
        """Begin a span with the *options* of `Tracer.start_span`, make it the current one, and end
        it; what is raised within is recorded.
        """
        try:
            span = self.tracer.start_span(name, **options)
        except BaseException as error:  # noqa: BLE001 - code of the application
            report_failure(error)
            span = INVALID_SPAN
        try:
            with use_span(span):
                yield span
        finally:
            end_span(span)


def fail_span(span: Span, error: BaseException) -> None:
    """Show on a span what was raised within it."""
    if span.is_recording():
        span.set_attribute(names.ERROR_TYPE, type(error).__name__)
        span.record_exception(error)
        span.set_status(Status(StatusCode.ERROR, f"{type(error).__name__}: {error}"))


def end_span(span: Span, end: int | None = None) -> None:
    """End a span, at *end* in nanoseconds or now."""
    try:
        span.end(end)
    except BaseException as error:  # noqa: BLE001 - code of the application
        report_failure(error)
