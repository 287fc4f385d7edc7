"""Clock: the present time, and identity for events that begin something."""

from datetime import UTC, datetime
from typing import Final
from uuid import uuid4

from opentelemetry import trace
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from arvo.core.events.stamp import Stamp, install_stamper

_PROPAGATOR: Final = TraceContextTextMapPropagator()


def utc_now() -> datetime:
    """Give the present time, in UTC (the reference takes the host's for UTC, B01)."""
    return datetime.now(UTC)


def whole_millisecond(time: datetime) -> datetime:
    """Cut a time to what the wire and any store keep of it, so that a step can be taken again at
    the time that it was taken at.
    """
    return time.replace(microsecond=time.microsecond // 1000 * 1000)


def fresh_stamp() -> Stamp:
    """Make an identity nobody else has; tell the time and the trace under way (F027)."""
    time = utc_now().isoformat(timespec="milliseconds")
    if not trace.get_current_span().get_span_context().is_valid:
        return Stamp(str(uuid4()), time)
    carrier: dict[str, str] = {}
    _PROPAGATOR.inject(carrier)
    # The propagator's words, not our own: it keeps the sampled flag as it is (B27).
    return Stamp(str(uuid4()), time, carrier.get("traceparent"), carrier.get("tracestate"))


install_stamper(fresh_stamp)
