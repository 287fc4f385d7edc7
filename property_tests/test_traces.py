"""Traces: every trace context is read and written again byte for byte, and no text raises."""

import re

from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import (
    ALWAYS_OFF,
    ALWAYS_ON,
    ParentBased,
    Sampler,
    TraceIdRatioBased,
)
from opentelemetry.trace import SpanContext, SpanKind

from arvo import TraceContext
from arvo.telemetry.spans.context import remote_parent, span_context_of, trace_context
from arvo.telemetry.spans.tracing import Tracing
from tests.shop import charge_request

traceparents = st.builds(
    lambda trace, span, flags: f"00-{trace:032x}-{span:016x}-{flags:02x}",
    st.integers(1, 2**128 - 1),
    st.integers(1, 2**64 - 1),
    st.integers(0, 255),
)
# A list of members, with the spaces that the standard allows, or what a sender made of it.
members = st.from_regex(r"[a-z][a-z0-9_*/-]{0,20}=[!-+\--<>-~]{1,20}", fullmatch=True)
states = st.lists(members, min_size=1, max_size=5).map(" ,\t".join) | st.text(
    min_size=1, max_size=40
)


@given(traceparents, states | st.none())
def test_a_trace_is_written_as_it_was_read(traceparent: str, tracestate: str | None) -> None:
    """All flags stay, and so does a state that no sampler changes."""
    event = charge_request(traceparent=traceparent, tracestate=tracestate)
    parent = span_context_of(event.traceparent, event.tracestate)
    assert parent is not None
    span = SpanContext(
        parent.trace_id,
        parent.span_id,
        is_remote=False,
        trace_flags=parent.trace_flags,
        trace_state=parent.trace_state,
    )

    assert trace_context(span, event, parent) == TraceContext(traceparent, event.tracestate)


@given(st.text(max_size=60) | traceparents.map(lambda text: text[:-1] + "ö"), states)
def test_every_text_is_a_trace_or_none(text: str, state: str) -> None:
    """An event comes from outside, and its trace ends no delivery."""
    context = span_context_of(text, state)

    assert context is None or re.fullmatch(r"[0-9a-f]{2}(-[0-9a-f]+){3}(-.*)?", text)


SAMPLERS = [
    ALWAYS_ON,
    ALWAYS_OFF,
    ParentBased(ALWAYS_ON),
    ParentBased(ALWAYS_OFF),
    TraceIdRatioBased(0.5),
]


@given(st.sampled_from(SAMPLERS), traceparents | st.none(), states | st.none())
def test_a_span_that_is_dropped_has_the_context_that_the_sdk_gives_it(
    sampler: Sampler, traceparent: str | None, tracestate: str | None
) -> None:
    """The SDK is not asked for it, which would take twice as long."""
    ids = Ids()
    provider = TracerProvider(sampler=sampler, id_generator=ids, shutdown_on_exit=False)
    parent = span_context_of(traceparent, tracestate)
    tracer = provider.get_tracer("arvo")

    theirs = tracer.start_span("turn", remote_parent(parent))
    ours = Tracing(tracer).begin("turn", parent, SpanKind.CONSUMER, {})

    assert ours.is_recording() == theirs.is_recording()
    assert ours.get_span_context() == theirs.get_span_context()


class Ids(IdGenerator):
    """Gives the same ids again and again."""

    def generate_trace_id(self) -> int:
        return 7

    def generate_span_id(self) -> int:
        return 9

    def is_trace_id_random(self) -> bool:
        return True
