"""Chart: the states of a machine with the active ones marked, or the waiting line of a flow."""

import inspect
from collections.abc import Callable, Iterable
from typing import Any, Final, final

from attrs import frozen

from arvo.core.record import Record
from arvo.core.violations.violation import Violated
from arvo.engine.system.system import System
from arvo.handlers.flow.handler import FlowHandler
from arvo.handlers.machine.orchestrator import Orchestrator
from arvo.statechart import Drawing, draw
from arvo.statechart.compiled.chart import Chart
from arvo.statechart.compiled.compiled_guards import display_name
from arvo.statechart.compiled.tree import ROOT, Node, members
from arvo.statechart.execution.snapshot import Snapshot

# A chart of more states is drawn by tools for that; this one is read top to bottom.
STATES_MAX: Final = 500
# The lines of a flow's source that a page shows.
SOURCE_LINES_MAX: Final = 1_000


@final
@frozen(kw_only=True)
class StateNode:
    """A state of a chart: whether it is active, and whether it was before."""

    key: str
    kind: str
    is_active: bool
    was_active: bool
    children: tuple["StateNode", ...]


@final
@frozen(kw_only=True)
class EdgeRow:
    """A transition that an active state has."""

    source: str
    event: str
    guard: str
    targets: tuple[str, ...]


@final
@frozen(kw_only=True)
class ChartView:
    """The chart of a machine. *drawing*: its Mermaid text, with the active states marked; *plain*
    without these. *marked*, *visited*: the indexes of the active states, and of those that were.
    *states*: the number of all.
    """

    root: StateNode
    active: tuple[str, ...]
    edges: tuple[EdgeRow, ...]
    drawing: Drawing
    plain: Drawing
    marked: frozenset[int]
    visited: frozenset[int]
    states: int


@final
@frozen
class SourceLine:
    """A line of a flow's function."""

    number: int
    text: str
    is_waiting: bool


@final
@frozen(kw_only=True)
class SourceView:
    """The function of a flow. *line*: where it waits, None where it does not wait."""

    name: str
    lines: tuple[SourceLine, ...]
    line: int | None
    answers: int


def show_chart(
    system: System, record: Record, earlier: Iterable[Record]
) -> ChartView | SourceView | str:
    """Return the chart or the source that leads a workflow, or why there is none to show.

    *earlier*: the records before, whose active states make the path that it took.
    """
    handler = system.handler_at(record.handler)
    match handler:
        case Orchestrator():
            return _chart(handler, record, earlier)
        case FlowHandler():
            return _source(handler, record)
        case None:
            return "The console was started without the system of this workflow."
        case _:
            return "A function leads this workflow, turn by turn: it has no chart."


def _chart(
    handler: Orchestrator[Any], record: Record, earlier: Iterable[Record]
) -> ChartView | str:
    snapshot = _snapshot(handler, record)
    machine = handler.machines.get(record.version)
    if machine is None or isinstance(snapshot, str):
        return snapshot if isinstance(snapshot, str) else "No machine leads this version."
    if len(machine.chart.compiled.tree.nodes) > STATES_MAX:
        return f"The chart has more than {STATES_MAX} states."
    visited = 0
    for before in earlier:
        then = _snapshot(handler, before)
        visited |= 0 if isinstance(then, str) else then.configuration.mask
    mask = snapshot.configuration.mask
    nodes = machine.chart.compiled.tree.nodes
    return ChartView(
        root=_node(machine.chart, nodes[ROOT], mask, visited),
        active=tuple(nodes[index].path for index in members(mask) if nodes[index].is_leaf),
        edges=_edges(machine.chart, mask),
        drawing=draw(machine.chart, snapshot),
        plain=draw(machine.chart),
        marked=frozenset(members(mask)),
        visited=frozenset(members(visited)),
        states=len(nodes),
    )


def _snapshot(handler: Orchestrator[Any], record: Record) -> Snapshot[Any] | str:
    try:
        return handler.query(record)
    except Violated as violated:
        return f"The state does not fit the chart: {violated}"


def _node(chart: Chart[Any], node: Node, mask: int, visited: int) -> StateNode:
    nodes = chart.compiled.tree.nodes
    return StateNode(
        key=node.key,
        kind=node.kind,
        is_active=bool(mask & node.bit),
        was_active=bool(visited & node.bit),
        children=tuple(
            _node(chart, nodes[child], mask, visited)
            for child in sorted((*node.children, *node.histories))
        ),
    )


def _edges(chart: Chart[Any], mask: int) -> tuple[EdgeRow, ...]:
    """Return the transitions of the active states, innermost first."""
    program = chart.compiled
    rows = []
    for index in reversed(tuple(members(mask))):
        behaviour = program.behaviours[index]
        edges = [edge for listed in behaviour.on.values() for edge in listed]
        for edge in (*edges, *behaviour.always):
            guard = edge.definition.guard
            rows.append(
                EdgeRow(
                    source=program.tree.nodes[index].path,
                    event=edge.event or "always",
                    guard="" if guard is None else display_name(guard),
                    targets=tuple(program.tree.nodes[it].path for it in edge.targets or ()),
                )
            )
    return tuple(rows)


def _source(handler: FlowHandler[Any, Any], record: Record) -> SourceView | str:
    version = handler.flow_versions.get(record.version)
    if version is None:
        return "No function leads this version."
    try:
        line = handler.query(record).line if record.status == "active" else None
    except Violated as violated:
        return f"The function does not fit its journal: {violated}"
    lines = _source_lines(version.function)
    if lines is None:
        return "The source of the function cannot be read."
    return SourceView(
        name=getattr(version.function, "__qualname__", type(version.function).__name__),
        lines=tuple(SourceLine(number, text, number == line) for number, text in lines),
        line=line,
        answers=max(0, len(record.journal) - 1),
    )


def _source_lines(function: Callable[..., Any]) -> list[tuple[int, str]] | None:
    try:
        lines, first = inspect.getsourcelines(inspect.unwrap(function))
    except (OSError, TypeError):
        return None
    shown = [line.rstrip("\n") for line in lines[:SOURCE_LINES_MAX]]
    return list(enumerate(shown, first))
