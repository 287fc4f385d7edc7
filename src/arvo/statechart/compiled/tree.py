"""Tree: the states of a chart as numbered nodes, and how a target is found among them.

Numbers are document order, histories included, so that sets of nodes are bits of an integer:
"below" is one bit test, an exit set is one ``&``.
"""

from collections.abc import Iterator, Mapping
from typing import get_args

from attrs import evolve, frozen

from arvo.statechart.definition.guards import split
from arvo.statechart.definition.problems import Problem
from arvo.statechart.definition.state import History, Kind, State

# Checked although they are typed: configs, and definitions that no type checker sees, may hold any.
_KINDS: tuple[str, ...] = get_args(Kind)
_HISTORIES: tuple[str, ...] = get_args(History)

ROOT = 0
NOWHERE = -1  # the parent of the root; as a domain, the place above it


@frozen(eq=False)
class Node:
    """One state at its place: all references are numbers of other nodes."""

    index: int
    key: str
    path: str
    id: str
    kind: Kind
    state: State
    parent: int
    above: tuple[int, ...]  # proper ancestors, nearest first
    children: tuple[int, ...] = ()  # without histories
    histories: tuple[int, ...] = ()
    keys: Mapping[str, int] = {}  # every child by key, histories too
    below: int = 0  # proper descendants, as bits

    @property
    def bit(self) -> int:
        """This node alone, as a set."""
        return 1 << self.index

    @property
    def is_leaf(self) -> bool:
        """Whether an active configuration may end here."""
        return self.kind in ("atomic", "final")


@frozen(eq=False)
class Tree:
    """All nodes of one chart in document order."""

    nodes: tuple[Node, ...]
    ids: Mapping[str, int]

    @property
    def everything(self) -> int:
        """All nodes, as a set."""
        return (1 << len(self.nodes)) - 1

    def below(self, index: int) -> int:
        """Return the proper descendants of *index*; everything is below ``NOWHERE``."""
        return self.everything if index == NOWHERE else self.nodes[index].below

    def around(self, nodes: int) -> int:
        """Add the ancestors of *nodes*."""
        for index in members(nodes):
            for above in self.nodes[index].above:
                nodes |= 1 << above
        return nodes

    def is_below(self, index: int, ancestor: int) -> bool:
        """Say whether *index* is a proper descendant of *ancestor*."""
        return bool(self.below(ancestor) >> index & 1)

    def find(self, source: int, target: str) -> int | None:
        """Find the node that *target* means in a transition of *source*, if there is one."""
        node = self.nodes[source]
        if target.startswith("#"):
            head, *rest = split(target[1:])
            start = self.ids.get(head)
        elif target.startswith("."):
            start, rest = source, split(target[1:])
        else:
            start, rest = (None if node.parent == NOWHERE else node.parent), split(target)
        for key in rest:
            start = None if start is None else self.nodes[start].keys.get(key)
        return start


def members(bits: int) -> Iterator[int]:
    """Walk a set in document order."""
    while bits:
        lowest = bits & -bits
        yield lowest.bit_length() - 1
        bits ^= lowest


def grow(root: State, chart_id: str) -> tuple[Tree, tuple[Problem, ...]]:
    """Number the states below *root*, depth first, and note what no chart may have."""
    nodes: list[Node] = []
    _grow(nodes, root, chart_id, [chart_id], ())
    ids: dict[str, int] = {}
    problems: list[Problem] = []
    for node in nodes:
        if node.id in ids:
            other = nodes[ids[node.id]].path
            problems.append(Problem(node.path, f"the id {node.id!r} is taken by {other}"))
        ids[node.id] = node.index
        problems.extend(Problem(node.path, message) for message in _misfits(node))
    return Tree(tuple(nodes), ids), tuple(problems)


def _grow(
    nodes: list[Node], state: State, key: str, path: list[str], above: tuple[int, ...]
) -> int:
    index = len(nodes)
    dotted = ".".join(path)
    node = Node(
        index=index,
        key=key,
        path=dotted,
        id=dotted if state.id is None or index == ROOT else state.id,
        kind=_kind(state),
        state=state,
        parent=above[0] if above else NOWHERE,
        above=above,
    )
    nodes.append(node)
    keys = {
        child: _grow(nodes, value, child, [*path, child], (index, *above))
        for child, value in state.states.items()
    }
    histories = tuple(child for child in keys.values() if nodes[child].kind == "history")
    nodes[index] = evolve(
        node,
        keys=keys,
        children=tuple(child for child in keys.values() if child not in histories),
        histories=histories,
        below=(1 << len(nodes)) - (1 << index + 1),
    )
    return index


def _kind(state: State) -> Kind:
    if state.type is not None:
        return state.type
    if state.states:
        return "compound"
    return "atomic" if state.history is None else "history"


def _misfits(node: Node) -> Iterator[str]:
    state = node.state
    if node.kind not in _KINDS:
        yield f"the type {node.kind!r} is none of {', '.join(_KINDS)}"
    if state.history not in (None, *_HISTORIES):
        yield f"the history {state.history!r} is none of {', '.join(_HISTORIES)}"
    if node.kind in ("atomic", "final", "history") and state.states:
        yield f"a state of type {node.kind} cannot have states"
    if node.kind in ("compound", "parallel") and not node.children:
        yield f"a state of type {node.kind} needs states"
    if node.kind == "history" and node.parent == NOWHERE:
        yield "the root cannot be a history state"
    if node.kind == "history" and (state.on or state.always or state.after or state.on_done):
        yield "a history state is never active, so it cannot have transitions"
    if node.kind == "history" and (state.entry or state.exit):
        yield "a history state is never entered, so it cannot have actions"
    if "" in state.states:
        yield "a state needs a key"
