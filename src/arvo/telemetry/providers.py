"""Providers: those of the SDK of OpenTelemetry, made from its standard variables."""

import os
from collections.abc import Mapping
from typing import Final, final

from attrs import frozen
from opentelemetry._logs import set_logger_provider
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.metrics import set_meter_provider
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import Sampler
from opentelemetry.trace import set_tracer_provider

from arvo.core.violations.issue import Issue, short_repr
from arvo.core.violations.violation import ConfigViolation, Violated
from arvo.telemetry.logs.handler import attach_handler
from arvo.telemetry.spans.sampler import WorkflowSampler

# The name of `WorkflowSampler` in OTEL_TRACES_SAMPLER.
WORKFLOW_SAMPLER: Final = "arvo_workflow"
# How long a process that stops waits for the collector, for spans, for metrics and for logs each.
FLUSH_MILLISECONDS_MAX: Final = 2_000


@final
@frozen
class Providers:
    """The providers of this process."""

    tracers: TracerProvider
    meters: MeterProvider
    logs: LoggerProvider

    def flush(self) -> None:
        """Export what is not exported yet. Blocks."""
        self.tracers.force_flush(FLUSH_MILLISECONDS_MAX)
        self.meters.force_flush(FLUSH_MILLISECONDS_MAX)
        self.logs.force_flush(FLUSH_MILLISECONDS_MAX)


def install_providers(name: str, worker: int) -> Providers:
    """Make providers from the variables `OTEL_*`, and set them as the global ones.

    In each process after its start: the threads of an exporter do not survive a fork. *name*: the
    name of the service, where the variables give none. *worker*: the number of the worker. Raises
    `Violated` for a variable that cannot be used.
    """
    protocol = os.environ.get("OTEL_EXPORTER_OTLP_PROTOCOL", _HTTP)
    if protocol != _HTTP:
        issue = Issue("OTEL_EXPORTER_OTLP_PROTOCOL", _HTTP, short_repr(protocol))
        raise Violated(ConfigViolation("telemetry is exported over HTTP", issue))
    resource = Resource.create(_resource_attributes(name, worker, os.environ))
    tracers = TracerProvider(sampler=_workflow_sampler(os.environ), resource=resource)
    if _exports("TRACES"):
        tracers.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    readers = [PeriodicExportingMetricReader(OTLPMetricExporter())] if _exports("METRICS") else []
    meters = MeterProvider(readers, resource)
    logs = LoggerProvider(resource)
    if _exports("LOGS"):
        logs.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter()))
        attach_handler(logs)
    set_tracer_provider(tracers)
    set_meter_provider(meters)
    set_logger_provider(logs)
    return Providers(tracers, meters, logs)


_HTTP: Final = "http/protobuf"


def _exports(signal: str) -> bool:
    return os.environ.get(f"OTEL_{signal}_EXPORTER", "otlp") != "none"


def _resource_attributes(name: str, worker: int, variables: Mapping[str, str]) -> Mapping[str, str]:
    attributes = {"service.instance.id": f"{worker}/{os.getpid()}"}
    # What is given here would win over the variables.
    named = variables.get("OTEL_SERVICE_NAME") or "service.name=" in variables.get(
        "OTEL_RESOURCE_ATTRIBUTES", ""
    )
    return attributes if named else {**attributes, "service.name": name}


def _workflow_sampler(variables: Mapping[str, str]) -> Sampler | None:
    """Return our sampler if the variables name it; None: the SDK reads them."""
    if variables.get("OTEL_TRACES_SAMPLER") != WORKFLOW_SAMPLER:
        return None
    text = variables.get("OTEL_TRACES_SAMPLER_ARG", "1")
    try:
        ratio = float(text)
    except ValueError:
        issue = Issue("OTEL_TRACES_SAMPLER_ARG", "0 to 1", short_repr(text))
        raise Violated(ConfigViolation("invalid share of workflows", issue)) from None
    return WorkflowSampler(ratio)
