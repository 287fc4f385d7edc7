"""Context: the trace of an event as a span context of OpenTelemetry, and back."""

import re
from functools import lru_cache
from typing import Any, Final

from opentelemetry.context import Context
from opentelemetry.trace import (
    INVALID_SPAN,
    NonRecordingSpan,
    SpanContext,
    TraceFlags,
    TraceState,
    set_span_in_context,
)

from arvo.core.events.event import Event
from arvo.core.trace_context import TraceContext

# W3C Trace Context §3.2. Not the propagator, which takes fifty times as long. Versions above 00 may
# have more fields.
_TRACEPARENT: Final = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
# §3.3.1.3: a key, which may name a tenant, and a value of printable ASCII.
_MEMBER: Final = re.compile(
    r"([a-z0-9][a-z0-9_\-*/]{0,240}@[a-z][a-z0-9_\-*/]{0,13}|[a-z0-9][a-z0-9_\-*/]{0,255})"
    r"=([\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e])"
)
MEMBERS_MAX: Final = 32
# §3.3.1.5: what is longer need not be propagated.
STATE_CHARACTERS_MAX: Final = 512

NO_CONTEXT: Final = Context()
# Under which a context holds its span.
[_SPAN] = set_span_in_context(INVALID_SPAN, NO_CONTEXT)


def span_context_of(traceparent: str | None, tracestate: str | None = None) -> SpanContext | None:
    """Read the trace of an event; None without one, and for one that is not of W3C's form.

    >>> context = span_context_of("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
    >>> hex(context.span_id), span_context_of("00-1-2-01")
    ('0xb7ad6b7169203331', None)
    """
    match = None if traceparent is None else _TRACEPARENT.fullmatch(traceparent)
    if match is None:
        return None
    version, trace_id, span_id, flags, more = match.groups()
    if version == "ff" or (version == "00" and more is not None):
        return None
    state = None if tracestate is None else _read_state(tracestate)
    context = SpanContext(
        int(trace_id, 16),
        int(span_id, 16),
        is_remote=True,
        trace_flags=TraceFlags(int(flags, 16)),
        trace_state=state,
    )
    return context if context.is_valid else None


@lru_cache(maxsize=256)
def _read_state(tracestate: str) -> TraceState:
    """Read a state; one that is not of W3C's form is empty.

    Not by `TraceState.from_header`, which logs the text of the sender.
    """
    members = [each for member in tracestate.split(",") if (each := member.strip(" \t"))]
    matches = [match for member in members if (match := _MEMBER.fullmatch(member))]
    pairs = {match[1]: match[2] for match in matches}
    if len(members) > MEMBERS_MAX or len(pairs) < len(members):
        return TraceState()
    return TraceState(list(pairs.items()))


def remote_parent(parent: SpanContext | None) -> Context:
    """Return the context of a new span below *parent*; without one it is a root.

    It never holds the ambient span: the task of a worker may have been started within one.
    """
    if parent is None:
        return NO_CONTEXT
    return Context({_SPAN: NonRecordingSpan(parent)})


def trace_context(
    span: SpanContext, cause: Event[Any] | None, parent: SpanContext | None
) -> TraceContext | None:
    """Return what the events that are emitted within a span carry; None if it is not valid.

    *parent*: the trace of the event *cause*. Where the sampler has left the state as it was, its
    text stays as well, byte for byte.
    """
    if not span.is_valid:
        return None
    # As the propagator writes it, with all flags: that of a random trace id, too.
    text = f"00-{span.trace_id:032x}-{span.span_id:016x}-{span.trace_flags:02x}"
    if cause is not None and parent is not None and _is_same(span.trace_state, parent.trace_state):
        return TraceContext(text, cause.tracestate)
    state = span.trace_state.to_header() if span.trace_state else ""
    return TraceContext(text, state if 0 < len(state) <= STATE_CHARACTERS_MAX else None)


def _is_same(state: TraceState, other: TraceState) -> bool:
    # Mostly it is the same object; to compare two takes as long as to begin a span.
    return state is other or state == other
