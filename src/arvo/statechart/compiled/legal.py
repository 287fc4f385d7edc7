"""Legal: what makes a set of nodes a configuration."""

from arvo.statechart.compiled.tree import ROOT, Tree, members


def legal(tree: Tree, mask: int) -> bool:
    """Say whether *mask* is one: the root, one child of a compound state, all of a parallel one."""
    if not mask >> ROOT & 1:
        return False
    for index in members(mask):
        node = tree.nodes[index]
        active = sum(mask >> child & 1 for child in node.children)
        wanted = {"compound": 1, "parallel": len(node.children)}.get(node.kind, 0)
        if active != wanted or node.kind == "history":
            return False
        if index != ROOT and not mask >> node.parent & 1:
            return False
    return True
