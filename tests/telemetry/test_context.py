"""Context: traces are read as W3C Trace Context says, and kept byte for byte."""

import pytest
from opentelemetry.trace import SpanContext, TraceFlags, TraceState

from arvo import TraceContext
from arvo.telemetry.spans.context import span_context_of, trace_context
from tests.shop import charge_request

TRACE, SPAN = f"{7:032x}", f"{8:016x}"


@pytest.mark.parametrize(
    "text",
    [
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{TRACE}-{SPAN}-01\n",
        f"00-{TRACE.upper()[:-1]}F-{SPAN}-01",
        f"00-{0:032x}-{SPAN}-01",
        f"00-{TRACE}-{0:016x}-01",
        "00-1-2-01",
        "",
    ],
)
def test_what_is_no_trace_is_none(text: str) -> None:
    """A sender's mistake must not end a delivery, nor come back in a header."""
    assert span_context_of(text) is None


@pytest.mark.parametrize("flags", ["00", "01", "02", "03", "ff"])
def test_flags_stay_as_they_are(flags: str) -> None:
    """OpenTelemetry sets 03; a reader that knows 01 alone cuts it."""
    context = span_context_of(f"00-{TRACE}-{SPAN}-{flags}")

    assert context is not None
    assert trace_context(context, None, None) == TraceContext(f"00-{TRACE}-{SPAN}-{flags}")


def test_a_later_version_may_have_more_fields() -> None:
    """W3C Trace Context §3.2: a reader takes what it knows."""
    context = span_context_of(f"01-{TRACE}-{SPAN}-01-more")

    assert context is not None
    assert context.span_id == 8


@pytest.mark.parametrize("state", ["a=1,b=2", "a=1 , b=2", "rojo=00f067aa0ba902b7", "=,"])
def test_a_state_that_no_sampler_changes_stays_byte_for_byte(state: str) -> None:
    """Spaces and order included, and where it is none by the letter of the standard."""
    event = charge_request(traceparent=f"00-{TRACE}-{SPAN}-01", tracestate=state)
    parent = span_context_of(event.traceparent, event.tracestate)
    assert parent is not None
    span = SpanContext(
        7, 9, is_remote=False, trace_flags=TraceFlags(1), trace_state=parent.trace_state
    )

    trace = trace_context(span, event, parent)

    assert trace == TraceContext(f"00-{TRACE}-{9:016x}-01", state)


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ("a=1 ,\tb@t=2,, ", {"a": "1", "b@t": "2"}),
        ("a=1,a=2", {}),
        ("a=1,\x1b[2J", {}),
        ("A=1", {}),
        (",".join(f"k{number}=v" for number in range(33)), {}),
    ],
)
def test_a_state_is_read_as_a_whole_or_not_at_all(
    state: str, expected: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    """W3C Trace Context §3.3; and no text of a sender gets into the log."""
    context = span_context_of(f"00-{TRACE}-{SPAN}-01", state)

    assert context is not None
    assert dict(context.trace_state) == expected
    assert caplog.records == []


def test_a_state_that_a_sampler_changes_is_written_anew() -> None:
    """The new root of a timer has the state of its own sampler."""
    state = TraceState([("vendor", "1")])
    span = SpanContext(7, 9, is_remote=False, trace_flags=TraceFlags(1), trace_state=state)

    trace = trace_context(span, charge_request(), None)

    assert trace == TraceContext(f"00-{TRACE}-{9:016x}-01", "vendor=1")


def test_a_state_that_is_too_long_is_left_out() -> None:
    """§3.3.1.5: more than 512 characters need not be propagated."""
    state = TraceState([(f"k{number}", "v" * 200) for number in range(4)])
    span = SpanContext(7, 9, is_remote=False, trace_flags=TraceFlags(1), trace_state=state)

    trace = trace_context(span, None, None)

    assert trace == TraceContext(f"00-{TRACE}-{9:016x}-01")
