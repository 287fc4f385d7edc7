"""Formatters: fields as text for people, and as JSON for programs."""

import json
import logging
from typing import Any

import pytest

from arvo.interpreters.delivery.log import HANDLED, fields
from arvo.logs import EventFields, JsonFormatter, TextFormatter
from tests.exits import HOSTILE, assert_printable
from tests.shop import charge_request

EVENT = charge_request("c1")


def record_of(message: str = "dead letter stored", **extra: Any) -> logging.LogRecord:
    """Make a record of another library's logger, which escapes nothing."""
    record = logging.LogRecord("shop.mail", logging.WARNING, "mail.py", 1, message, (), None)
    vars(record).update(extra)
    return record


def test_a_person_reads_the_line_then_the_fields_and_the_subject_last() -> None:
    """A subject is longer than all others together."""
    extra: dict[str, Any] = fields(
        EVENT, handler="com.payment.charge", reason='no "route"', attempts=3
    )

    text = TextFormatter("%(levelname)s %(message)s").format(record_of(**extra))

    assert text == (
        "WARNING dead letter stored handler=com.payment.charge "
        r'reason="no \"route\"" attempts=3 event=c1 type=com.payment.charge '
        f"workflow_id=c1 subject={EVENT.subject}"
    )


def test_a_traceback_stands_below_the_line_with_its_fields() -> None:
    """A program that reads lines finds the fields in the first."""
    error = LookupError("no such card")
    record = record_of(arvo_reason="x")
    record.exc_info = (type(error), error, None)

    first, *rest = TextFormatter("%(message)s").format(record).split("\n")

    assert first == "dead letter stored reason=x"
    assert rest[-1] == "LookupError: no such card"


@pytest.mark.parametrize("formatter", [TextFormatter("%(message)s"), JsonFormatter()])
def test_a_hostile_field_is_shown_escaped(formatter: logging.Formatter) -> None:
    """Names and values may come from a handler that copies them from an event."""
    hostile: dict[str, Any] = {HOSTILE: HOSTILE, "nested": {HOSTILE: [HOSTILE]}}

    assert_printable(formatter.format(record_of(HOSTILE, **hostile)))


def test_a_program_reads_each_field() -> None:
    """One object a line, in which no field replaces what every line has."""
    record = record_of(**dict[str, Any](fields(EVENT, attempts=3)), level="x", order={"id": 7})
    record.created = 0.5

    content = json.loads(JsonFormatter().format(record))

    assert content == {
        "time": "1970-01-01T00:00:00.500+00:00",
        "level": "warning",
        "logger": "shop.mail",
        "process": record.process,
        "message": "dead letter stored",
        "arvo_attempts": 3,
        "arvo_event": "c1",
        "arvo_type": EVENT.type,
        "arvo_subject": EVENT.subject,
        "arvo_workflow_id": "c1",
        "level_": "x",
        "order": {"id": 7},
    }


class Unshowable:
    """A value that cannot be shown."""

    def __str__(self) -> str:
        raise ValueError("no text")

    __repr__ = __str__


def test_a_value_that_json_cannot_hold_is_written_as_its_text() -> None:
    """A line must not be lost for one of its fields."""
    circular: list[Any] = []
    circular.append(circular)
    values: dict[str, Any] = {
        "circular": circular,
        "nan": float("nan"),
        "key": {(1, 2): 3},
        "object": Unshowable(),
        "surrogate": "\ud800",
        "good": 1,
    }

    content = json.loads(JsonFormatter().format(record_of(**values)))

    assert {name: content[name] for name in values} == {
        "circular": "[[...]]",
        "nan": "nan",
        "key": "{(1, 2): 3}",
        "object": "a Unshowable",
        "surrogate": "\ud800",
        "good": 1,
    }


def test_the_filter_adds_the_event_in_hand_to_records_of_other_loggers() -> None:
    """An effect's function logs through a logger of its own."""
    token = HANDLED.set((EVENT, "com.payment.charge"))
    record = record_of()
    try:
        assert EventFields().filter(record)
    finally:
        HANDLED.reset(token)

    assert TextFormatter("%(message)s").format(record) == (
        "dead letter stored handler=com.payment.charge event=c1 type=com.payment.charge "
        f"workflow_id=c1 subject={EVENT.subject}"
    )
