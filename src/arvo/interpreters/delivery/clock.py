"""Clock: the present time, and the id, time and trace context of an event that enters a system."""

from datetime import UTC, datetime
from typing import Final
from uuid import uuid4

from opentelemetry import trace
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from arvo.core.events.stamp import Stamp, install_stamper

_PROPAGATOR: Final = TraceContextTextMapPropagator()


def utc_now() -> datetime:
    """Return the present time in UTC, for any time zone of the host."""
    return datetime.now(UTC)


def whole_millisecond(time: datetime) -> datetime:
    """Truncate a time to milliseconds, the precision of the wire and of every store.

    A step that is replayed later with the stored time then gets exactly the same argument.
    """
    return time.replace(microsecond=time.microsecond // 1000 * 1000)


def fresh_stamp() -> Stamp:
    """Make a unique id, with the present time and the W3C trace context of the current span."""
    time = utc_now().isoformat(timespec="milliseconds")
    if not trace.get_current_span().get_span_context().is_valid:
        return Stamp(str(uuid4()), time)
    carrier: dict[str, str] = {}
    _PROPAGATOR.inject(carrier)
    # The text comes from the propagator: it keeps the sampled flag as it is.
    return Stamp(str(uuid4()), time, carrier.get("traceparent"), carrier.get("tracestate"))


install_stamper(fresh_stamp)
