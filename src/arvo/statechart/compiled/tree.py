"""Tree: the states of a chart as numbered nodes, and the resolution of targets among them.

Nodes are numbered in document order, histories included. A set of nodes is the bits of one
integer, so a descendant check is one bit test and an exit set is one ``&``.
"""

from collections.abc import Iterator, Mapping
from typing import get_args

from attrs import evolve, frozen

from arvo.statechart.definition.guards import split_path
from arvo.statechart.definition.problems import Problem
from arvo.statechart.definition.state import History, Kind, State

# Checked although they are typed: a config, or a definition that no type checker has seen, may hold
# any value.
_KINDS: tuple[str, ...] = get_args(Kind)
_HISTORIES: tuple[str, ...] = get_args(History)

ROOT = 0
NO_NODE = -1  # the parent of the root; as a domain it stands above the root


@frozen(eq=False)
class Node:
    """One state in the tree. It refers to other nodes by their numbers."""

    index: int
    key: str
    path: str
    id: str
    kind: Kind
    state: State
    parent: int
    ancestors: tuple[int, ...]  # nearest first
    children: tuple[int, ...] = ()  # without the histories
    histories: tuple[int, ...] = ()
    keys: Mapping[str, int] = {}  # every child by key, with the histories
    descendants: int = 0  # a node set

    @property
    def bit(self) -> int:
        """The node set with only this node."""
        return 1 << self.index

    @property
    def is_leaf(self) -> bool:
        """Whether this node can be an innermost active state."""
        return self.kind in ("atomic", "final")


@frozen(eq=False)
class Tree:
    """All nodes of one chart in document order, and their numbers by id."""

    nodes: tuple[Node, ...]
    ids: Mapping[str, int]

    @property
    def all_nodes(self) -> int:
        """The node set with every node."""
        return (1 << len(self.nodes)) - 1

    def descendants(self, index: int) -> int:
        """Return the proper descendants of *index*; for ``NO_NODE`` these are all nodes."""
        return self.all_nodes if index == NO_NODE else self.nodes[index].descendants

    def with_ancestors(self, nodes: int) -> int:
        """Return the node set *nodes* with the ancestors of its members."""
        for index in members(nodes):
            for ancestor in self.nodes[index].ancestors:
                nodes |= 1 << ancestor
        return nodes

    def is_descendant(self, index: int, ancestor: int) -> bool:
        """Return whether *index* is a proper descendant of *ancestor*."""
        return bool(self.descendants(ancestor) >> index & 1)

    def find(self, source: int, target: str) -> int | None:
        """Resolve *target*, as a transition of *source* names it, or return None.

        ``#id`` starts at the state with that id, ``.key`` at *source* and ``key`` at its parent.
        """
        node = self.nodes[source]
        if target.startswith("#"):
            head, *rest = split_path(target[1:])
            start = self.ids.get(head)
        elif target.startswith("."):
            start, rest = source, split_path(target[1:])
        else:
            start, rest = (None if node.parent == NO_NODE else node.parent), split_path(target)
        for key in rest:
            start = None if start is None else self.nodes[start].keys.get(key)
        return start


def members(bits: int) -> Iterator[int]:
    """Iterate over the members of a node set in document order."""
    while bits:
        lowest = bits & -bits
        yield lowest.bit_length() - 1
        bits ^= lowest


def number_states(root: State, chart_id: str) -> tuple[Tree, tuple[Problem, ...]]:
    """Number *root* and its descendants depth first, and collect the problems of each state."""
    nodes: list[Node] = []
    _number_state(nodes, root, chart_id, [chart_id], ())
    ids: dict[str, int] = {}
    problems: list[Problem] = []
    for node in nodes:
        if node.id in ids:
            other = nodes[ids[node.id]].path
            message = f"the id {node.id!r} is already used by {other}: give each state its own id"
            problems.append(Problem(node.path, message))
        ids[node.id] = node.index
        problems.extend(Problem(node.path, message) for message in _node_problems(node))
    return Tree(tuple(nodes), ids), tuple(problems)


def _number_state(
    nodes: list[Node], state: State, key: str, path: list[str], ancestors: tuple[int, ...]
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
        parent=ancestors[0] if ancestors else NO_NODE,
        ancestors=ancestors,
    )
    nodes.append(node)
    keys = {
        child: _number_state(nodes, value, child, [*path, child], (index, *ancestors))
        for child, value in state.states.items()
    }
    histories = tuple(child for child in keys.values() if nodes[child].kind == "history")
    nodes[index] = evolve(
        node,
        keys=keys,
        children=tuple(child for child in keys.values() if child not in histories),
        histories=histories,
        descendants=(1 << len(nodes)) - (1 << index + 1),
    )
    return index


def _kind(state: State) -> Kind:
    if state.type is not None:
        return state.type
    if state.states:
        return "compound"
    return "atomic" if state.history is None else "history"


def _node_problems(node: Node) -> Iterator[str]:
    state = node.state
    if node.kind not in _KINDS:
        yield f"unknown type {node.kind!r}: use one of {', '.join(_KINDS)}"
    if state.history not in (None, *_HISTORIES):
        yield f"unknown history {state.history!r}: use one of {', '.join(_HISTORIES)}"
    if node.kind in ("atomic", "final", "history") and state.states:
        children = ", ".join(map(repr, state.states))
        yield f"a state of type {node.kind!r} cannot have child states: remove {children}"
    if node.kind in ("compound", "parallel") and not node.children:
        yield f"a state of type {node.kind!r} needs child states: add some or remove the type"
    if node.kind == "history" and node.parent == NO_NODE:
        yield "the root cannot be a history state: put the history inside a state"
    if node.kind == "history" and (state.on or state.always or state.after or state.on_done):
        yield "a history state is never active: remove its transitions"
    if node.kind == "history" and (state.entry or state.exit):
        yield "a history state is never entered: remove its actions"
    if "" in state.states:
        yield "a child state has the empty key '': give it a name"
