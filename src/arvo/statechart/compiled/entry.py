"""Entry: which nodes a microstep enters, and from where (SCXML computeEntrySet, XState's way)."""

from collections.abc import Mapping
from typing import Protocol

from arvo.statechart.compiled.behaviour import Behaviour, Edge
from arvo.statechart.compiled.tree import NOWHERE, ROOT, Tree, members


class Chartlike(Protocol):
    """The fixed part of a chart that entry depends on."""

    @property
    def tree(self) -> Tree:
        """Where the nodes are."""

    @property
    def behaviours(self) -> tuple[Behaviour, ...]:
        """What each of them does."""


def effective(chart: Chartlike, targets: tuple[int, ...], records: Mapping[int, int]) -> list[int]:
    """Replace histories among *targets* by what they remember, or by their default."""
    out: dict[int, None] = {}
    for target in targets:
        if chart.tree.nodes[target].kind != "history":
            out[target] = None
        elif target in records:
            out.update(dict.fromkeys(members(records[target])))
        else:
            default = chart.behaviours[target].default
            out.update(dict.fromkeys(effective(chart, default, records)))
    return list(out)


def domain(chart: Chartlike, edge: Edge, records: Mapping[int, int]) -> int:
    """Find the node below which *edge* leaves everything.

    XState takes the nearest common ancestor of any kind, so this may be a parallel state, where
    SCXML would go up to a compound one.
    """
    tree = chart.tree
    goals = effective(chart, edge.targets or (), records)
    if not edge.reenter and all(
        goal == edge.source or tree.is_below(goal, edge.source) for goal in goals
    ):
        return edge.source
    first, *others = [*goals, edge.source]
    for ancestor in tree.nodes[first].above:
        if all(tree.is_below(other, ancestor) for other in others):
            return ancestor
    return NOWHERE if edge.reenter else ROOT


def entered(
    chart: Chartlike,
    edges: tuple[Edge, ...],
    records: Mapping[int, int],
    roofs: Mapping[int, int] | None = None,
) -> tuple[set[int], set[int]]:
    """Return the nodes that *edges* enter, and those of them whose initial actions run.

    *roofs*: the records that domains are found by, where they are others.
    """
    entry = _Entry(chart, records)
    for edge in edges:
        if not edge.targets:
            continue
        roof = domain(chart, edge, records if roofs is None else roofs)
        for target in edge.targets:
            stays = target == edge.source == roof and not edge.reenter
            if chart.tree.nodes[target].kind != "history" and not stays:
                entry.nodes.add(target)
                entry.by_default.add(target)
            entry.down(target)
        limit = None if edge.source == ROOT and edge.reenter else roof
        for goal in effective(chart, edge.targets, records):
            entry.up(entry.between(goal, roof, with_parallel=True), limit)
    return entry.nodes, entry.by_default


class _Entry:
    """The two sets while they grow."""

    def __init__(self, chart: Chartlike, records: Mapping[int, int]) -> None:
        self.chart = chart
        self.tree = chart.tree
        self.records = records
        self.nodes: set[int] = set()
        self.by_default: set[int] = set()

    def down(self, index: int) -> None:
        """Enter the descendants that *index* brings with it."""
        node = self.tree.nodes[index]
        if node.kind == "history":
            self._restore(index)
        elif node.kind == "compound":
            child = self.chart.behaviours[index].initial
            if self.tree.nodes[child].kind != "history":
                self.nodes.add(child)
                self.by_default.add(child)
            self.down(child)
        elif node.kind == "parallel":
            self._regions(index, by_default=True)

    def up(self, ancestors: list[int], limit: int | None) -> None:
        """Enter *ancestors* below *limit*, and the regions that nothing else enters."""
        for ancestor in ancestors:
            if limit is None or self.tree.is_below(ancestor, limit):
                self.nodes.add(ancestor)
            if self.tree.nodes[ancestor].kind == "parallel":
                self._regions(ancestor, by_default=False)

    def between(self, index: int, roof: int, *, with_parallel: bool) -> list[int]:
        """List the ancestors of *index* below *roof*, nearest first."""
        found = [above for above in self.tree.nodes[index].above if self.tree.is_below(above, roof)]
        if with_parallel and roof != NOWHERE and self.tree.nodes[roof].kind == "parallel":
            found.append(roof)
        return found

    def _restore(self, index: int) -> None:
        node = self.tree.nodes[index]
        recorded = index in self.records
        goals = (
            tuple(members(self.records[index]))
            if recorded
            else self.chart.behaviours[index].default
        )
        for goal in goals:
            if self.tree.nodes[goal].kind != "history":
                self.nodes.add(goal)
            # Only where the default is the parent's own initial do its actions run.
            if not recorded and node.state.target is None:
                self.by_default.add(node.parent)
            self.down(goal)
        for goal in goals:
            self.up(self.between(goal, node.parent, with_parallel=False), None)

    def _regions(self, index: int, *, by_default: bool) -> None:
        for region in self.tree.nodes[index].children:
            if not any(self.tree.is_below(node, region) for node in self.nodes):
                self.nodes.add(region)
                if by_default:
                    self.by_default.add(region)
                self.down(region)
