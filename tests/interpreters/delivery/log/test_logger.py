"""Logger: records get what is known of the event in hand and of the span, and are escaped."""

import logging
from typing import Any

import pytest
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, use_span

from arvo.interpreters.delivery.log import (
    HANDLED,
    attribute_fields,
    fields,
    get_logger,
    silenced,
)
from arvo.interpreters.delivery.log.logger import TEXT_CHARACTERS_MAX
from tests.logged import logged
from tests.shop import charge_request

SPAN = NonRecordingSpan(
    SpanContext(0x1234, 0x56, is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED))
)
IDS = {"otelTraceID": f"{0x1234:032x}", "otelSpanID": f"{0x56:016x}"}
EVENT = charge_request("c1")
OF_EVENT = {"event": "c1", "type": EVENT.type, "subject": EVENT.subject, "workflow_id": "c1"}
logger = get_logger("test_logger")


@pytest.fixture(autouse=True)
def _in_hand() -> Any:
    """Begin with no event in hand."""
    token = HANDLED.set(None)
    yield
    HANDLED.reset(token)


def test_a_record_has_the_event_in_hand(caplog: pytest.LogCaptureFixture) -> None:
    """Code that knows no event, such as that of effects, need not pass it on."""
    HANDLED.set((EVENT, "com.payment.charge"))

    logger.warning("tried", extra=fields(attempt=1))

    assert logged(caplog.records, "tried") == [
        {"attempt": 1, "handler": "com.payment.charge", **OF_EVENT}
    ]


def test_a_record_about_another_event_does_not_mix_both(caplog: pytest.LogCaptureFixture) -> None:
    """As that of an event which the event in hand emitted."""
    HANDLED.set((charge_request("c2"), "com.payment.charge"))

    logger.warning("stored", extra=fields(EVENT))

    assert logged(caplog.records, "stored") == [OF_EVENT]


def test_a_record_has_the_ids_of_the_current_span(caplog: pytest.LogCaptureFixture) -> None:
    """An operator goes from the line to its trace."""
    with use_span(SPAN):
        logger.warning("within")
    logger.warning("outside")

    assert logged(caplog.records, "within") == [IDS]
    assert logged(caplog.records, "outside") == [{}]


def test_what_is_not_known_is_no_field() -> None:
    """An empty field would look like an empty value."""
    assert fields(None, reason=None, attempt=0) == {"arvo_attempt": 0}


def test_the_texts_of_fields_are_escaped_and_bounded(caplog: pytest.LogCaptureFixture) -> None:
    """A formatter of the user shows them as they are; a program gets structure and numbers."""
    values = {"reason": "a\nERROR b", "long": "x" * 9_000, "number": 1.5, "items": ["\n"]}

    logger.warning("hostile", extra=fields(error=KeyError("\n"), **values))

    [found] = logged(caplog.records, "hostile")
    assert found["reason"] == r"a\nERROR b"
    assert found["error"] == r"'\\n'".replace("\\\\", "\\")
    assert len(found["long"]) == TEXT_CHARACTERS_MAX
    assert (found["number"], found["items"]) == (1.5, ["\n"])


def test_a_message_without_arguments_is_escaped_and_not_formatted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It may be the text of a handler's `Log`."""
    logger.warning("100%\n%s")

    assert caplog.messages == [r"100%\n%s"]


def test_all_loggers_are_silenced_and_restored(caplog: pytest.LogCaptureFixture) -> None:
    """A simulation injects thousands of faults, which no operator should read."""
    with silenced():
        logger.warning("a")
        get_logger("worker").warning("b")
    logger.warning("c")

    assert caplog.messages == ["c"]


def test_an_attribute_of_the_users_record_factory_is_no_obstacle(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """opentelemetry-instrumentation-logging installs one; logging raises for a name twice."""
    before = logging.getLogRecordFactory()

    def factory(*arguments: Any, **options: Any) -> logging.LogRecord:
        record = before(*arguments, **options)
        record.service = "shop"
        return record

    logging.setLogRecordFactory(factory)
    try:
        logger.warning("made", extra=attribute_fields({"service": "x", "service_": "y"}))
    finally:
        logging.setLogRecordFactory(before)

    assert logged(caplog.records, "made") == [
        {"service": "shop", "service_": "x", "service__": "y"}
    ]
