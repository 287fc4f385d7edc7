"""Observed: what telemetry adds to the processor time of a delivery.

    python -m benchmarks.observed NUMBER

Runs the workflow of `benchmarks.durable`, in memory, one at a time: four deliveries, of which
sending and the span of the workflow are a part. The ways alternate in one process, and of each the
fastest round counts: other programs only make a round slower.
"""

import asyncio
import sys
import time
from collections.abc import Sequence
from typing import Final

from opentelemetry.context import Context
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import (
    BatchSpanProcessor,
    SimpleSpanProcessor,
    SpanExporter,
    SpanExportResult,
)
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, Sampler
from opentelemetry.trace import NonRecordingSpan, SpanContext, set_span_in_context

from arvo import Client, Commit, MemoryBackend, Runtime, TraceContext
from arvo.core.trace_context import event_with_trace, with_trace
from arvo.engine.step.route import ToHandler
from arvo.engine.step.step import step_plain
from arvo.interpreters.ports.messages import Delivery, Message
from arvo.interpreters.ports.observer import Observer
from arvo.telemetry import observe
from arvo.telemetry.conventions import names
from benchmarks.measure import Call, Figures, print_figures
from benchmarks.shop import NOW, ChargeCard, PlaceOrder, charge, order, system

DELIVERIES: Final = 4
ROUNDS: Final = 12
# The attributes that a sampler sees.
SAMPLED_ATTRIBUTES: Final = 5
SAMPLED_OUT: Final = "µs more, sampled out"
RECORDED: Final = "µs more, recorded"


class Discarding(SpanExporter):
    """Exports nothing: what an exporter costs is not ours."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:  # noqa: ARG002 - the SDK's
        return SpanExportResult.SUCCESS


def make_runtime(sampler: Sampler | None) -> Runtime:
    """Return a runtime whose spans *sampler* decides about; None: one that is not observed."""
    runtime = Runtime(system, MemoryBackend())
    if sampler is None:
        return runtime
    tracers, meters = make_providers(sampler)
    return observe(runtime, tracer_provider=tracers, meter_provider=meters)


def make_providers(sampler: Sampler) -> tuple[TracerProvider, MeterProvider]:
    """Return providers of the SDK, which export nothing."""
    tracers = TracerProvider(sampler=sampler, shutdown_on_exit=False)
    tracers.add_span_processor(BatchSpanProcessor(Discarding()))
    return tracers, MeterProvider([InMemoryMetricReader()], shutdown_on_exit=False)


async def processor_time(sampler: Sampler | None, number: int) -> float:
    """Return the microseconds of processor time of one workflow."""
    async with make_runtime(sampler) as runtime:
        await request(runtime, "first")
        start = time.process_time()
        for position in range(number):
            await request(runtime, f"o-{position}")
        return (time.process_time() - start) / number * 1e6


async def request(runtime: Runtime, name: str) -> None:
    event = order["1.0.0"].init(PlaceOrder(name, 1.0), source="com.shop.web")
    await runtime.request(event, timeout=60)


def delivery(sampler: Sampler | TracerProvider) -> Call:
    """Return a call that observes the delivery of a request, and gives its answer the trace."""
    request = charge["1.0.0"].accepts(
        ChargeCard("o-1", 1.0), source="com.shop.web", subject="shop-1", id="charge-1"
    )
    event = event_with_trace(request, TraceContext(f"00-{7:032x}-{8:016x}-01"))
    commit = step_plain(system, event, None, now=NOW)
    assert isinstance(commit, Commit)
    message = Message(event, ToHandler(charge.type, None))
    received, observer = Delivery(message, 1), make_observer(sampler)

    def call() -> None:
        turn = observer.received(message, received)
        assert turn.trace is not None
        turn.settled("handled", commit=with_trace(commit, turn.trace))

    return call


def sdk_alone(sampler: Sampler) -> Call:
    """Return a call that makes the span and the two measurements of that delivery without us."""
    exporter = InMemorySpanExporter()
    recorder = TracerProvider(shutdown_on_exit=False)
    recorder.add_span_processor(SimpleSpanProcessor(exporter))
    delivery(recorder)()
    [made] = exporter.get_finished_spans()
    attributes = dict(made.attributes or {})
    first = {name: attributes.pop(name) for name in list(attributes)[:SAMPLED_ATTRIBUTES]}
    labels = {**first, names.OUTCOME: "handled"}
    tracers, meters = make_providers(sampler)
    tracer, meter = tracers.get_tracer("sdk"), meters.get_meter("sdk")
    process = meter.create_histogram("process", "s")
    wait = meter.create_histogram("wait", "s")
    parent = set_span_in_context(NonRecordingSpan(SpanContext(7, 8, is_remote=True)), Context())

    def call() -> None:
        wait.record(1.0, {names.DESTINATION: charge.type})
        span = tracer.start_span(made.name, parent, made.kind, first, start_time=time.time_ns())
        if span.is_recording():
            span.set_attributes(attributes)
            for event in made.events:
                span.add_event(event.name, event.attributes)
        span.end()
        process.record(1.0, labels)

    return call


def make_observer(sampler: Sampler | TracerProvider) -> Observer:
    """Return the observer of a runtime."""
    observers: list[Observer] = []

    class Observed(Client):
        def observe(self, observer: Observer) -> None:
            observers.append(observer)

    tracers, meters = (
        make_providers(sampler)
        if isinstance(sampler, Sampler)
        else (sampler, make_providers(ALWAYS_ON)[1])
    )
    observe(Observed(system, "memory:"), tracer_provider=tracers, meter_provider=meters)
    return observers[0]


def measure(number: int) -> Figures:
    """Return the microseconds that each way adds to a delivery, beside that of no observer."""
    ways: dict[str, Sampler | None] = {"µs": None, SAMPLED_OUT: ALWAYS_OFF, RECORDED: ALWAYS_ON}
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, sampler in ways.items():
            taken[name].append(asyncio.run(processor_time(sampler, number)) / DELIVERIES)
    plain = min(taken["µs"])
    return {name: plain if name == "µs" else min(times) - plain for name, times in taken.items()}


if __name__ == "__main__":
    print_figures(measure(int(sys.argv[1])))
