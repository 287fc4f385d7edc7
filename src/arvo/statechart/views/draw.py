"""Draw: a chart as Mermaid text, or as a standalone SVG."""

import re
from collections.abc import Iterator
from typing import Any, Final

from arvo.extras import needs_extra
from arvo.printable import printable
from arvo.statechart.compiled.behaviour import Edge
from arvo.statechart.compiled.chart import Chart
from arvo.statechart.compiled.compiled_guards import display_name
from arvo.statechart.compiled.program import Program
from arvo.statechart.compiled.tree import NO_NODE, ROOT, Node, members
from arvo.statechart.definition.actions import (
    Action,
    Assign,
    Choose,
    CommandTemplate,
    NamedAction,
    Raise,
)
from arvo.statechart.definition.commands import Act
from arvo.statechart.execution.snapshot import Snapshot

ACTIVE_STYLE = "fill:#fde68a,stroke:#b45309,color:#1c1917"


class Drawing(str):
    """The Mermaid text of a chart, which can be rendered."""

    __slots__ = ()

    def svg(self) -> str:
        """Render the drawing as a standalone SVG.

        Raises ``ModuleNotFoundError`` without the extra ``diagram``.
        """
        with needs_extra("an SVG drawing"):
            import mermaidx
        return str(mermaidx.render(str(self)).svg())


def draw(chart: Chart[Any], snapshot: Snapshot[Any] | None = None) -> Drawing:
    """Draw *chart* as a Mermaid state diagram, with the active states of *snapshot* marked."""
    program = chart.compiled
    nodes = program.tree.nodes
    lines = ["[*] --> n0", *_node(program, nodes[ROOT])]
    for node in nodes:
        edges = _edges(program, node)
        nested = [edge for edge in edges if _is_nested(program, edge)]
        lines += [arrow for edge in edges if edge not in nested for arrow in _arrows(edge)]
        lines += _edge_texts(program, node, nested)
    if snapshot is not None and snapshot.configuration.mask:
        active = ",".join(f"n{index}" for index in members(snapshot.configuration.mask))
        lines += [f"classDef active {ACTIVE_STYLE}", f"class {active} active"]
    return Drawing("\n".join(["stateDiagram-v2", *(f"  {line}" for line in lines)]) + "\n")


def _node(program: Program, node: Node) -> Iterator[str]:
    name = f"n{node.index}"
    if node.kind == "history":
        yield f'state "{"H*" if node.state.history == "deep" else "H"}" as {name}'
        return
    yield f'state "{_escape(node.key)}" as {name}' + (" {" if node.children else "")
    if node.children:
        yield from (f"  {line}" for line in _children(program, node))
        yield "}"
        return
    for label, actions in (("entry", node.state.entry), ("exit", node.state.exit)):
        if actions:
            yield f"{name} : {_escape(f'{label} / {_action_names(actions)}')}"
    if node.kind == "final":
        yield f"{name} --> [*]"


def _children(program: Program, node: Node) -> Iterator[str]:
    nodes = program.tree.nodes
    initial = program.behaviours[node.index].initial
    if initial != NO_NODE:
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
    """Return whether *edge* has no target, or connects a state with itself or one inside it.

    Mermaid draws arrows between nested states on top of each other, and fails on some, so these
    edges become text.
    """
    tree, source = program.tree, edge.source
    return not edge.targets or any(
        tree.is_descendant(target, source)
        or tree.is_descendant(source, target)
        or (target == source and not tree.nodes[source].is_leaf)
        for target in edge.targets
    )


def _edge_texts(program: Program, node: Node, edges: list[Edge]) -> list[str]:
    nodes = program.tree.nodes
    texts = []
    for edge in edges:
        targets = " and ".join(nodes[target].key for target in edge.targets or ())
        texts.append(_escape(f"{_label(edge)} → {targets}" if targets else _label(edge)))
    if node.is_leaf:
        return [f"n{node.index} : {text}" for text in texts]
    note = [f"note right of n{node.index}", *(f"  {text}" for text in texts), "end note"]
    return note if texts else []


def _arrows(edge: Edge) -> Iterator[str]:
    text = _escape(_label(edge))
    for target in edge.targets or ():
        yield f"n{edge.source} --> n{target}" + (f" : {text}" if text else "")


def _label(edge: Edge) -> str:
    transition = edge.definition
    guard = transition.guard
    parts = [
        "always" if edge.event is None and guard is None else edge.event,
        None if guard is None else f"[{display_name(guard)}]",
        f"/ {_action_names(transition.actions)}" if transition.actions else None,
        "(reenters)" if transition.reenter else None,
    ]
    return " ".join(part for part in parts if part)


def _action_names(actions: tuple[Action, ...]) -> str:
    return ", ".join(_action_name(action) for action in actions)


def _action_name(action: Action) -> str:
    match action:
        case NamedAction(name=name):
            return name
        case CommandTemplate(kind=kind, parts=parts) if kind is Act:
            return str(parts[0])
        case CommandTemplate(kind=kind):
            return kind.__name__.lower()
        case Assign() | Raise() | Choose():
            return type(action).__name__.lower()
        case _:
            return display_name(action)


def _escape(text: str) -> str:
    """Write characters that Mermaid's grammar could interpret as character codes.

    A control character is no text of XML, and a bidirectional control would show a label in another
    order, so `printable` makes them visible first.
    """
    escaped = "".join(
        c if c.isalnum() or c in " _-./,[]()+" else f"#{ord(c)};" for c in printable(text)
    )
    return _STATEMENT.sub(lambda match: f"#{ord(match[0])};", escaped)


# The first letter of words that Mermaid takes for a statement wherever they stand in a line.
_STATEMENT: Final = re.compile(r"e(?=nd +note)|d(?=irection +(tb|bt|rl|lr))", re.IGNORECASE)
