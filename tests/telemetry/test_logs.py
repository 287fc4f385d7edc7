"""Logs: a line has the trace of the attempt that it is about."""

import logging
import sys
from contextlib import AsyncExitStack
from itertools import count
from typing import Any

import pytest
from opentelemetry.sdk._logs import LoggerProvider, LogRecordProcessor
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.trace import NonRecordingSpan, SpanContext, use_span

from arvo import (
    ContractViolation,
    Effects,
    Emit,
    Event,
    MemoryBackend,
    Retry,
    Runtime,
    System,
    Violated,
    call,
)
from arvo.telemetry.conventions import names
from arvo.telemetry.logs.handler import LogHandler
from tests.interpreters.runtime.running import Replaced
from tests.interpreters.within import within
from tests.logged import logged
from tests.shop import (
    CardCharged,
    ChargeCard,
    charge_request,
    order_request,
    payment_handler,
    shop,
)
from tests.telemetry.recorded import Sdk

# Stepped in a tick, and processed by itself.
BACKENDS: list[Any] = [
    pytest.param(MemoryBackend, id="tick"),
    pytest.param(lambda: Replaced(MemoryBackend()), id="alone"),
]


def ids_of(sdk: Sdk, outcome: str) -> dict[str, str]:
    """Return the ids of the only span with an outcome, as a line has them."""
    [span] = [it for it in sdk.spans if (it.attributes or {}).get(names.OUTCOME) == outcome]
    return {
        "otelTraceID": f"{span.context.trace_id:032x}",
        "otelSpanID": f"{span.context.span_id:016x}",
    }


def ids_in(line: dict[str, Any]) -> dict[str, str]:
    return {name: line[name] for name in ("otelTraceID", "otelSpanID")}


@pytest.mark.parametrize("make", BACKENDS)
def test_the_line_of_a_failed_workflow_leads_to_its_turn(
    make: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """The trace shows what came before; the line alone has only the reason."""
    sdk = Sdk()

    async def work(runtime: Runtime) -> None:
        await runtime.send(order_request(amount=5_000.0))

    sdk.run(shop, work, make())

    [line] = logged(caplog.records, "a workflow failed")
    assert ids_in(line) == ids_of(sdk, "failed")


@pytest.mark.parametrize("make", BACKENDS)
def test_the_line_of_a_dead_letter_leads_to_its_last_attempt(
    make: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """In which the violation has its fields."""
    sdk = Sdk()

    def refuse(_: Event[ChargeCard]) -> Emit:
        raise Violated(ContractViolation("no such order"))

    async def work(runtime: Runtime) -> None:
        await runtime.send(charge_request())

    sdk.run(System([payment_handler(refuse)]), work, make())

    [line] = logged(caplog.records, "dead letter stored")
    assert ids_in(line) == ids_of(sdk, "dead_lettered")


# It has no types.
make_exporter: Any = InMemoryLogRecordExporter


def logged_to(processor: LogRecordProcessor) -> None:
    """Log an exception within a span to a handler of a provider."""
    provider = LoggerProvider(shutdown_on_exit=False)
    provider.add_log_record_processor(processor)
    handler, logger = LogHandler(provider.get_logger("arvo")), logging.getLogger("tests.otlp")
    logger.addHandler(handler)
    error = ConnectionError("no route")
    try:
        with use_span(NonRecordingSpan(SpanContext(7, 8, is_remote=False))):
            logger.error("it failed", exc_info=error, extra={"arvo_reason": "r", "items": [1]})
    finally:
        logger.removeHandler(handler)


def test_a_record_is_emitted_with_its_fields_its_exception_and_its_span() -> None:
    """What a line shows as text is attributes there."""
    exporter = make_exporter()

    logged_to(SimpleLogRecordProcessor(exporter))

    [line] = [each.log_record for each in exporter.get_finished_logs()]
    attributes = dict(line.attributes or {})
    assert "ConnectionError: no route" in str(attributes.pop("exception.stacktrace"))
    assert attributes == {
        "arvo.logger": "tests.otlp",
        "arvo_reason": "r",
        "items": "[1]",
        "exception.type": "ConnectionError",
        "exception.message": "no route",
    }
    assert (line.body, line.severity_text) == ("it failed", "ERROR")
    assert (line.trace_id, line.span_id) == (7, 8)


def test_a_log_processor_that_raises_stops_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """A line is no reason to end a delivery."""

    class Broken(SimpleLogRecordProcessor):
        def on_emit(self, log_record: Any) -> None:
            raise OSError(f"no collector for {log_record.log_record.body}")

    logged_to(Broken(make_exporter()))

    assert "it failed" in caplog.messages


@pytest.mark.parametrize("runtimes", [1, 2])
def test_the_log_is_exported_while_a_runtime_is_entered(runtimes: int) -> None:
    """To the provider of an application, once however many runtimes it has, and not after."""
    exporter, sdk = make_exporter(), Sdk()
    provider = LoggerProvider(shutdown_on_exit=False)
    provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))
    before = list(logging.getLogger("arvo").handlers)

    async def go() -> None:
        async with AsyncExitStack() as stack:
            for _ in range(runtimes):
                runtime = sdk.runtime(shop, MemoryBackend(), logs=provider)
                await stack.enter_async_context(runtime)
            await runtime.send(order_request(amount=5_000.0))
            await runtime.drain(timeout=30)
            logging.getLogger("arvo.worker").warning("all are entered")
            # A runtime that serves is stopped twice.
            await runtime.stop()

    within(go())

    lines = [each.log_record for each in exporter.get_finished_logs()]
    assert [line.body for line in lines] == ["a workflow failed", "all are entered"]
    assert f"{lines[0].span_id:016x}" == ids_of(sdk, "failed")["otelSpanID"]
    assert dict(lines[0].attributes or {})["arvo_reason"] == "payment declined: limit"
    assert logging.getLogger("arvo").handlers == before


def test_the_log_goes_to_the_global_provider_on_demand(monkeypatch: pytest.MonkeyPatch) -> None:
    """That of an agent, or of the code that begins the process."""
    exporter = make_exporter()
    provider = LoggerProvider(shutdown_on_exit=False)
    provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))
    module = sys.modules["arvo.telemetry.observe"]
    monkeypatch.setattr(module, "get_logger_provider", lambda: provider)

    async def work(runtime: Runtime) -> None:
        await runtime.send(order_request(amount=5_000.0))

    Sdk().run(shop, work, logs=True)

    [line] = [each.log_record for each in exporter.get_finished_logs()]
    assert line.body == "a workflow failed"


def test_the_line_of_a_retry_leads_to_the_effect(caplog: pytest.LogCaptureFixture) -> None:
    """And so do the lines that its function logs."""
    sdk, attempts = Sdk(), count(1)

    async def flaky() -> str:
        if next(attempts) < 2:
            raise ConnectionError("no route")
        return "r"

    def pay(_: Event[ChargeCard]) -> Effects[Emit]:
        receipt = yield from call(flaky, retry=Retry(attempts=2, delay=0.0))
        return Emit(CardCharged(receipt))

    async def work(runtime: Runtime) -> None:
        await runtime.send(charge_request())

    with caplog.at_level(logging.INFO, logger="arvo"):
        sdk.run(System([payment_handler(pay)]), work)

    [line] = logged(caplog.records, "effect retried")
    [span] = [it for it in sdk.spans if it.name.startswith("call ")]
    assert line["otelSpanID"] == f"{span.context.span_id:016x}"
