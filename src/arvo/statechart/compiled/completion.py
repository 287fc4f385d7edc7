"""Completion: the done events that entering a final state raises (SCXML enterStates)."""

from arvo.statechart.compiled.ops import Code, Op
from arvo.statechart.compiled.tree import NO_NODE, ROOT, Node, Tree
from arvo.statechart.definition.events import done_type


def completion_ops(
    tree: Tree, final: Node, active: int, completed: set[int]
) -> tuple[list[Op], bool]:
    """Return the ops that entering *final* adds, and whether the chart ends with it.

    *active* is the node set that is active so far. *completed* holds the parallel states that
    this microstep has already finished; the function adds those that it finds.
    """
    ops: list[Op] = []
    nodes = tree.nodes
    parent = None if final.parent == NO_NODE else nodes[final.parent]
    if parent is not None and parent.kind == "compound":
        ops.append(_done_op(parent, final))
    candidate = parent
    if parent is not None and parent.kind != "parallel":
        candidate = None if parent.parent == NO_NODE else nodes[parent.parent]
    last = final
    while (
        candidate is not None
        and candidate.kind == "parallel"
        and candidate.index not in completed
        and is_final(tree, candidate, active)
    ):
        completed.add(candidate.index)
        ops.append(_done_op(candidate, None))
        last = candidate
        candidate = None if candidate.parent == NO_NODE else nodes[candidate.parent]
    if candidate is not None:
        return ops, False
    own_output = last.state.output if last.parent != NO_NODE else None
    finish = (done_type(last.id), own_output, nodes[ROOT].state.output)
    ops.append(Op(Code.FINISH, finish, f"{nodes[ROOT].path} output"))
    return ops, True


def is_final(tree: Tree, node: Node, active: int) -> bool:
    """Return whether *node* is finished (SCXML isInFinalState).

    A compound state is finished if one of its final children is active, a parallel state if all
    of its regions are finished.
    """
    if node.kind == "parallel":
        return all(is_final(tree, tree.nodes[child], active) for child in node.children)
    if node.kind == "compound":
        return any(
            active >> child & 1 and tree.nodes[child].kind == "final" for child in node.children
        )
    return node.kind == "final"


def _done_op(node: Node, final: Node | None) -> Op:
    output = None if final is None else final.state.output
    return Op(Code.DONE, (done_type(node.id), output), f"{node.path} output")
