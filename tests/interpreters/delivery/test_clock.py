"""Clock: the present time, wherever the host stands."""

import os
import subprocess
import sys
from datetime import datetime

import pytest
from opentelemetry import trace

from tests.shop import WEB, ChargeCard, charge

SCRIPT = """
import time
from datetime import datetime
from arvo.interpreters.delivery.clock import fresh_stamp
stamp = fresh_stamp()
print(stamp.time, abs(datetime.fromisoformat(stamp.time).timestamp() - time.time()) < 5)
"""


@pytest.mark.parametrize("zone", ["UTC", "XYZ-11", "XYZ+5:30"])
def test_time_is_right_on_a_host_of_any_zone(zone: str) -> None:
    """B01: in Sydney the reference's events are eleven hours in the future."""
    told = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env={**os.environ, "TZ": zone},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()

    assert told[1] == "True"
    assert datetime.fromisoformat(told[0]).utcoffset() is not None
    assert told[0].endswith("+00:00")


def test_an_event_belongs_to_the_trace_that_is_under_way() -> None:
    """F027, B27: a trace goes on through the system, sampled or not as it was."""
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
