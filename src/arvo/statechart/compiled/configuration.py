"""Configuration: one set of active nodes, and what was worked out for it."""

from typing import TYPE_CHECKING, Any

from arvo.statechart.compiled.selection import chains
from arvo.statechart.compiled.tree import ROOT, Tree, members
from arvo.statechart.definition.guards import StateValue

if TYPE_CHECKING:
    from arvo.statechart.compiled.program import Program


class Configuration:
    """A set of active nodes, with the order in which its leaves were entered.

    A program keeps one object for each configuration, so that what follows from it (the value,
    the tags, what an event would take) is worked out once. Equal ones compare equal all the same.
    """

    __slots__ = (
        "always",
        "leaves",
        "mask",
        "plans",
        "program",
        "selections",
        "shortcuts",
        "tags",
        "value",
    )

    def __init__(self, program: "Program", mask: int, leaves: tuple[int, ...]) -> None:
        self.program = program
        self.mask = mask
        self.leaves = leaves
        self.value: StateValue = state_value(program.tree, mask) if mask else {}
        self.tags = frozenset(
            tag for node in members(mask) for tag in program.tree.nodes[node].state.tags
        )
        self.always = chains(program.tree, program.behaviours, leaves)
        self.forget()

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

    def forget(self) -> None:
        """Drop what the program remembers here."""
        self.selections: dict[Any, Any] = {}
        self.plans: dict[Any, Any] = {}
        self.shortcuts: dict[str, Any] = {}


def state_value(tree: Tree, mask: int, index: int = ROOT) -> StateValue:
    """Write the active nodes below *index* the way XState does.

    A leaf is its key; a compound state maps its child's key; a parallel one all of its regions.
    """
    node = tree.nodes[index]
    active = [tree.nodes[child] for child in node.children if mask >> child & 1]
    if node.kind == "compound" and active and active[0].is_leaf:
        return active[0].key
    return {child.key: state_value(tree, mask, child.index) for child in active}
