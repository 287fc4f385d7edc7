"""Plan: everything one microstep does, known before any action runs.

It follows from the configuration, the transitions taken and the history records they reach
(SCXML's enterStates and exitStates, with XState's rules for domains and default entry).
"""

from collections.abc import Mapping
from typing import TypeAlias

from attrs import Factory, field, frozen

from arvo.statechart.compiled.behaviour import Behaviour, Edge
from arvo.statechart.compiled.completion import completion
from arvo.statechart.compiled.entry import domain, entered
from arvo.statechart.compiled.legal import legal
from arvo.statechart.compiled.ops import Op, merged
from arvo.statechart.compiled.tree import ROOT, Tree, members
from arvo.statechart.definition.state import Transition

# What each history of the chart remembers, by node: a set of nodes.
Records: TypeAlias = Mapping[int, int]


@frozen(eq=False)
class Plan:
    """One microstep: what to run, and where it ends."""

    ops: tuple[Op, ...]
    mask: int
    leaves: tuple[int, ...]  # in order of activation
    records: Records  # what leaving writes down
    moved: bool  # the set of nodes differs, or a history was written
    edges: tuple[Edge, ...]
    timed: bool = field(
        init=False, default=Factory(lambda self: any(op.timed for op in self.ops), takes_self=True)
    )


@frozen(eq=False)
class Planner:
    """The fixed part of a chart that plans are made from."""

    tree: Tree
    behaviours: tuple[Behaviour, ...]

    def plan(
        self, mask: int, leaves: tuple[int, ...], edges: tuple[Edge, ...], records: Records
    ) -> Plan:
        """Plan the microstep that takes *edges* from the configuration *mask*."""
        taken = self.settled(edges, mask, records)
        plan = self._taking(taken, mask, leaves, records)
        if len(taken) < 2 or legal(self.tree, plan.mask):
            return plan
        # A transition to a history that remembers the transition's own source leaves nothing, so
        # it conflicts with none; beside one that restarts its region it would enter a second child
        # of a compound state. XState does just that and leaves open what it means. Here the later
        # of the two is dropped, for the document's order also decides elsewhere.
        kept: tuple[Edge, ...] = ()
        for edge in taken:
            more = self._taking((*kept, edge), mask, leaves, records)
            if not kept or legal(self.tree, more.mask):
                kept, plan = (*kept, edge), more
        return plan

    def _taking(
        self, taken: tuple[Edge, ...], mask: int, leaves: tuple[int, ...], records: Records
    ) -> Plan:
        leaving = self._exits(taken, mask, records)
        written = self._written(leaving, mask)
        ops: list[Op] = []
        for index in reversed(list(members(leaving))):
            ops.extend(self.behaviours[index].exit)
        for edge in taken:
            ops.extend(edge.ops)
        after = {**records, **written}
        plan = self._enter(list(ops), mask, leaves, leaving, taken, after, written, after)
        if not written or legal(self.tree, plan.mask):
            return plan
        # XState would lose regions here: it leaves below the domain that a history has before it is
        # written, and enters below the one it has then. What was left is entered again.
        return self._enter(ops, mask, leaves, leaving, taken, after, written, records)

    def begin(self) -> Plan:
        """Plan the start: the root and all its initial descendants are the targets."""
        targets: list[int] = []
        self._initial(ROOT, targets)
        start = Edge(
            source=ROOT,
            targets=tuple(targets),
            reenter=True,
            test=None,
            ops=(),
            event=None,
            label="start",
            definition=Transition(),
        )
        return self._enter([], 0, (), 0, (start,), {}, {}, {})

    def settled(self, edges: tuple[Edge, ...], mask: int, records: Records) -> tuple[Edge, ...]:
        """Drop transitions that would leave the same states as another, inner ones win."""
        if len(edges) < 2:
            return edges
        kept: list[Edge] = []
        for edge in edges:
            exits = self._exits((edge,), mask, records)
            rivals = [other for other in kept if exits & self._exits((other,), mask, records)]
            if all(self.tree.is_below(edge.source, rival.source) for rival in rivals):
                kept = [other for other in kept if other not in rivals]
                kept.append(edge)
        return tuple(kept)

    def _exits(self, edges: tuple[Edge, ...], mask: int, records: Records) -> int:
        leaving = 0
        for edge in edges:
            if edge.targets:
                leaving |= self.tree.below(domain(self, edge, records))
        return leaving & mask

    def _written(self, leaving: int, mask: int) -> Records:
        written: dict[int, int] = {}
        for index in members(leaving):
            node = self.tree.nodes[index]
            for history in node.histories:
                if self.tree.nodes[history].state.history == "deep":
                    below = members(node.below & mask)
                    kept = (child for child in below if self.tree.nodes[child].is_leaf)
                else:
                    kept = (child for child in node.children if mask >> child & 1)
                written[history] = sum(1 << child for child in kept)
        return written

    def _enter(
        self,
        ops: list[Op],
        mask: int,
        leaves: tuple[int, ...],
        leaving: int,
        taken: tuple[Edge, ...],
        records: Records,
        written: Records,
        roofs: Records,
    ) -> Plan:
        entering, by_default = entered(self, taken, records, roofs)
        active = mask & ~leaving
        ordered = [leaf for leaf in leaves if active >> leaf & 1]
        completed: set[int] = set()
        finished = False
        for index in sorted(entering):
            node, behaviour = self.tree.nodes[index], self.behaviours[index]
            if node.is_leaf and not active >> index & 1:
                ordered.append(index)
            active |= node.bit
            ops.extend(behaviour.entry)
            if index in by_default:
                ops.extend(behaviour.start)
            if node.kind == "final":
                done, ends = completion(self.tree, node, active, completed)
                ops.extend(done)
                finished = finished or ends
        active |= self._around(active)
        if finished:
            for index in reversed(list(members(active))):
                ops.extend(self.behaviours[index].exit)
        moved = bool(written) or active != mask
        return Plan(
            ops=merged(ops),
            mask=active,
            leaves=tuple(ordered) if moved else leaves,
            records=written,
            moved=moved,
            edges=taken,
        )

    def _around(self, active: int) -> int:
        """Find the ancestors of what is active.

        XState finds the domain of a transition to a history twice, before and after that history
        is written; where the two differ it leaves ancestors that it does not enter again. Such
        ancestors stay active here, or the configuration would have leaves without a root.
        """
        return sum(
            1 << above for above in {a for n in members(active) for a in self.tree.nodes[n].above}
        )

    def _initial(self, index: int, found: list[int]) -> None:
        found.append(index)
        node = self.tree.nodes[index]
        if node.kind == "compound":
            self._initial(self.behaviours[index].initial, found)
        elif node.kind == "parallel":
            for child in node.children:
                self._initial(child, found)
