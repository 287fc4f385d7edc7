"""Completion: what entering a final state says to the states around it."""

from arvo.statechart.compiled.ops import Code, Op
from arvo.statechart.compiled.tree import NOWHERE, ROOT, Node, Tree
from arvo.statechart.definition.events import done_type


def completion(tree: Tree, final: Node, active: int, completed: set[int]) -> tuple[list[Op], bool]:
    """Return the done events that entering *final* raises, and whether the chart ends with it.

    *active* holds what is active so far, *completed* the parallel states that this microstep has
    already finished; those found now are added.
    """
    ops: list[Op] = []
    nodes = tree.nodes
    parent = None if final.parent == NOWHERE else nodes[final.parent]
    if parent is not None and parent.kind == "compound":
        ops.append(_done(parent, final))
    marker = parent
    if parent is not None and parent.kind != "parallel":
        marker = None if parent.parent == NOWHERE else nodes[parent.parent]
    last = final
    while (
        marker is not None
        and marker.kind == "parallel"
        and marker.index not in completed
        and is_final(tree, marker, active)
    ):
        completed.add(marker.index)
        ops.append(_done(marker, None))
        last = marker
        marker = None if marker.parent == NOWHERE else nodes[marker.parent]
    if marker is not None:
        return ops, False
    own = last.state.output if last.parent != NOWHERE else None
    finish = (done_type(last.id), own, nodes[ROOT].state.output)
    ops.append(Op(Code.FINISH, finish, f"{nodes[ROOT].path} output"))
    return ops, True


def is_final(tree: Tree, node: Node, active: int) -> bool:
    """Say whether *node* is finished: a final child is active, or all regions are finished."""
    if node.kind == "parallel":
        return all(is_final(tree, tree.nodes[child], active) for child in node.children)
    if node.kind == "compound":
        return any(
            active >> child & 1 and tree.nodes[child].kind == "final" for child in node.children
        )
    return node.kind == "final"


def _done(node: Node, final: Node | None) -> Op:
    output = None if final is None else final.state.output
    return Op(Code.DONE, (done_type(node.id), output), f"{node.path} output")
