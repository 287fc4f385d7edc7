"""History: the default of a history state that has no target."""

from collections.abc import Iterator

from attrs import evolve

from arvo.statechart.compiled.behaviour import Behaviour
from arvo.statechart.compiled.tree import NO_NODE, Tree
from arvo.statechart.definition.problems import Problem


def infer_history_defaults(tree: Tree, behaviours: tuple[Behaviour, ...]) -> tuple[Behaviour, ...]:
    """Give each history without a target the default that XState infers.

    The default is the initial child of its parent, or the parent itself if it is parallel.
    """
    inferred = list(behaviours)
    for node in tree.nodes:
        if node.kind == "history" and not behaviours[node.index].history_default:
            initial = behaviours[node.parent].initial
            default = (node.parent,) if initial == NO_NODE else (initial,)
            inferred[node.index] = evolve(behaviours[node.index], history_default=default)
    return tuple(inferred)


def find_circular_histories(tree: Tree, behaviours: tuple[Behaviour, ...]) -> Iterator[Problem]:
    """Find histories whose default leads back to themselves, as an initial history's may."""
    for node in tree.nodes:
        if node.kind == "history" and _leads_back(tree, behaviours, node.index, frozenset()):
            message = "the default of this history leads back to a history: set another target"
            yield Problem(node.path, message)


def _leads_back(
    tree: Tree, behaviours: tuple[Behaviour, ...], index: int, visited: frozenset[int]
) -> bool:
    if index in visited:
        return True
    match tree.nodes[index].kind:
        case "history":
            visited, following = visited | {index}, behaviours[index].history_default
        case "compound":
            following = (behaviours[index].initial,)
        case "parallel":
            following = tree.nodes[index].children
        case "atomic" | "final":
            following = ()
    return any(_leads_back(tree, behaviours, node, visited) for node in following)
