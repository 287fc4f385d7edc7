"""Fields: a log record beside its message, as attributes whose names begin with arvo_.

The message of a record is a short constant text, so that records can be counted and filtered by it.
What differs from record to record is in its fields.
"""

import logging
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any, Final

from opentelemetry import trace

from arvo.core.events.event import Event
from arvo.core.events.subject import workflow_id_of

PREFIX: Final = "arvo_"
# The attributes of every record, and those that formatters and later versions of Python add.
STANDARD: Final = frozenset(
    {
        *vars(logging.LogRecord("", 0, "", 0, "", None, None)),
        *("asctime", "message", "taskName"),
    }
)
# The fields of every record about an event.
OF_EVERY_RECORD: Final = (
    *("arvo_event", "arvo_type", "arvo_subject", "arvo_workflow_id"),
    *("arvo_handler", "arvo_revision"),
    *("otelTraceID", "otelSpanID"),
)
# Attributes of one `Log` command that are logged.
ATTRIBUTES_MAX: Final = 64

# The event that the current task processes, and the address of its handler, if it has one.
HANDLED: Final[ContextVar[tuple[Event[Any], str | None] | None]] = ContextVar(
    "arvo_handled", default=None
)


def fields(event: Event[Any] | None = None, /, **known: object) -> dict[str, object]:
    """Return the `extra` of a record about *event*, with further fields that are *known*.

    A field whose value is None is left out.
    """
    extra = {f"{PREFIX}{name}": value for name, value in known.items() if value is not None}
    if event is not None:
        extra |= _event_fields(event)
    return extra


def attribute_fields(attributes: Mapping[str, object]) -> dict[str, object]:
    """Return the `extra` for the attributes of a handler's `Log`, each as a field of its own.

    logging refuses the names of its own attributes, such as `name`: they get an underscore at the
    end, as do the names of the fields of each record.
    """
    # A record factory of the user may add attributes to every record.
    taken = {*STANDARD, *OF_EVERY_RECORD, *vars(logging.makeLogRecord({}))}
    extra: dict[str, object] = {}
    for key, value in list(attributes.items())[:ATTRIBUTES_MAX]:
        name = str(key)
        while name in taken:
            name += "_"
        taken.add(name)
        extra[name] = value
    return extra


def add_context(record: logging.LogRecord) -> None:
    """Add what is known of the place where a record is logged: the event in hand, and the span.

    The names of the span's ids are those of `opentelemetry-instrumentation-logging`.
    """
    attributes = vars(record)
    handled = HANDLED.get()
    # A record that is about another event, such as one that the event in hand emitted, keeps it.
    if handled is not None and attributes.get("arvo_event", handled[0].id) == handled[0].id:
        known = fields(handled[0], handler=handled[1])
        attributes |= {name: value for name, value in known.items() if name not in attributes}
    span = trace.get_current_span().get_span_context()
    if span.is_valid:
        attributes["otelTraceID"] = trace.format_trace_id(span.trace_id)
        attributes["otelSpanID"] = trace.format_span_id(span.span_id)


def fields_of(record: logging.LogRecord) -> dict[str, object]:
    """Return the fields of a record beside the attributes of every record."""
    return {name: value for name, value in vars(record).items() if name not in STANDARD}


def _event_fields(event: Event[Any]) -> dict[str, object]:
    known: dict[str, object] = {
        "arvo_event": event.id,
        "arvo_type": event.type,
        "arvo_subject": event.subject,
    }
    if id_ := workflow_id_of(event.subject):
        known["arvo_workflow_id"] = id_
    return known
