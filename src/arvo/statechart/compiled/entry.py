"""Entry: the nodes that a microstep enters (SCXML computeEntrySet, with XState's differences)."""

from collections.abc import Mapping

from arvo.statechart.compiled.behaviour import ChartStructure, Edge
from arvo.statechart.compiled.tree import NO_NODE, ROOT, members


def compute_entry_set(
    chart: ChartStructure,
    edges: tuple[Edge, ...],
    records: Mapping[int, int],
    domain_records: Mapping[int, int] | None = None,
) -> tuple[set[int], set[int]]:
    """Return the nodes that *edges* enter, and those of them whose initial actions run.

    *records* holds the node set that each history recorded. *domain_records* replaces them in
    the search for the transitions' domains.
    """
    entry = _EntrySet(chart, records)
    for edge in edges:
        if not edge.targets:
            continue
        domain = transition_domain(
            chart, edge, records if domain_records is None else domain_records
        )
        for target in edge.targets:
            stays = target == edge.source == domain and not edge.reenter
            if chart.tree.nodes[target].kind != "history" and not stays:
                entry.nodes.add(target)
                entry.by_default.add(target)
            entry.add_descendants(target)
        limit = None if edge.source == ROOT and edge.reenter else domain
        for target in effective_targets(chart, edge.targets, records):
            ancestors = entry.proper_ancestors(target, domain, with_parallel=True)
            entry.add_ancestors(ancestors, limit)
    return entry.nodes, entry.by_default


def nodes_entered(chart: ChartStructure, edge: Edge) -> int:
    """Return the node set that *edge* enters while no history has a record."""
    nodes, _ = compute_entry_set(chart, (edge,), {})
    return sum(1 << index for index in nodes)


def transition_domain(chart: ChartStructure, edge: Edge, records: Mapping[int, int]) -> int:
    """Find the node whose descendants *edge* leaves (SCXML getTransitionDomain).

    XState takes the nearest common ancestor of any kind, so the domain may be a parallel state.
    SCXML would go up to a compound one.
    """
    tree = chart.tree
    targets = effective_targets(chart, edge.targets or (), records)
    if not edge.reenter and all(
        target == edge.source or tree.is_descendant(target, edge.source) for target in targets
    ):
        return edge.source
    first, *others = [*targets, edge.source]
    for ancestor in tree.nodes[first].ancestors:
        if all(tree.is_descendant(other, ancestor) for other in others):
            return ancestor
    return NO_NODE if edge.reenter else ROOT


def effective_targets(
    chart: ChartStructure, targets: tuple[int, ...], records: Mapping[int, int]
) -> list[int]:
    """Replace histories among *targets* by their records or defaults.

    SCXML calls this getEffectiveTargetStates.
    """
    effective: dict[int, None] = {}
    for target in targets:
        if chart.tree.nodes[target].kind != "history":
            effective[target] = None
        elif target in records:
            effective.update(dict.fromkeys(members(records[target])))
        else:
            default = chart.behaviours[target].history_default
            effective.update(dict.fromkeys(effective_targets(chart, default, records)))
    return list(effective)


class _EntrySet:
    """The two sets that `compute_entry_set` returns, while they are built."""

    def __init__(self, chart: ChartStructure, records: Mapping[int, int]) -> None:
        self.chart = chart
        self.tree = chart.tree
        self.records = records
        self.nodes: set[int] = set()
        self.by_default: set[int] = set()

    def add_descendants(self, index: int) -> None:
        """Add the descendants that are entered with *index* (addDescendantStatesToEnter)."""
        node = self.tree.nodes[index]
        if node.kind == "history":
            self._add_history(index)
        elif node.kind == "compound":
            child = self.chart.behaviours[index].initial
            if self.tree.nodes[child].kind != "history":
                self.nodes.add(child)
                self.by_default.add(child)
            self.add_descendants(child)
        elif node.kind == "parallel":
            self._add_regions(index, by_default=True)

    def add_ancestors(self, ancestors: list[int], limit: int | None) -> None:
        """Add *ancestors* below *limit*, and their regions that have no entered descendant yet.

        SCXML calls this addAncestorStatesToEnter.
        """
        for ancestor in ancestors:
            if limit is None or self.tree.is_descendant(ancestor, limit):
                self.nodes.add(ancestor)
            if self.tree.nodes[ancestor].kind == "parallel":
                self._add_regions(ancestor, by_default=False)

    def proper_ancestors(self, index: int, domain: int, *, with_parallel: bool) -> list[int]:
        """List the ancestors of *index* below *domain*, nearest first.

        *with_parallel* adds *domain* itself if it is a parallel state.
        """
        ancestors = [
            ancestor
            for ancestor in self.tree.nodes[index].ancestors
            if self.tree.is_descendant(ancestor, domain)
        ]
        if with_parallel and domain != NO_NODE and self.tree.nodes[domain].kind == "parallel":
            ancestors.append(domain)
        return ancestors

    def _add_history(self, index: int) -> None:
        node = self.tree.nodes[index]
        recorded = index in self.records
        targets = (
            tuple(members(self.records[index]))
            if recorded
            else self.chart.behaviours[index].history_default
        )
        for target in targets:
            if self.tree.nodes[target].kind != "history":
                self.nodes.add(target)
            # The initial actions of the parent run only if the default is its initial transition.
            if not recorded and node.state.target is None:
                self.by_default.add(node.parent)
            self.add_descendants(target)
        for target in targets:
            ancestors = self.proper_ancestors(target, node.parent, with_parallel=False)
            self.add_ancestors(ancestors, None)

    def _add_regions(self, index: int, *, by_default: bool) -> None:
        for region in self.tree.nodes[index].children:
            if not any(self.tree.is_descendant(node, region) for node in self.nodes):
                self.nodes.add(region)
                if by_default:
                    self.by_default.add(region)
                self.add_descendants(region)
