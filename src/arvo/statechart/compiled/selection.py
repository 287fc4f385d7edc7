"""Selection: the transitions that an event takes in one configuration.

XState walks the tree from the root: a node is evaluated only if none of its active descendants
selected a transition, even one without a target. Here that walk happens once for each
configuration and set of matched descriptors; its result is a nested tuple of candidates.
"""

from collections.abc import Iterable
from typing import Any, Protocol, TypeAlias

from attrs import frozen

from arvo.statechart.compiled.behaviour import Behaviour, Edge
from arvo.statechart.compiled.descriptors import MatchedDescriptors
from arvo.statechart.compiled.tree import ROOT, Tree

# Tried in order: an edge is taken if its guard holds, regions if one of them selects an edge.
Candidates: TypeAlias = tuple["Edge | Regions", ...]


@frozen(eq=False)
class Regions:
    """Parallel regions, all of which are evaluated in document order."""

    parts: tuple[Candidates, ...]


class GuardContext(Protocol):
    """The part of a running macrostep that selection needs.

    Selection sets *current* to the edge whose guard it evaluates, so that a fault can name it.
    """

    context: Any
    event: Any
    configuration: Any
    current: Any


def gather_candidates(
    tree: Tree,
    behaviours: tuple[Behaviour, ...],
    mask: int,
    event: MatchedDescriptors,
    index: int = ROOT,
) -> Candidates:
    """Collect the candidates for *event* of *index* and its active descendants, innermost first."""
    node = tree.nodes[index]
    parts = [
        part
        for child in node.children
        if mask >> child & 1 and (part := gather_candidates(tree, behaviours, mask, event, child))
    ]
    on = behaviours[index].on
    own = tuple(edge for descriptor in event for edge in on.get(descriptor, ()))
    inner: Candidates = parts[0] if len(parts) == 1 else (Regions(tuple(parts)),) if parts else ()
    return inner + own


def constant_selection(candidates: Candidates) -> tuple[Edge, ...] | None:
    """Return the edges that are always selected, or None if the result depends on a guard."""
    if not candidates:
        return ()
    first = candidates[0]
    if isinstance(first, Edge):
        return (first,) if first.guard is None else None
    parts = [constant_selection(part) for part in first.parts]
    return tuple(edge for part in parts for edge in part or ()) if None not in parts else None


def select_transitions(candidates: Candidates, macrostep: GuardContext) -> tuple[Edge, ...]:
    """Evaluate the guards lazily and in order, and return the selected edges."""
    for candidate in candidates:
        if isinstance(candidate, Edge):
            if candidate.guard is not None:
                macrostep.current = candidate
                if not candidate.guard(macrostep.context, macrostep.event, macrostep.configuration):
                    continue
            return (candidate,)
        selected = tuple(
            edge for part in candidate.parts for edge in select_transitions(part, macrostep)
        )
        if selected:
            return selected
    return ()


def gather_always(
    tree: Tree, behaviours: tuple[Behaviour, ...], leaves: Iterable[int]
) -> tuple[tuple[Edge, ...], ...]:
    """Collect the ``always`` candidates of each leaf, innermost first, in order of activation."""
    candidates = (
        tuple(
            edge for node in (leaf, *tree.nodes[leaf].ancestors) for edge in behaviours[node].always
        )
        for leaf in leaves
    )
    return tuple(edges for edges in candidates if edges)


def select_eventless(
    candidates: tuple[tuple[Edge, ...], ...], macrostep: GuardContext
) -> tuple[Edge, ...]:
    """Select the first ``always`` transition that holds for each leaf.

    Unlike with events, a leaf's ancestors are evaluated even if another leaf selected an edge.
    """
    selected: dict[Edge, None] = {}
    for edges in candidates:
        for edge in edges:
            if edge.guard is not None:
                macrostep.current = edge
                if not edge.guard(macrostep.context, macrostep.event, macrostep.configuration):
                    continue
            selected[edge] = None
            break
    return tuple(selected)
