"""Safely: begin and end spans; what a processor of the application raises stops no delivery."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from opentelemetry.trace import INVALID_SPAN, Span, Tracer, use_span

from arvo.interpreters.delivery.log import fields, get_logger
from arvo.interpreters.delivery.log.limit import LineLimit
from arvo.interrupts import is_interrupt

logger: Final = get_logger("telemetry")

_LIMIT: Final = LineLimit(time.monotonic)


def report_failure(error: BaseException) -> None:
    """Log what a sampler, a processor or an exporter raised, unless it is to end the process."""
    if is_interrupt(error):
        raise error
    # It would fail for each delivery.
    if _LIMIT.is_due():
        extra = fields(reason=repr(error), unlogged=_LIMIT.unlogged)
        logger.warning("telemetry failed", extra=extra)


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
