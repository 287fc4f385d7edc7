"""Draw: a chart as Mermaid text, or as an SVG that stands alone."""

from collections.abc import Iterator
from typing import Any

from arvo.statechart.actions import Action, Assign, Choose, Make, Named, Raise
from arvo.statechart.behaviour import Edge
from arvo.statechart.chart import Chart
from arvo.statechart.commands import Act
from arvo.statechart.program import Program
from arvo.statechart.questions import spoken
from arvo.statechart.snapshot import Snapshot
from arvo.statechart.tree import NOWHERE, ROOT, Node, members

ACTIVE_STYLE = "fill:#fde68a,stroke:#b45309,color:#1c1917"


class Drawing(str):
    """Mermaid text of a chart, which can be laid out."""

    __slots__ = ()

    def svg(self) -> str:
        """Lay the drawing out as a standalone SVG; needs the extra ``arvo[diagram]``."""
        try:
            import mermaidx
        except ImportError as error:
            raise ImportError("drawing as SVG needs mermaidx: install arvo[diagram]") from error
        return str(mermaidx.render(str(self)).svg())


def draw(chart: Chart[Any], snapshot: Snapshot[Any] | None = None) -> Drawing:
    """Draw *chart* as a Mermaid state diagram, with the active states of *snapshot* marked."""
    program = chart.compiled
    lines = ["[*] --> n0", *_node(program, program.tree.nodes[ROOT])]
    for behaviour in program.behaviours:
        for edges in (*behaviour.on.values(), behaviour.always):
            lines += [arrow for edge in edges for arrow in _arrows(edge)]
    if snapshot is not None and snapshot.configuration.mask:
        active = ",".join(f"n{index}" for index in members(snapshot.configuration.mask))
        lines += [f"classDef active {ACTIVE_STYLE}", f"class {active} active"]
    return Drawing("\n".join(["stateDiagram-v2", *(f"  {line}" for line in lines)]) + "\n")


def _node(program: Program, node: Node) -> Iterator[str]:
    name = f"n{node.index}"
    if node.kind == "history":
        yield f'state "{"H*" if node.state.history == "deep" else "H"}" as {name}'
        return
    yield f'state "{_escaped(node.key)}" as {name}' + (" {" if node.children else "")
    if node.children:
        yield from (f"  {line}" for line in _inside(program, node))
        yield "}"
        return
    for word, actions in (("entry", node.state.entry), ("exit", node.state.exit)):
        if actions:
            yield f"{name} : {_escaped(f'{word} / {_spoken(actions)}')}"
    if node.kind == "final":
        yield f"{name} --> [*]"


def _inside(program: Program, node: Node) -> Iterator[str]:
    nodes = program.tree.nodes
    initial = program.behaviours[node.index].initial
    if initial != NOWHERE:
        yield f"[*] --> n{initial}"
    for history in node.histories:
        yield from _node(program, nodes[history])
    for position, child in enumerate(node.children):
        if position and node.kind == "parallel":
            yield "--"
        yield from _node(program, nodes[child])


def _arrows(edge: Edge) -> Iterator[str]:
    move = edge.definition
    label = "" if edge.event is None else edge.event
    if move.guard is not None:
        label += f" [{spoken(move.guard)}]"
    if move.actions:
        label += f" / {_spoken(move.actions)}"
    if not edge.targets:
        # Mermaid has no arrow for staying; without a word it would read as a self transition.
        label += " (stays)"
    elif move.reenter:
        label += " (reenters)"
    for target in edge.targets or (edge.source,):
        text = _escaped(label.strip())
        yield f"n{edge.source} --> n{target}" + (f" : {text}" if text else "")


def _spoken(actions: tuple[Action, ...]) -> str:
    return ", ".join(_name(action) for action in actions)


def _name(action: Action) -> str:
    match action:
        case Named(name=name):
            return name
        case Make(kind=kind, parts=parts) if kind is Act:
            return str(parts[0])
        case Make(kind=kind):
            return kind.__name__.lower()
        case Assign() | Raise() | Choose():
            return type(action).__name__.lower()
        case _:
            return spoken(action)


def _escaped(text: str) -> str:
    """Write what Mermaid's grammar could take for its own as character codes."""
    return "".join(c if c.isalnum() or c in " _-./,[]()+" else f"#{ord(c)};" for c in text)
