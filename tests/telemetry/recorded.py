"""Recorded: the SDK with an exporter in memory, and the spans of it as text."""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any

from attrs import define, field
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import Sampler

from arvo import Retry, Runtime, System
from arvo.telemetry import observe
from arvo.telemetry.conventions import names
from tests.interpreters.within import within

FAST = Retry(attempts=2, delay=0.0)

Work = Callable[[Runtime], Awaitable[object]]


@define(eq=False)
class Sdk:
    """Providers that keep all in memory."""

    sampler: Sampler | None = None
    exporter: InMemorySpanExporter = field(factory=InMemorySpanExporter, init=False)
    reader: InMemoryMetricReader = field(factory=InMemoryMetricReader, init=False)
    tracers: TracerProvider = field(init=False)
    meters: MeterProvider = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.tracers = TracerProvider(sampler=self.sampler, shutdown_on_exit=False)
        self.tracers.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.meters = MeterProvider([self.reader], shutdown_on_exit=False)

    def runtime(self, system: System, backend: Any = "memory:", **options: Any) -> Runtime:
        """Return an observed runtime; *options* are those of `observe`, but for *retry*."""
        retry = options.pop("retry", FAST)
        providers = {"tracer_provider": self.tracers, "meter_provider": self.meters}
        return observe(Runtime(system, backend, retry=retry), **{**providers, **options})

    def run(self, system: System, work: Work, backend: Any = "memory:", **options: Any) -> None:
        """Run *work* in an observed runtime until the system is idle."""

        async def go() -> None:
            async with self.runtime(system, backend, **options) as runtime:
                await work(runtime)
                await runtime.drain(timeout=30)

        within(go())

    @property
    def spans(self) -> Sequence[ReadableSpan]:
        """The spans that have ended."""
        return self.exporter.get_finished_spans()

    def named(self, name: str) -> list[ReadableSpan]:
        """The spans of that name, in the order in which they ended."""
        return [span for span in self.spans if span.name == name]

    def points(self, metric: str) -> dict[tuple[Any, ...], Any]:
        """The data points of a metric, by the values of their attributes."""
        data = self.reader.get_metrics_data()
        found: dict[tuple[Any, ...], Any] = {}
        for resource in data.resource_metrics if data is not None else ():
            for scope in resource.scope_metrics:
                for each in scope.metrics:
                    if each.name == metric:
                        for point in each.data.data_points:
                            found[tuple((point.attributes or {}).values())] = point
        return found

    def counted(self, metric: str) -> dict[tuple[Any, ...], float]:
        """The values of a counter or a gauge, or the counts of a histogram."""
        points = self.points(metric)
        return {key: getattr(it, "value", getattr(it, "count", 0)) for key, it in points.items()}

    def tree(self) -> str:
        """The spans as text, each below its parent: name, kind, outcome, status, links, events."""
        return "\n".join(lines_of(self.spans))


def lines_of(spans: Sequence[ReadableSpan]) -> Iterator[str]:
    known = {span.context.span_id for span in spans}
    children: dict[int | None, list[ReadableSpan]] = {}
    for span in spans:
        parent = span.parent.span_id if span.parent is not None else None
        children.setdefault(parent if parent in known else None, []).append(span)

    def lines(parent: int | None, indent: str) -> Iterator[str]:
        for span in sorted(children.get(parent, ()), key=order):
            yield indent + line_of(span)
            for event in span.events:
                text = f"{event.name} {described(dict(event.attributes or {}))}"
                yield f"{indent}    . {text.rstrip()}"
            yield from lines(span.context.span_id, indent + "  ")

    yield from lines(None, "")


def order(span: ReadableSpan) -> tuple[int, bool, int]:
    # The span of a workflow begins with its first turn.
    return span.start_time or 0, not span.name.startswith("workflow"), span.context.span_id


def line_of(span: ReadableSpan) -> str:
    attributes = dict(span.attributes or {})
    parts = [span.name, f"[{span.kind.name}]"]
    parts += [
        f"{name.rpartition('.')[2]}={attributes[name]}"
        for name in (names.OUTCOME, names.ATTEMPT, names.WORKFLOW_STATUS, names.ERROR_TYPE)
        if name in attributes and (name != names.ATTEMPT or attributes[name] != 1)
    ]
    if span.status.status_code.name != "UNSET":
        parts.append(f"{span.status.status_code.name}: {span.status.description}")
    parts += [f"link={(link.attributes or {}).get(names.LINK)}" for link in span.links]
    return " ".join(parts)


# What differs from run to run.
_VARIES = {names.EVENT_ID, "due", "id", names.EXCEPTION_STACKTRACE, "wait_s"}


def described(attributes: dict[str, Any]) -> str:
    shown = {key: value for key, value in attributes.items() if key not in _VARIES}
    return " ".join(f"{key.rpartition('.')[2]}={value}" for key, value in shown.items())
