"""Dump: a snapshot as JSON, and back into the chart it belongs to."""

from collections.abc import Mapping
from functools import reduce
from operator import or_
from typing import Any, Protocol, TypeVar, get_type_hints

from attrs import asdict, frozen, has
from cattrs.preconf.json import make_converter

from arvo.statechart.compiled.chart import Chart
from arvo.statechart.compiled.tree import Node, Tree, members
from arvo.statechart.definition.commands import Schedule
from arvo.statechart.definition.events import Event
from arvo.statechart.definition.faults import (
    ActionFault,
    Fault,
    GuardFault,
    LoopFault,
    UnhandledFault,
    reason,
)
from arvo.statechart.execution.snapshot import Ended, Past, Snapshot
from arvo.statechart.xstate.to_xstate import structural_hash

C = TypeVar("C")
Json = dict[str, Any]

_FAULTS: Mapping[str, type[Any]] = {
    kind.__name__: kind for kind in (GuardFault, ActionFault, LoopFault, UnhandledFault)
}


class BothWays(Protocol):
    """What turns values of classes into JSON and back; a converter of cattrs does."""

    def unstructure(self, obj: Any) -> Any:
        """Write a value as JSON."""

    def structure(self, obj: Any, cl: Any) -> Any:
        """Read a value of the class *cl* from JSON."""


# Contexts of plain attrs classes need nothing else; whoever has more brings a converter.
_CONVERTER: BothWays = make_converter()


@frozen
class Stale:
    """A dump that does not fit: the chart has no longer the states in *missing*, or *reason*."""

    chart: str  # the structural hash that the dump was made with
    missing: tuple[str, ...] = ()
    reason: str = ""


def dump(chart: Chart[C], snapshot: Snapshot[C], *, converter: BothWays | None = None) -> Json:
    """Write *snapshot* as a JSON value: states, context, history, pending timers, and the end.

    The value carries the structural hash of *chart*. *converter* unstructures the context and
    the events of timers.
    """
    plain = (converter or _CONVERTER).unstructure
    end = None
    if snapshot.end is not None:
        end = {"output": plain(snapshot.output), "error": _fault(snapshot.error)}
    return {
        "chart": structural_hash(chart),
        "value": snapshot.value,
        "leaves": list(snapshot.leaves),
        "context": plain(snapshot.context),
        "history": {history: list(kept) for history, kept in snapshot.history.items()},
        "timers": [dump_timer(chart, timer, converter=converter) for timer in snapshot.timers],
        "end": end,
    }


def dump_timer(chart: Chart[Any], timer: Schedule, *, converter: BothWays | None = None) -> Json:
    """Write a timer as a JSON value, as it stands in the dump of a snapshot."""
    event = _event(chart, timer.event, (converter or _CONVERTER).unstructure)
    return {"id": timer.id, "delay_ms": timer.delay_ms, "event": event}


def load(
    chart: Chart[C], data: Mapping[str, Any], *, converter: BothWays | None = None
) -> Snapshot[C] | Stale:
    """Read what ``dump`` wrote, or say why *chart* cannot hold it; nothing is raised.

    A chart that changed but still has all the states goes on where the old one stood. The context
    becomes the class of the chart's first context; a chart that makes it by a function needs that
    function's return type annotated, or it stays plain JSON.
    """
    try:
        return _load(chart, data, converter or _CONVERTER)
    except Exception as error:  # noqa: BLE001
        # Converters and classes of contexts are the user's, and may raise anything.
        found: object = data
        made_with = str(found.get("chart", "")) if isinstance(found, Mapping) else ""
        return Stale(made_with, (), f"unreadable: {reason(error)}")


def _load(chart: Chart[C], data: Mapping[str, Any], back: BothWays) -> Snapshot[C] | Stale:
    tree, end = chart.compiled.tree, _ended(data["end"])
    missing = _missing(tree, data)
    if missing:
        return Stale(data["chart"], missing, "the chart no longer has these states")
    configuration = chart.compiled.placed(tuple(data["leaves"]))
    if configuration is None and not data["leaves"] and end is not None and end.fault is not None:
        # Only a chart that failed when it started is nowhere.
        configuration = chart.compiled.configuration(0, ())
    if configuration is None:
        return Stale(data["chart"], (), f"the chart cannot be in {data['value']!r}")
    records = {tree.ids[name]: _set(tree, kept) for name, kept in data["history"].items()}
    for history, kept in records.items():
        if not _remembers(tree, tree.nodes[history], kept):
            name = tree.nodes[history].id
            return Stale(data["chart"], (), f"{name} cannot remember {data['history'][name]!r}")
    kind = context_type(chart)
    return Snapshot(
        configuration,
        data["context"] if kind is None else back.structure(data["context"], kind),
        Past(records, tuple(_timer(chart, timer, back) for timer in data["timers"])),
        end,
    )


def _missing(tree: Tree, data: Mapping[str, Any]) -> tuple[str, ...]:
    named = {*data["leaves"], *data["history"]}.union(*data["history"].values())
    return tuple(sorted(named - tree.ids.keys()))


def load_timer(
    chart: Chart[Any], data: Mapping[str, Any], *, converter: BothWays | None = None
) -> Schedule:
    """Read what ``dump_timer`` wrote; raises what a converter does where it is something else."""
    return _timer(chart, data, converter or _CONVERTER)


def context_type(chart: Chart[Any]) -> type[Any] | None:
    """Find the class of the context, where the definition says it."""
    program = chart.compiled
    if program.context is None:
        program.context = (_context_type(chart),)
    return program.context[0]


def _context_type(chart: Chart[Any]) -> type[Any] | None:
    context: Any = chart.context
    if callable(context) and not isinstance(context, type):
        context = get_type_hints(context).get("return")
    elif not isinstance(context, type):
        context = type(context)
    return context if isinstance(context, type) and has(context) else None


def _set(tree: Tree, names: list[str]) -> int:
    # A name that is there twice is still one bit.
    return reduce(or_, (1 << tree.ids[name] for name in names), 0)


def _remembers(tree: Tree, history: Node, kept: int) -> bool:
    """Say whether *history* could have written *kept*, perhaps before the chart grew.

    What it kept may be incomplete (a region is new, a leaf became compound), for entering adds
    what is missing; two children of a compound state it would enter both.
    """
    if history.kind != "history" or not kept or kept & ~tree.below(history.parent):
        return False
    around = tree.around(kept)
    return not any(
        node.kind == "history"
        or (node.kind == "compound" and sum(around >> child & 1 for child in node.children) > 1)
        for node in (tree.nodes[index] for index in members(around))
    )


def _event(chart: Chart[Any], event: Any, plain: Any) -> Json:
    if isinstance(event, Event):
        return {"type": event.type, "data": plain(event.data)}
    return {"type": chart.compiled.type_of(event), "payload": plain(event)}


def _timer(chart: Chart[Any], timer: Mapping[str, Any], back: BothWays) -> Schedule:
    written = timer["event"]
    event: object
    if "payload" in written:
        kind = _classes(chart).get(written["type"])
        payload = written["payload"]
        event = Event(written["type"], payload) if kind is None else back.structure(payload, kind)
    else:
        event = Event(written["type"], written["data"])
    return Schedule(event, timer["delay_ms"], timer["id"])


def _classes(chart: Chart[Any]) -> dict[str, type[Any]]:
    keys = (key for node in chart.compiled.tree.nodes for key in node.state.on)
    return {chart.name(key): key for key in keys if isinstance(key, type)}


def _fault(fault: Fault | None) -> Json | None:
    if fault is None:
        return None
    fields = asdict(fault, filter=lambda attribute, _: attribute.name != "cause")
    return {"kind": type(fault).__name__, **fields}


def _ended(end: Json | None) -> Ended | None:
    if end is None:
        return None
    if end["error"] is None:
        return Ended(end["output"])
    fields = {key: value for key, value in end["error"].items() if key != "kind"}
    if "loop" in fields:
        fields["loop"] = tuple(fields["loop"])
    return Ended(end["output"], _FAULTS[end["error"]["kind"]](**fields))
