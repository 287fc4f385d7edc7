"""Trace: the trace of an event in the headers of HTTP (W3C Trace Context)."""

import re
from typing import Any, Final

from attrs import evolve
from opentelemetry.trace import get_current_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from arvo.core.events.event import Event
from arvo.interpreters.http.header import Headers

_STATE: Final = re.compile(r"[\x21-\x7e]([\x20-\x7e]{0,510}[\x21-\x7e])?")
_PROPAGATOR: Final = TraceContextTextMapPropagator()


def with_trace(event: Event[Any], headers: Headers) -> Event[Any]:
    """Give an event without a trace that of the request."""
    if event.traceparent is not None:
        return event
    values = {name.lower(): value.decode("latin-1") for name, value in headers}
    parent = values.get(b"traceparent", "")
    if not _is_trace(parent):
        return event
    state = values.get(b"tracestate", "")
    return evolve(event, traceparent=parent, tracestate=state if _STATE.fullmatch(state) else None)


def trace_headers(event: Event[Any]) -> dict[str, str]:
    """Return an event's trace in the headers of HTTP too (§3.1.3), where proxies look for it."""
    parent, state = event.traceparent, event.tracestate
    if parent is None or not _is_trace(parent):
        return {}
    headers = {"traceparent": parent}
    if state is not None and _STATE.fullmatch(state):
        headers["tracestate"] = state
    return headers


def _is_trace(text: str) -> bool:
    context = _PROPAGATOR.extract({"traceparent": text})
    # The pattern of OpenTelemetry allows a line break at the end, which would end the header.
    return (
        text.isascii()
        and text.isprintable()
        and get_current_span(context).get_span_context().is_valid
    )
