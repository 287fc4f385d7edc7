"""Draw: a chart as Mermaid text, or as an SVG that stands alone."""

from collections.abc import Iterator
from typing import Any

from arvo.statechart.compiled.behaviour import Edge
from arvo.statechart.compiled.chart import Chart
from arvo.statechart.compiled.compiled_guards import spoken
from arvo.statechart.compiled.program import Program
from arvo.statechart.compiled.tree import NOWHERE, ROOT, Node, members
from arvo.statechart.definition.actions import Action, Assign, Choose, Make, Named, Raise
from arvo.statechart.definition.commands import Act
from arvo.statechart.execution.snapshot import Snapshot

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
    nodes = program.tree.nodes
    lines = ["[*] --> n0", *_node(program, nodes[ROOT])]
    for node in nodes:
        edges = _edges(program, node)
        said = [edge for edge in edges if _is_nested(program, edge)]
        lines += [arrow for edge in edges if edge not in said for arrow in _arrows(edge)]
        lines += _words(program, node, said)
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


def _edges(program: Program, node: Node) -> list[Edge]:
    behaviour = program.behaviours[node.index]
    return [*(edge for edges in behaviour.on.values() for edge in edges), *behaviour.always]


def _is_nested(program: Program, edge: Edge) -> bool:
    """Say whether *edge* stays, or runs between a state and one inside it.

    Mermaid lays arrows between nested states out on top of each other, and gives up on some, so
    these are said in words.
    """
    tree, source = program.tree, edge.source
    return not edge.targets or any(
        tree.is_below(target, source)
        or tree.is_below(source, target)
        or (target == source and not tree.nodes[source].is_leaf)
        for target in edge.targets
    )


def _words(program: Program, node: Node, edges: list[Edge]) -> list[str]:
    nodes = program.tree.nodes
    texts = []
    for edge in edges:
        goals = " and ".join(nodes[target].key for target in edge.targets or ())
        texts.append(_escaped(f"{_label(edge)} → {goals}" if goals else _label(edge)))
    if node.is_leaf:
        return [f"n{node.index} : {text}" for text in texts]
    note = [f"note right of n{node.index}", *(f"  {text}" for text in texts), "end note"]
    return note if texts else []


def _arrows(edge: Edge) -> Iterator[str]:
    text = _escaped(_label(edge))
    for target in edge.targets or ():
        yield f"n{edge.source} --> n{target}" + (f" : {text}" if text else "")


def _label(edge: Edge) -> str:
    move = edge.definition
    parts = [
        "always" if edge.event is None and move.guard is None else edge.event,
        None if move.guard is None else f"[{spoken(move.guard)}]",
        f"/ {_spoken(move.actions)}" if move.actions else None,
        "(reenters)" if move.reenter else None,
    ]
    return " ".join(part for part in parts if part)


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
