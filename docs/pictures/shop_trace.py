"""Shop trace: the trace of one order of the shop, as a picture.

    python -m docs.pictures.shop_trace [--check]

Runs an order of `docs.examples.orders` in memory, with a clock of its own, and draws the spans that
OpenTelemetry exports. `--check` compares the picture with the file in place of writing it.
"""

import random
import sys
from collections.abc import Iterator, Sequence
from datetime import timedelta
from html import escape
from pathlib import Path
from typing import Final

from attrs import frozen
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from arvo import Runtime
from arvo.telemetry import observe
from arvo.telemetry.conventions import names
from docs.examples.orders.contracts import Item, PlaceOrder
from docs.examples.orders.shop import order_event
from docs.examples.orders.systems import SYSTEMS
from docs.pictures.clock import SkippingLoop, skipping_loop

PICTURE: Final = Path(__file__).parent / "shop-trace.svg"
# The carrier is busy at its first attempt.
ORDER: Final = PlaceOrder("ord-0007", "c-0001", "tok-1", "NL", (Item("kenya-250g", 2),), 2580)

WIDTH: Final = 960
LABEL_WIDTH: Final = 400
ROW_HEIGHT: Final = 24
HEAD_HEIGHT: Final = 34
MARGIN: Final = 12
INDENT: Final = 14
# Room for the duration behind the longest bar.
TIME_WIDTH: Final = 70
COLOURS: Final = {
    "send": "#7c3aed",
    "process": "#2563eb",
    "call": "#d97706",
    "answer": "#059669",
    "workflow": "#64748b",
}
OTHER_COLOUR: Final = "#94a3b8"


@frozen
class Line:
    """A span at its *depth* in the tree; times in milliseconds from the begin of the trace."""

    name: str
    depth: int
    start: float
    end: float
    # What happened within: the times of its events.
    marks: tuple[float, ...]


def record() -> Sequence[ReadableSpan]:
    """Run the order, and return the spans."""
    exporter = InMemorySpanExporter()
    tracers = TracerProvider(shutdown_on_exit=False)
    tracers.add_span_processor(SimpleSpanProcessor(exporter))
    meters = MeterProvider(shutdown_on_exit=False)

    async def run(loop: SkippingLoop) -> None:
        runtime = Runtime(SYSTEMS["flow"], "memory:", now=loop.now)
        observe(
            runtime,
            tracer_provider=tracers,
            meter_provider=meters,
            # By the clock of this machine all replies are late.
            waits=timedelta(days=36_500),
            gauges=False,
        )
        async with runtime:
            await runtime.request(order_event(ORDER), timeout=10)

    # How long a retry waits is drawn.
    random.seed(0)
    with skipping_loop() as loop:
        loop.run_until_complete(run(loop))
    return exporter.get_finished_spans()


def lines_of(spans: Sequence[ReadableSpan]) -> list[Line]:
    """Return the spans in the order of their tree."""
    shown = [it for it in spans if (it.attributes or {}).get(names.OUTCOME) != "discarded"]
    begin = min(it.start_time or 0 for it in shown)
    known = {it.context.span_id for it in shown}

    def at(time: int | None) -> float:
        return ((time or 0) - begin) / 1e6

    def below(parent: int | None, depth: int) -> Iterator[Line]:
        children = [
            it
            for it in shown
            if (it.parent.span_id if it.parent and it.parent.span_id in known else None) == parent
        ]
        for it in sorted(children, key=lambda it: (it.name.startswith("workflow"), it.start_time)):
            marks = tuple(at(event.timestamp) for event in it.events if event.name == names.RETRY)
            yield Line(it.name, depth, at(it.start_time), at(it.end_time), marks)
            yield from below(it.context.span_id, depth + 1)

    return list(below(None, 0))


def draw(lines: Sequence[Line]) -> str:
    """Return the SVG."""
    longest = max(line.end for line in lines)
    scale = (WIDTH - LABEL_WIDTH - TIME_WIDTH - MARGIN) / longest
    height = HEAD_HEIGHT + ROW_HEIGHT * len(lines) + MARGIN
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
            f'width="{WIDTH}" height="{height}" role="img" aria-labelledby="title" '
            'font-family="ui-monospace, monospace" font-size="12">'
        ),
        '<title id="title">The trace of one order of the shop</title>',
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="{MARGIN}" y="22" fill="#334155" font-weight="bold">span</text>',
        f'<text x="{LABEL_WIDTH}" y="22" fill="#334155" font-weight="bold">0 ms</text>',
        (
            f'<text x="{LABEL_WIDTH + longest * scale:.0f}" y="22" fill="#334155" '
            f'font-weight="bold" text-anchor="end">{longest:.0f} ms</text>'
        ),
    ]
    for number, line in enumerate(lines):
        parts += _row(line, HEAD_HEIGHT + ROW_HEIGHT * number, scale, is_grey=number % 2 == 0)
    return "\n".join([*parts, "</svg>", ""])


def _row(line: Line, top: int, scale: float, *, is_grey: bool) -> Iterator[str]:
    colour = COLOURS.get(line.name.partition(" ")[0], OTHER_COLOUR)
    left, width = LABEL_WIDTH + line.start * scale, max(2.0, (line.end - line.start) * scale)
    if is_grey:
        yield f'<rect y="{top}" width="{WIDTH}" height="{ROW_HEIGHT}" fill="#f1f5f9"/>'
    yield (
        f'<text x="{MARGIN + INDENT * line.depth}" y="{top + 16}" fill="#0f172a">'
        f"{escape(line.name)}</text>"
    )
    yield (
        f'<rect x="{left:.1f}" y="{top + 6}" width="{width:.1f}" height="12" rx="2" '
        f'fill="{colour}"/>'
    )
    for mark in line.marks:
        yield (
            f'<circle cx="{LABEL_WIDTH + mark * scale:.1f}" cy="{top + 12}" r="4" fill="#dc2626" '
            'stroke="#ffffff"><title>arvo.retry</title></circle>'
        )
    yield (
        f'<text x="{left + width + 6:.1f}" y="{top + 16}" fill="#475569">'
        f"{line.end - line.start:.1f} ms</text>"
    )


def main(arguments: Sequence[str]) -> int:
    """Write the picture, or compare it; 1 if it is not current."""
    picture = draw(lines_of(record()))
    if "--check" not in arguments:
        PICTURE.write_text(picture, encoding="utf-8")
        return 0
    if PICTURE.read_text(encoding="utf-8") == picture:
        return 0
    print(f"{PICTURE.name} is not current: run python -m docs.pictures.shop_trace", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
