"""Dump: a snapshot as JSON, and back into the chart it belongs to."""

from collections.abc import Mapping
from typing import Any, TypeVar, get_type_hints

from attrs import asdict, frozen, has
from cattrs import BaseValidationError
from cattrs.preconf.json import JsonConverter, make_converter

from arvo.statechart.chart import Chart
from arvo.statechart.commands import Schedule
from arvo.statechart.events import Event
from arvo.statechart.export import structural_hash
from arvo.statechart.faults import ActionFault, Fault, GuardFault, LoopFault, UnhandledFault, reason
from arvo.statechart.legal import legal
from arvo.statechart.snapshot import Ended, Past, Snapshot
from arvo.statechart.tree import Tree

C = TypeVar("C")
Json = dict[str, Any]

_FAULTS: Mapping[str, type[Any]] = {
    kind.__name__: kind for kind in (GuardFault, ActionFault, LoopFault, UnhandledFault)
}
# Contexts of plain attrs classes need nothing else; whoever has more brings a converter.
_CONVERTER = make_converter()


@frozen
class Stale:
    """A dump that does not fit: the chart has no longer the states in *missing*, or *reason*."""

    chart: str  # the structural hash that the dump was made with
    missing: tuple[str, ...] = ()
    reason: str = ""


def dump(chart: Chart[C], snapshot: Snapshot[C], *, converter: JsonConverter | None = None) -> Json:
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
        "timers": [
            {"id": t.id, "delay_ms": t.delay_ms, "event": _event(chart, t.event, plain)}
            for t in snapshot.timers
        ],
        "end": end,
    }


def load(
    chart: Chart[C], data: Mapping[str, Any], *, converter: JsonConverter | None = None
) -> Snapshot[C] | Stale:
    """Read what ``dump`` wrote, or say why *chart* cannot hold it; nothing is raised.

    A chart that changed but still has all the states goes on where the old one stood. The context
    becomes the class of the chart's first context; a chart that makes it by a function needs that
    function's return type annotated, or it stays plain JSON.
    """
    try:
        return _load(chart, data, converter or _CONVERTER)
    except (BaseValidationError, KeyError, TypeError, ValueError) as error:
        return Stale(str(data.get("chart", "")), (), f"unreadable: {reason(error)}")


def _load(chart: Chart[C], data: Mapping[str, Any], back: JsonConverter) -> Snapshot[C] | Stale:
    tree = chart.compiled.tree
    named = {*data["leaves"], *data["history"]}
    named.update(state for kept in data["history"].values() for state in kept)
    missing = tuple(sorted(name for name in named if name not in tree.ids))
    if missing:
        return Stale(data["chart"], missing, "the chart no longer has these states")
    leaves = tuple(tree.ids[leaf] for leaf in data["leaves"])
    mask = _set(tree, data["leaves"])
    for leaf in leaves:
        mask |= sum(1 << above for above in tree.nodes[leaf].above)
    if leaves and not legal(tree, mask):
        return Stale(data["chart"], (), f"the chart cannot be in {data['value']!r}")
    records = {tree.ids[name]: _set(tree, kept) for name, kept in data["history"].items()}
    kind = context_type(chart)
    return Snapshot(
        chart.compiled.configuration(mask, leaves),
        data["context"] if kind is None else back.structure(data["context"], kind),
        Past(records, tuple(_timer(chart, timer, back) for timer in data["timers"])),
        _ended(data["end"]),
    )


def context_type(chart: Chart[Any]) -> type[Any] | None:
    """Find the class of the context, where the definition says it."""
    context: Any = chart.context
    if callable(context) and not isinstance(context, type):
        context = get_type_hints(context).get("return")
    elif not isinstance(context, type):
        context = type(context)
    return context if isinstance(context, type) and has(context) else None


def _set(tree: Tree, names: list[str]) -> int:
    return sum(1 << tree.ids[name] for name in names)


def _event(chart: Chart[Any], event: Any, plain: Any) -> Json:
    if isinstance(event, Event):
        return {"type": event.type, "data": plain(event.data)}
    return {"type": chart.compiled.type_of(event), "payload": plain(event)}


def _timer(chart: Chart[Any], timer: Json, back: JsonConverter) -> Schedule:
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
