"""Selection: which transitions an event takes in one configuration.

XState walks the tree from the root: a node is asked only if none of its active descendants
found anything, even where what they found has no target. Here that walk is done once per
configuration and class of event; what is left of it is a nest of candidates.
"""

from collections.abc import Iterable
from typing import Any, Protocol, TypeAlias

from attrs import frozen

from arvo.statechart.compiled.behaviour import Behaviour, Edge
from arvo.statechart.compiled.descriptors import EventClass
from arvo.statechart.compiled.tree import ROOT, Tree

# Tried in order: an edge is taken if its guard holds, regions if one of them finds something.
Steps: TypeAlias = tuple["Edge | Regions", ...]


@frozen(eq=False)
class Regions:
    """Parallel regions that are all asked, in document order."""

    parts: tuple[Steps, ...]


class Asking(Protocol):
    """What selection needs of a step under way; it writes down whom it asks, for faults."""

    context: Any
    event: Any
    configuration: Any
    at: Any


def steps(
    tree: Tree, behaviours: tuple[Behaviour, ...], mask: int, event: EventClass, index: int = ROOT
) -> Steps:
    """Gather what *index* and its active descendants could take for *event*, inmost first."""
    node = tree.nodes[index]
    parts = [
        part
        for child in node.children
        if mask >> child & 1 and (part := steps(tree, behaviours, mask, event, child))
    ]
    on = behaviours[index].on
    own = tuple(edge for descriptor in event for edge in on.get(descriptor, ()))
    inner: Steps = parts[0] if len(parts) == 1 else (Regions(tuple(parts)),) if parts else ()
    return inner + own


def constant(candidates: Steps) -> tuple[Edge, ...] | None:
    """Return what is always selected, if no guard has a say."""
    if not candidates:
        return ()
    first = candidates[0]
    if isinstance(first, Edge):
        return (first,) if first.test is None else None
    found = [constant(part) for part in first.parts]
    return tuple(edge for part in found for edge in part or ()) if None not in found else None


def select(candidates: Steps, run: Asking) -> tuple[Edge, ...]:
    """Ask the guards, lazily and in order, and return what is taken."""
    for candidate in candidates:
        if isinstance(candidate, Edge):
            if candidate.test is not None:
                run.at = candidate
                if not candidate.test(run.context, run.event, run.configuration):
                    continue
            return (candidate,)
        found = tuple(edge for part in candidate.parts for edge in select(part, run))
        if found:
            return found
    return ()


def chains(
    tree: Tree, behaviours: tuple[Behaviour, ...], leaves: Iterable[int]
) -> tuple[tuple[Edge, ...], ...]:
    """Gather the ``always`` candidates of each leaf, inmost first, in order of activation."""
    found = (
        tuple(edge for node in (leaf, *tree.nodes[leaf].above) for edge in behaviours[node].always)
        for leaf in leaves
    )
    return tuple(chain for chain in found if chain)


def eventless(candidates: tuple[tuple[Edge, ...], ...], run: Asking) -> tuple[Edge, ...]:
    """Take the first ``always`` that holds for each leaf; unlike events, ancestors may differ."""
    taken: dict[Edge, None] = {}
    for chain in candidates:
        for edge in chain:
            if edge.test is not None:
                run.at = edge
                if not edge.test(run.context, run.event, run.configuration):
                    continue
            taken[edge] = None
            break
    return tuple(taken)
