"""Trace: the trace of an event in the headers of HTTP."""

import re
from typing import Any, Final

from attrs import evolve
from opentelemetry.propagate import extract, inject
from opentelemetry.trace import get_current_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from arvo.core.events.event import Event
from arvo.interpreters.http.header import Headers

_STATE: Final = re.compile(r"[\x21-\x7e]([\x20-\x7e]{0,510}[\x21-\x7e])?")
_PROPAGATOR: Final = TraceContextTextMapPropagator()


def with_trace(event: Event[Any], headers: Headers) -> Event[Any]:
    """Give an event without a trace that of the request.

    That of W3C Trace Context byte for byte; without it, what the global propagator finds.
    """
    if event.traceparent is not None:
        return event
    values = {name.lower(): value.decode("latin-1") for name, value in headers}
    parent = values.get(b"traceparent", "")
    if _is_trace(parent):
        state = values.get(b"tracestate", "")
        state_or_none = state if _STATE.fullmatch(state) else None
        return evolve(event, traceparent=parent, tracestate=state_or_none)
    context = extract({name.decode("latin-1"): value for name, value in values.items()})
    carrier: dict[str, str] = {}
    _PROPAGATOR.inject(carrier, context)
    if "traceparent" not in carrier:
        return event
    return evolve(
        event, traceparent=carrier["traceparent"], tracestate=carrier.get("tracestate") or None
    )


def trace_headers(event: Event[Any]) -> dict[str, str]:
    """Return the trace of an HTTP message with an event (§3.1.3), where proxies look for it.

    That of the current span, as the global propagator writes it; without one, that of the event.
    """
    if get_current_span().get_span_context().is_valid:
        headers: dict[str, str] = {}
        inject(headers)
        return headers
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
