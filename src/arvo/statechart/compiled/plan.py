"""Plan: everything that one microstep does, computed before any action runs.

A plan follows from the configuration, the transitions taken and the history records that they
read (SCXML exitStates and enterStates, with XState's rules for domains and default entry).
"""

from collections.abc import Mapping
from typing import TypeAlias

from attrs import Factory, field, frozen

from arvo.statechart.compiled.behaviour import Behaviour, Edge
from arvo.statechart.compiled.completion import completion_ops
from arvo.statechart.compiled.configuration import is_legal
from arvo.statechart.compiled.entry import compute_entry_set, transition_domain
from arvo.statechart.compiled.ops import Op, merge_commands
from arvo.statechart.compiled.tree import ROOT, Tree, members
from arvo.statechart.definition.state import Transition

# The node set that each history of the chart has recorded, by the history's number.
Records: TypeAlias = Mapping[int, int]


@frozen(eq=False)
class Plan:
    """One microstep: the ops to run, and the configuration where it ends."""

    ops: tuple[Op, ...]
    mask: int
    leaves: tuple[int, ...]  # in order of activation
    records: Records  # those that leaving states writes
    moved: bool  # the set of active nodes differs, or a record was written
    edges: tuple[Edge, ...]
    changes_timers: bool = field(
        init=False,
        default=Factory(lambda self: any(op.changes_timers for op in self.ops), takes_self=True),
    )


@frozen(eq=False)
class _Exit:
    """The first half of a microstep: the states left, the records written, the ops so far."""

    mask: int
    leaves: tuple[int, ...]
    leaving: int
    edges: tuple[Edge, ...]
    written: Records
    ops: tuple[Op, ...]


@frozen(eq=False)
class Planner:
    """Makes the plans of one chart."""

    tree: Tree
    behaviours: tuple[Behaviour, ...]

    def plan(
        self, mask: int, leaves: tuple[int, ...], edges: tuple[Edge, ...], records: Records
    ) -> Plan:
        """Plan the microstep that takes *edges* from the configuration *mask*."""
        selected = self.remove_conflicts(edges, mask, records)
        plan = self._plan_edges(selected, mask, leaves, records)
        if len(selected) < 2 or is_legal(self.tree, plan.mask):
            return plan
        # A transition to a history that recorded the transition's own source leaves nothing, so
        # it conflicts with no other. Together with one that restarts its region it would enter a
        # second child of a compound state. XState does just that and leaves its meaning open.
        # Here the later of the two is dropped, because document order decides elsewhere too.
        legal: tuple[Edge, ...] = ()
        for edge in selected:
            longer = self._plan_edges((*legal, edge), mask, leaves, records)
            if not legal or is_legal(self.tree, longer.mask):
                legal, plan = (*legal, edge), longer
        return plan

    def plan_start(self) -> Plan:
        """Plan the start: the root and all its initial descendants are the targets."""
        targets: list[int] = []
        self._add_initial(ROOT, targets)
        start = Edge(
            source=ROOT,
            targets=tuple(targets),
            reenter=True,
            guard=None,
            ops=(),
            event=None,
            label="start",
            definition=Transition(),
        )
        return self._enter(_Exit(0, (), 0, (start,), {}, ()), {}, {})

    def remove_conflicts(
        self, edges: tuple[Edge, ...], mask: int, records: Records
    ) -> tuple[Edge, ...]:
        """Drop transitions that leave the same states as another; the inner one wins.

        SCXML calls this removeConflictingTransitions.
        """
        if len(edges) < 2:
            return edges
        selected: list[Edge] = []
        for edge in edges:
            exits = self._exit_set((edge,), mask, records)
            rivals = [
                other for other in selected if exits & self._exit_set((other,), mask, records)
            ]
            if all(self.tree.is_descendant(edge.source, rival.source) for rival in rivals):
                selected = [other for other in selected if other not in rivals]
                selected.append(edge)
        return tuple(selected)

    def _plan_edges(
        self, edges: tuple[Edge, ...], mask: int, leaves: tuple[int, ...], records: Records
    ) -> Plan:
        leaving = self._exit_set(edges, mask, records)
        written = self._record_histories(leaving, mask)
        ops: list[Op] = []
        for index in reversed(list(members(leaving))):
            ops.extend(self.behaviours[index].exit)
        for edge in edges:
            ops.extend(edge.ops)
        left = _Exit(mask, leaves, leaving, edges, written, tuple(ops))
        after = {**records, **written}
        plan = self._enter(left, after, after)
        if not written or is_legal(self.tree, plan.mask):
            return plan
        # XState would lose regions here: it leaves the descendants of the domain that a history
        # gives before it is written, and enters those of the domain that it gives afterwards.
        # Here the states that were left are entered again.
        return self._enter(left, after, records)

    def _exit_set(self, edges: tuple[Edge, ...], mask: int, records: Records) -> int:
        leaving = 0
        for edge in edges:
            if edge.targets:
                leaving |= self.tree.descendants(transition_domain(self, edge, records))
        return leaving & mask

    def _record_histories(self, leaving: int, mask: int) -> Records:
        written: dict[int, int] = {}
        for index in members(leaving):
            node = self.tree.nodes[index]
            for history in node.histories:
                if self.tree.nodes[history].state.history == "deep":
                    active = members(node.descendants & mask)
                    recorded = (child for child in active if self.tree.nodes[child].is_leaf)
                else:
                    recorded = (child for child in node.children if mask >> child & 1)
                written[history] = sum(1 << child for child in recorded)
        return written

    def _enter(self, left: _Exit, records: Records, domain_records: Records) -> Plan:
        entering, by_default = compute_entry_set(self, left.edges, records, domain_records)
        ops = list(left.ops)
        active = left.mask & ~left.leaving
        leaves = [leaf for leaf in left.leaves if active >> leaf & 1]
        completed: set[int] = set()
        finished = False
        for index in sorted(entering):
            node, behaviour = self.tree.nodes[index], self.behaviours[index]
            if node.is_leaf and not active >> index & 1:
                leaves.append(index)
            active |= node.bit
            ops.extend(behaviour.entry)
            if index in by_default:
                ops.extend(behaviour.initial_actions)
            if node.kind == "final":
                done, ends = completion_ops(self.tree, node, active, completed)
                ops.extend(done)
                finished = finished or ends
        # XState computes the domain of a transition to a history twice, before and after that
        # history is written. Where the two differ it leaves ancestors that it does not enter
        # again. Here such ancestors stay active, or the leaves would have no root.
        active = self.tree.with_ancestors(active)
        if finished:
            for index in reversed(list(members(active))):
                ops.extend(self.behaviours[index].exit)
        moved = bool(left.written) or active != left.mask
        return Plan(
            ops=merge_commands(ops),
            mask=active,
            leaves=tuple(leaves) if moved else left.leaves,
            records=left.written,
            moved=moved,
            edges=left.edges,
        )

    def _add_initial(self, index: int, targets: list[int]) -> None:
        targets.append(index)
        node = self.tree.nodes[index]
        if node.kind == "compound":
            self._add_initial(self.behaviours[index].initial, targets)
        elif node.kind == "parallel":
            for child in node.children:
                self._add_initial(child, targets)
