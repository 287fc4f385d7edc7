"""Table: every row as data - our function, those of the peers, and what was recorded of them."""

from collections.abc import Callable, Mapping
from functools import cache, partial
from importlib.util import find_spec
from typing import Final, final

from attrs import frozen
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, Sampler

from benchmarks import observed, pure
from benchmarks.imports import dependencies_first, whole
from benchmarks.measure import Call, MakeSide, Side, Unmeasured, child, processor_time
from benchmarks.peers import charts, node
from tests import servers

PURE_RUNS: Final = 15
RUNS: Final = 5
# For rows of many seconds.
LONG_RUNS: Final = 3
REFERENCE: Final = "arvo-event-handler 3.0.25, Node"
XSTATE: Final = "XState 5.24, Node"
DBOS: Final = "DBOS 3.4"
SDK_ALONE: Final = "its span and two measurements, by the SDK alone"


@final
@frozen
class Recorded:
    """What an earlier run measured side by side, in one unit; the ratio is printed."""

    ours: float
    peer: float
    date: str = "November 2026"


@final
@frozen
class Peer:
    """Another library that does the same work.

    *make*: makes the side that measures it, or raises `Unmeasured`; None where there is only a
    record. *recorded*: printed where it cannot be measured.
    """

    name: str
    make: MakeSide | None
    recorded: Recorded | None = None


@final
@frozen
class Row:
    """One line of the table.

    *units*: the figures to print. The first is compared; more is better where it ends with "/s".
    *runs*: of which the median counts. *trip*: the orjson round trip to compare with, where the
    event is not the usual one.
    """

    name: str
    units: tuple[str, ...]
    make: MakeSide
    peers: tuple[Peer, ...] = ()
    runs: int = RUNS
    trip: Call | None = None


def rows() -> list[Row]:
    """Return the rows that stand beside other libraries."""
    return [*_pure(), *_runtime(), *_telemetry(), *_imports()]


def _on_node(row: str, ours: float, theirs: float, name: str = REFERENCE) -> Peer:
    return Peer(name, partial(node.side, row), Recorded(ours, theirs))


def _chart(module: str, chart: str, recorded: Recorded | None = None) -> Peer:
    name, makers = charts.LIBRARIES[module]

    def make() -> Side:
        require(module)
        return processor_time(makers[chart]())

    return Peer(name, make, recorded)


# By the name of a row of `benchmarks.pure`.
PURE_PEERS: Final[Mapping[str, tuple[Peer, ...]]] = {
    "event: create, serialise, parse": (_on_node("event", 33, 43),),
    "subject: new and parse, cold": (_on_node("subject", 37, 155),),
    "event handler: one in, one out": (_on_node("handler", 63, 88),),
    "resumable: two turns": (_on_node("resumable", 252, 404),),
    "orchestrator: two turns": (_on_node("sequential", 342, 689),),
    "orchestrator: parallel, three turns": (_on_node("parallel", 486, 1_077),),
    "statechart: flat": (
        _on_node("flat", 1.05, 3.9, XSTATE),
        _chart("transitions", "flat", Recorded(1.05, 10)),
        _chart("statemachine", "flat"),
        _chart("sismic", "flat"),
    ),
    "statechart: 3×3 parallel": (
        _on_node("regions", 1.09, 24, XSTATE),
        _chart("transitions", "parallel", Recorded(1.09, 572)),
        _chart("statemachine", "parallel"),
        _chart("sismic", "parallel"),
    ),
}


def _pure() -> list[Row]:
    return [
        Row(
            name,
            ("µs",),
            partial(processor_time, call),
            PURE_PEERS.get(name, ()),
            PURE_RUNS,
            None if trip is pure.small_trip() else trip,
        )
        for name, call, trip in pure.rows()
    ]


def _runtime() -> list[Row]:
    """Return the rows of workflows through a runtime: a start, a call, its reply, the answer."""
    one_by_one = Row(
        "workflow in memory, one at a time",
        ("µs", "ms p50"),
        partial(child, "-m", "benchmarks.durable", "memory", 1_000, 1),
        (_on_node("broker", 914, 787),),
    )
    alone = Row(
        "sqlite3 alone, one row a transaction, full sync",
        ("transactions/s",),
        partial(child, "-m", "benchmarks.durable", "rows", 500),
        runs=LONG_RUNS,
    )
    return [
        one_by_one,
        alone,
        _sqlite(1, 200, 80, Recorded(133, 81), Recorded(133, 57)),
        _sqlite(16, 1_000, 120, Recorded(335, 17), Recorded(335, 119)),
        _sqlite(100, 2_000, 200, Recorded(363, 68), Recorded(363, 70)),
        _sqlite(400, 2_000, 400, Recorded(372, 61), Recorded(372, 54)),
        _postgres(1, Recorded(460, 125)),
        _postgres(2, Recorded(700, 130)),
        _limited("SQLite", tuple),
        _limited("Postgres", lambda: (_server(),)),
    ]


def _telemetry() -> list[Row]:
    """Return the rows of what an observer costs."""

    def delivery(way: str, sampler: Sampler) -> Row:
        return Row(
            f"telemetry of a delivery, {way}",
            ("µs",),
            lambda: processor_time(observed.delivery(sampler)),
            (Peer(SDK_ALONE, lambda: processor_time(observed.sdk_alone(sampler))),),
        )

    return [
        delivery("sampled out", ALWAYS_OFF),
        delivery("recorded", ALWAYS_ON),
        Row(
            "a delivery in memory, without telemetry and with it",
            ("µs", observed.SAMPLED_OUT, observed.RECORDED),
            partial(child, "-m", "benchmarks.observed", 200),
            runs=LONG_RUNS,
        ),
    ]


def _sqlite(in_flight: int, ours: int, theirs: int, dbos: Recorded, restate: Recorded) -> Row:
    return Row(
        f"SQLite, full sync, {in_flight} in flight",
        ("workflows/s", "ms p50"),
        partial(child, "-m", "benchmarks.durable", "sqlite", ours, in_flight),
        (
            Peer(f"{DBOS}, SQLite", partial(_dbos, "sqlite", theirs, in_flight), dbos),
            Peer("Restate, its own store", None, restate),
        ),
        LONG_RUNS,
    )


def _postgres(workers: int, recorded: Recorded) -> Row:
    def ours() -> Side:
        return child("-m", "benchmarks.durable", "postgres", 2_000, workers, _server())

    def theirs() -> Side:
        return _dbos("postgres", 500, workers, _server())

    return Row(
        f"Postgres, full sync, worker processes: {workers}",
        ("workflows/s",),
        ours,
        (Peer(f"{DBOS}, Postgres", theirs, recorded),),
        LONG_RUNS,
    )


def _limited(name: str, server: Callable[[], tuple[str, ...]]) -> Row:
    """Return the row of a limit that holds no event back. *server*: its URL, if there is one."""

    def side(way: str) -> Side:
        return child("-m", "benchmarks.limited", name.lower(), 2_000, way, *server())

    return Row(
        f"events from a queue with a limit, {name}",
        ("events/s", "µs"),
        lambda: side("with"),
        (Peer("the same without a limit", lambda: side("without")),),
    )


def _dbos(*arguments: object) -> Side:
    require("dbos")
    return child("-m", "benchmarks.peers.dbos", *arguments)


def require(module: str) -> None:
    if find_spec(module) is None:
        raise Unmeasured("not installed")


@cache
def _server() -> str:
    server = servers.postgres()
    server.start()
    return server.url


def _imports() -> list[Row]:
    def dbos() -> Side:
        require("dbos")
        return whole("dbos")

    def temporal() -> Side:
        require("temporalio")
        return whole("temporalio.worker")

    # The records are of a quiet machine.
    peers = (
        Peer(DBOS, dbos, Recorded(0.36, 0.69)),
        Peer("temporalio", temporal, Recorded(0.36, 0.40)),
    )
    return [
        Row("import, in all", ("ms",), partial(whole, "arvo"), peers, PURE_RUNS),
        Row("import, beyond its dependencies", ("ms",), partial(dependencies_first, "arvo"), (), 5),
    ]


def growth_rows() -> list[Row]:
    """Return the rows that differ in one number: where it costs nothing, the figures are equal."""
    return [
        *_curve("{} replies to one turn, SQLite", "replies", (10, 100, 300, 1_000, 5_000)),
        *_curve("a request in a system with {} more handlers", "handlers", (1, 1_000)),
        *_curve("a turn of a workflow with {} more services", "services", (1, 1_000)),
        *_curve("a workflow with {} compensations", "compensations", (300, 3_000)),
        *_curve("a dead letter among {}", "dead-letters", (100, 20_000)),
        *_curve("a flow of {} steps", "flow", (1_000, 10_000)),
        *_curve("a file with {} finished workflows, 100 in flight", "finished", (0, 20_000)),
        *_curve("a file in which {} timers sleep", "sleeping", (0, 100_000)),
        *_curve("{} timers due at once, SQLite", "due", (300, 3_000)),
        *_curve("{} timers due at once, in memory", "due-memory", (300, 3_000)),
        *_curve("{} idle workflows in memory: each holds", "idle", (2_000, 12_000)),
        *_curve("{} idle workflows in SQLite: each holds", "idle-sqlite", (2_000, 12_000)),
        *_curve("{} simulated runs of an order, with faults: each", "simulation", (100,)),
    ]


# By the name of a measurement of `benchmarks.growth.measurements`.
GROWTH_UNITS: Final[Mapping[str, tuple[str, ...]]] = {
    "replies": ("µs a reply",),
    "handlers": ("µs",),
    "services": ("µs",),
    "compensations": (
        "µs, turns 2 to 101",
        "µs, the last 100",
        "bytes of the record written a turn",
    ),
    "dead-letters": ("µs by id", "µs by subject"),
    "flow": ("µs, steps 2 to 101", "µs, the last 100", "µs a step to resume"),
    "finished": ("workflows/s", "bytes a workflow"),
    "sleeping": ("ms to the first answer", "ms p50"),
    "due": ("timers/s", "µs a timer"),
    "due-memory": ("timers/s", "µs a timer"),
    "idle": ("bytes",),
    "idle-sqlite": ("bytes", "bytes of the file"),
    "simulation": ("ms, flow", "ms, orchestrator", "ms, resumable"),
}


def _curve(name: str, measurement: str, numbers: tuple[int, ...]) -> list[Row]:
    return [
        Row(
            name.format(f"{number:,}"),
            GROWTH_UNITS[measurement],
            partial(child, "-m", "benchmarks.growth", measurement, number),
            runs=1 if number >= 1_000 else LONG_RUNS,
        )
        for number in numbers
    ]
