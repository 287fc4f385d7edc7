"""Clock: the present time in any time zone, and the trace context of new events."""

import os
import subprocess
import sys
from datetime import datetime
from uuid import RFC_4122, UUID

import pytest
from opentelemetry import trace

from arvo.interpreters.delivery.clock import fresh_stamp
from tests.shop import WEB, ChargeCard, charge

SCRIPT = """
import time
from datetime import datetime
from arvo.interpreters.delivery.clock import fresh_stamp
stamp = fresh_stamp()
print(stamp.time, abs(datetime.fromisoformat(stamp.time).timestamp() - time.time()) < 5)
"""


@pytest.mark.parametrize("zone", ["UTC", "XYZ-11", "XYZ+5:30"])
def test_the_time_is_right_on_a_host_in_any_time_zone(zone: str) -> None:
    """B01: local time must not be written as UTC, eleven hours in the future in Sydney."""
    printed = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env={**os.environ, "TZ": zone},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()

    assert printed[1] == "True"
    assert datetime.fromisoformat(printed[0]).utcoffset() is not None
    assert printed[0].endswith("+00:00")


def test_each_new_event_has_an_id_of_its_own() -> None:
    """Two events with one id and source are duplicates; other programs expect a UUID."""
    ids = [fresh_stamp().id for _ in range(1_000)]

    assert len(set(ids)) == 1_000
    for id_ in ids:
        parsed = UUID(id_)
        assert (str(parsed), parsed.version, parsed.variant) == (id_, 4, RFC_4122)


def test_a_new_event_has_the_trace_context_of_the_current_span() -> None:
    """B27: a trace continues through the system, and its sampled flag must not change."""
    context = trace.SpanContext(
        trace_id=0x0AF7651916CD43DD8448EB211C80319C,
        span_id=0xB7AD6B7169203331,
        is_remote=False,
        trace_state=trace.TraceState([("vendor", "value")]),
    )

    with trace.use_span(trace.NonRecordingSpan(context)):
        inside = charge["1.0.0"].accepts(ChargeCard("o1", 1.0), source=WEB)
    outside = charge["1.0.0"].accepts(ChargeCard("o1", 1.0), source=WEB)

    assert inside.traceparent == "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"
    assert inside.tracestate == "vendor=value"
    assert (outside.traceparent, outside.tracestate) == (None, None)
