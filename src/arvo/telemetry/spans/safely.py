"""Safely: begin and end spans; what a processor of the application raises stops no delivery."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from opentelemetry.trace import INVALID_SPAN, Span, Tracer, use_span

from arvo.telemetry.logs.failures import report_failure


def begin_span(tracer: Tracer, name: str, **options: Any) -> Span:
    """Begin a span with the *options* of `Tracer.start_span`; one that records nothing if that
    raises.
    """
    try:
        return tracer.start_span(name, **options)
    except BaseException as error:  # noqa: BLE001 - code of the application
        report_failure(error)
        return INVALID_SPAN


def end_span(span: Span, end: int | None = None) -> None:
    """End a span, at *end* in nanoseconds or now."""
    try:
        span.end(end)
    except BaseException as error:  # noqa: BLE001 - code of the application
        report_failure(error)


@contextmanager
def current_span(tracer: Tracer, name: str, **options: Any) -> Iterator[Span]:
    """Begin a span, make it the current one, and end it; what is raised within is recorded."""
    span = begin_span(tracer, name, **options)
    try:
        with use_span(span):
            yield span
    finally:
        end_span(span)
