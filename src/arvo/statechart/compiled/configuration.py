"""Configuration: one set of active nodes, with the results that are cached for it."""

from typing import Any, Protocol

from arvo.statechart.compiled.behaviour import ChartStructure
from arvo.statechart.compiled.selection import gather_always
from arvo.statechart.compiled.tree import ROOT, Tree, members
from arvo.statechart.definition.guards import StateValue


class ConfigurationSource(ChartStructure, Protocol):
    """The compiled chart that makes a configuration, as far as the configuration uses it."""

    def configuration(self, mask: int, leaves: tuple[int, ...]) -> "Configuration":
        """Return the configuration with these active nodes and leaves."""


class Configuration:
    """A set of active nodes, with its leaves in the order in which they were entered.

    A program has one object for each configuration, so the value, the tags and the transitions
    that an event selects are computed once. Two equal configurations of different objects still
    compare equal.
    """

    __slots__ = (
        "always",
        "leaf_ids",
        "leaves",
        "mask",
        "plans",
        "program",
        "selections",
        "shortcuts",
        "tags",
        "value",
    )

    def __init__(self, program: ConfigurationSource, mask: int, leaves: tuple[int, ...]) -> None:
        self.program = program
        self.mask = mask
        self.leaves = leaves
        self.leaf_ids = tuple(program.tree.nodes[leaf].id for leaf in leaves)
        self.value: StateValue = state_value(program.tree, mask) if mask else {}
        self.tags = frozenset(
            tag for node in members(mask) for tag in program.tree.nodes[node].state.tags
        )
        self.always = gather_always(program.tree, program.behaviours, leaves)
        self.clear_cache()

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Configuration):
            return NotImplemented
        same = self.program is other.program or self.program.tree.ids == other.program.tree.ids
        return same and self.mask == other.mask and self.leaves == other.leaves

    def __hash__(self) -> int:
        return hash((self.mask, self.leaves))

    def __repr__(self) -> str:
        return f"<{self.value!r}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return self.program.configuration, (self.mask, self.leaves)

    def clear_cache(self) -> None:
        """Drop the results that the program has cached here."""
        self.selections: dict[Any, Any] = {}
        self.plans: dict[Any, Any] = {}
        self.shortcuts: dict[str, Any] = {}


def is_legal(tree: Tree, mask: int) -> bool:
    """Return whether *mask* is a legal configuration (SCXML section 3.11).

    It holds the root, exactly one child of each compound state in it, all children of each
    parallel state in it, the parent of each node in it, and no history.
    """
    if not mask >> ROOT & 1:
        return False
    for index in members(mask):
        node = tree.nodes[index]
        active = sum(mask >> child & 1 for child in node.children)
        expected = {"compound": 1, "parallel": len(node.children)}.get(node.kind, 0)
        if active != expected or node.kind == "history":
            return False
        if index != ROOT and not mask >> node.parent & 1:
            return False
    return True


def state_value(tree: Tree, mask: int, index: int = ROOT) -> StateValue:
    """Return the active nodes below *index* as an XState state value.

    A leaf is its key. A compound state is a mapping with the key of its active child, a parallel
    state one with the keys of all its regions.
    """
    node = tree.nodes[index]
    active = [tree.nodes[child] for child in node.children if mask >> child & 1]
    if node.kind == "compound" and active and active[0].is_leaf:
        return active[0].key
    return {child.key: state_value(tree, mask, child.index) for child in active}
