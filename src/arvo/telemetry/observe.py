"""Observe: let OpenTelemetry show what a runtime does."""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from importlib.metadata import PackageNotFoundError, version
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from opentelemetry._logs import LoggerProvider, get_logger_provider
from opentelemetry.metrics import Meter, MeterProvider, get_meter
from opentelemetry.trace import TracerProvider, get_tracer

from arvo.core.violations.arguments import check_argument, check_function
from arvo.extras import DISTRIBUTION
from arvo.interpreters.ports.backend import Backend
from arvo.interpreters.runtime.client import Client
from arvo.interpreters.runtime.runtime import Runtime
from arvo.telemetry.conventions import names
from arvo.telemetry.metrics.gauges import GaugeInstruments, Gauges
from arvo.telemetry.metrics.instruments import Metrics
from arvo.telemetry.observer import TelemetryObserver
from arvo.telemetry.spans.attributes import AttributesOf, Describe, EndUser, Redact
from arvo.telemetry.spans.baggage import Baggage
from arvo.telemetry.spans.join import WAITS, JoinRule, wait_seconds
from arvo.telemetry.spans.tracing import Tracing
from arvo.telemetry.spans.turn import Shared
from arvo.telemetry.spans.workflow import Workflows

C = TypeVar("C", bound=Client)

# The SDK warns of a second instrument of one name, so all runtimes of a process share theirs.
_METRICS: "WeakKeyDictionary[Meter, tuple[Metrics, GaugeInstruments]]" = WeakKeyDictionary()


def observe(
    runtime: C,
    *,
    tracer_provider: TracerProvider | None = None,
    meter_provider: MeterProvider | None = None,
    join: JoinRule | None = None,
    waits: float | timedelta = WAITS,
    attributes: AttributesOf | None = None,
    payloads: Redact | None = None,
    enduser: EndUser | None = None,
    baggage: Iterable[str] = (),
    reference_attributes: bool = False,
    gauges: bool = True,
    logs: bool | LoggerProvider = False,
) -> C:
    """Show what a runtime or a client does as spans, metrics and logs, and return it.

    Call it before the runtime is entered: `async with observe(Runtime(system, url)) as runtime`.

    *tracer_provider*, *meter_provider*: those to use in place of the global ones. *join*: decides
    for an event and its delivery whether the span of the delivery is a child of the sender's
    (`"parent"`), begins a new trace with a link to it (`"link"`), or without one (`"none"`). By
    default it is a child, but a timer begins a new trace, and so does a reply or a signal that
    comes later than *waits*, in seconds, after its event. *attributes* returns further attributes
    for the spans of an event. *payloads* returns the data of an event as its spans may show it; by
    default they show none. *enduser* returns who acts, for the spans of an operator's commands.
    *baggage*: the keys of W3C Baggage, at most 8, whose entries travel with the events, as
    extensions `bg<key>` of 256 bytes in all; a client takes them from the context in which it
    sends, and they are in that of each effect and listener.
    *reference_attributes*: whether spans also have the attributes that the TypeScript packages set,
    with `N/A` for missing values: 13 for the event, and 13 for each of the first four that are
    emitted. *gauges*: whether to ask the backend, each 15 seconds, for its depth and
    its dead letters; one process is enough. *logs*: whether to export the records of the logger
    `arvo`, to the global provider or to this one, while the runtime is entered. They are those that
    the level of the logger lets through: by default warnings and errors.

    Raises `Violated` if the runtime is observed already, and for an argument that is none.
    """
    _check(runtime, (tracer_provider, meter_provider), logs, (reference_attributes, gauges))
    for name, value in (
        ("join", join), ("attributes", attributes), ("payloads", payloads), ("enduser", enduser),
    ):  # fmt: skip
        check_function(name, value, "a function, or None", of="observe")
    tracer = get_tracer(names.SCOPE, _version(), tracer_provider, names.SCHEMA_URL)
    meter = get_meter(names.SCOPE, _version(), meter_provider, names.SCHEMA_URL)
    if meter not in _METRICS:
        _METRICS[meter] = Metrics(meter), GaugeInstruments(meter)
    metrics, instruments = _METRICS[meter]
    backend = runtime.backend
    describe = Describe(
        runtime.system, messaging_system(backend), attributes, payloads, reference_attributes
    )
    tracing = Tracing(tracer)
    workflows = Workflows(tracing, metrics, backend.workflow)
    source = Gauges(runtime, lambda: _slots(runtime), asks=gauges)
    instruments.sources.add(source)
    shared = Shared(tracing, metrics, describe, workflows, Baggage.of(baggage))
    provider = get_logger_provider() if logs is True else logs or None
    runtime.observe(TelemetryObserver(shared, join, wait_seconds(waits), source, provider, enduser))
    return runtime


def _check(
    runtime: object, providers: tuple[object, object], logs: object, flags: tuple[object, object]
) -> None:
    check_argument("runtime", runtime, Client, "a Runtime or a Client", of="observe")
    tracers, meters = providers
    expected = "a provider of OpenTelemetry, or None"
    check_argument("tracer_provider", tracers, TracerProvider | None, expected, of="observe")
    check_argument("meter_provider", meters, MeterProvider | None, expected, of="observe")
    check_argument("logs", logs, bool | LoggerProvider, "True, False or a provider", of="observe")
    for name, flag in zip(("reference_attributes", "gauges"), flags, strict=True):
        check_argument(name, flag, bool, "True or False", of="observe")


def messaging_system(backend: Backend) -> str:
    """Return the name of what carries the messages: of a pair, that of its broker.

    `kafka` and `rabbitmq` are names of the semantic conventions.
    """
    carrier: Any = getattr(backend, "broker", backend)
    package = type(carrier).__module__.split(".")
    if package[:2] != ["arvo", "interpreters"]:
        return type(carrier).__name__.lower()
    return _SYSTEMS.get(package[2], f"arvo.{package[2]}")


_SYSTEMS: Mapping[str, str] = {
    "kafka": "kafka",
    "rabbit": "rabbitmq",
    "redis": "redis",
    "postgres": "arvo.postgresql",
}


def _slots(client: Client) -> Mapping[str, tuple[int, int]]:
    return client.slots if isinstance(client, Runtime) else {}


def _version() -> str:
    try:
        return version(DISTRIBUTION)
    except PackageNotFoundError:
        return ""
