"""Persistence: a snapshot as JSON, and back into the chart that it belongs to."""

from collections.abc import Mapping
from functools import reduce
from operator import or_
from typing import Any, Protocol, TypeVar, get_type_hints

from attrs import asdict, frozen, has
from cattrs.preconf.json import make_converter

from arvo.interrupts import is_interrupt
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
    describe_error,
)
from arvo.statechart.execution.snapshot import End, Memory, Snapshot
from arvo.statechart.xstate.to_xstate import structural_hash

C = TypeVar("C")
Json = dict[str, Any]

_FAULTS: Mapping[str, type[Any]] = {
    kind.__name__: kind for kind in (GuardFault, ActionFault, LoopFault, UnhandledFault)
}


class Converter(Protocol):
    """Turns instances of classes into JSON and back. A converter of cattrs is one."""

    def unstructure(self, obj: Any) -> Any:
        """Return *obj* as JSON data."""

    def structure(self, obj: Any, cl: Any) -> Any:
        """Make an instance of the class *cl* from JSON data."""


# Enough for contexts of plain attrs classes; others need a converter of their own.
_CONVERTER: Converter = make_converter()


@frozen
class Stale:
    """A dump that does not fit the chart, with the reason.

    *chart* is the structural hash of the chart that made the dump. *missing* holds the ids of
    states that the chart no longer has.
    """

    chart: str
    missing: tuple[str, ...] = ()
    reason: str = ""


def dump(chart: Chart[C], snapshot: Snapshot[C], *, converter: Converter | None = None) -> Json:
    """Return *snapshot* as JSON data: states, context, history, pending timers, and the end.

    The data holds the structural hash of *chart*. *converter* unstructures the context and the
    events of timers.
    """
    unstructure = (converter or _CONVERTER).unstructure
    end = None
    if snapshot.end is not None:
        end = {"output": unstructure(snapshot.output), "error": _dump_fault(snapshot.error)}
    return {
        "chart": structural_hash(chart),
        "value": snapshot.value,
        "leaves": list(snapshot.leaves),
        "context": unstructure(snapshot.context),
        "history": {history: list(recorded) for history, recorded in snapshot.history.items()},
        "timers": [dump_timer(chart, timer, converter=converter) for timer in snapshot.timers],
        "end": end,
    }


def dump_timer(chart: Chart[Any], timer: Schedule, *, converter: Converter | None = None) -> Json:
    """Return a timer as JSON data, in the form that it has in the dump of a snapshot."""
    event = _dump_event(chart, timer.event, converter or _CONVERTER)
    return {"id": timer.id, "delay_ms": timer.delay_ms, "event": event}


def load(
    chart: Chart[C], data: Mapping[str, Any], *, converter: Converter | None = None
) -> Snapshot[C] | Stale:
    """Return the snapshot that ``dump`` wrote, or ``Stale`` if it does not fit *chart*.

    A chart that has changed but still has all the recorded states continues from them. The
    context becomes an instance of the class of the chart's first context. If a function makes
    that context, its return annotation names the class; without one the context stays plain JSON.
    Nothing is raised.
    """
    try:
        return _load(chart, data, converter or _CONVERTER)
    except BaseException as error:
        if is_interrupt(error):
            raise
        # Converters and context classes are the user's, and may raise any exception.
        unchecked: object = data
        origin = str(unchecked.get("chart", "")) if isinstance(unchecked, Mapping) else ""
        return Stale(origin, (), f"unreadable: {describe_error(error)}")


def load_timer(
    chart: Chart[Any], data: Mapping[str, Any], *, converter: Converter | None = None
) -> Schedule:
    """Return the timer that ``dump_timer`` wrote.

    Raises ``LookupError`` or ``TypeError`` for data of another shape, and the exceptions of the
    converter.
    """
    return _load_timer(chart, data, converter or _CONVERTER)


def context_type(chart: Chart[Any]) -> type[Any] | None:
    """Return the attrs class of the context, or None if the definition does not name one."""
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


def _load(chart: Chart[C], data: Mapping[str, Any], converter: Converter) -> Snapshot[C] | Stale:
    tree, end = chart.compiled.tree, _load_end(data["end"])
    configuration = chart.compiled.find_configuration(tuple(data["leaves"]))
    missing = _missing_states(tree, data) if configuration is None or data["history"] else ()
    if missing:
        return Stale(data["chart"], missing, "the chart no longer has these states")
    if configuration is None and not data["leaves"] and end is not None and end.fault is not None:
        # Only a chart that failed at its start has no active state.
        configuration = chart.compiled.configuration(0, ())
    if configuration is None:
        return Stale(data["chart"], (), f"the chart cannot be in the state {data['value']!r}")
    records = {tree.ids[name]: _node_set(tree, ids) for name, ids in data["history"].items()}
    for index, record in records.items():
        history = tree.nodes[index]
        if not _is_possible_record(tree, history, record):
            states = data["history"][history.id]
            reason = f"the history {history.id} cannot have recorded the states {states!r}"
            return Stale(data["chart"], (), reason)
    kind = context_type(chart)
    return Snapshot(
        configuration,
        data["context"] if kind is None else converter.structure(data["context"], kind),
        Memory(records, tuple(_load_timer(chart, timer, converter) for timer in data["timers"])),
        end,
    )


def _missing_states(tree: Tree, data: Mapping[str, Any]) -> tuple[str, ...]:
    named = {*data["leaves"], *data["history"]}.union(*data["history"].values())
    return tuple(sorted(named - tree.ids.keys()))


def _node_set(tree: Tree, ids: list[str]) -> int:
    # Not sum: an id that occurs twice is still one bit.
    return reduce(or_, (1 << tree.ids[name] for name in ids), 0)


def _is_possible_record(tree: Tree, history: Node, record: int) -> bool:
    """Return whether *history* can have recorded *record*, perhaps before the chart grew.

    The record may be incomplete (a region is new, a leaf became compound), because entering adds
    the missing states. It must not hold two children of a compound state, because both would be
    entered.
    """
    if history.kind != "history" or not record or record & ~tree.descendants(history.parent):
        return False
    entered = tree.with_ancestors(record)
    return not any(
        node.kind == "history"
        or (node.kind == "compound" and sum(entered >> child & 1 for child in node.children) > 1)
        for node in (tree.nodes[index] for index in members(entered))
    )


def _dump_event(chart: Chart[Any], event: Any, converter: Converter) -> Json:
    if isinstance(event, Event):
        return {"type": event.type, "data": converter.unstructure(event.data)}
    return {"type": chart.compiled.type_of(event), "payload": converter.unstructure(event)}


def _load_timer(chart: Chart[Any], timer: Mapping[str, Any], converter: Converter) -> Schedule:
    data = timer["event"]
    event: object
    if "payload" in data:
        kind, payload = _event_classes(chart).get(data["type"]), data["payload"]
        is_plain = kind is None
        event = Event(data["type"], payload) if is_plain else converter.structure(payload, kind)
    else:
        event = Event(data["type"], data["data"])
    return Schedule(event, timer["delay_ms"], timer["id"])


def _event_classes(chart: Chart[Any]) -> dict[str, type[Any]]:
    keys = (key for node in chart.compiled.tree.nodes for key in node.state.on)
    return {chart.name(key): key for key in keys if isinstance(key, type)}


def _dump_fault(fault: Fault | None) -> Json | None:
    if fault is None:
        return None
    fields = asdict(fault, filter=lambda attribute, _: attribute.name != "cause")
    return {"kind": type(fault).__name__, **fields}


def _load_end(end: Json | None) -> End | None:
    if end is None:
        return None
    if end["error"] is None:
        return End(end["output"])
    fields = {key: value for key, value in end["error"].items() if key != "kind"}
    if "loop" in fields:
        fields["loop"] = tuple(fields["loop"])
    return End(end["output"], _FAULTS[end["error"]["kind"]](**fields))
