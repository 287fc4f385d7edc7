"""Timer lint: timers with one id that may be pending together."""

from collections import deque
from collections.abc import Iterator
from itertools import chain, combinations
from typing import Any

from arvo.core.violations.issue import Issue
from arvo.handlers.machine.action_sites import ActionSite, action_sites, planned_commands
from arvo.statechart.compiled.chart import Chart
from arvo.statechart.compiled.entry import nodes_entered
from arvo.statechart.compiled.tree import Node, Tree, members
from arvo.statechart.definition.commands import Cancel, Schedule, Send
from arvo.statechart.definition.events import AFTER_PREFIX


def find_overlapping_timers(chart: Chart[Any]) -> Iterator[Issue]:
    """Find the timer ids that two places start, where both timers may be pending at once."""
    sites_by_id: dict[str, list[ActionSite]] = {}
    for site in action_sites(chart):
        for command in planned_commands(site.ops):
            id_ = command.parts[2] if command.kind in (Schedule, Send) else None
            if isinstance(id_, str) and not id_.startswith(AFTER_PREFIX):
                sites_by_id.setdefault(id_, []).append(site)
    for id_, sites in sites_by_id.items():
        for one, other in combinations(sites, 2):
            if _outlasts(chart, one, other, id_) or _outlasts(chart, other, one, id_):
                expected = f"a timer id of its own, or cancel({id_!r}) before it starts again"
                yield Issue(str(other), expected, f"{id_!r}, which {one} starts too")
                break


def _outlasts(chart: Chart[Any], first: ActionSite, second: ActionSite, id_: str) -> bool:
    """Return whether a timer of *first* may be pending when *second* starts another."""
    for command in planned_commands(second.ops):
        if command.kind is Cancel and command.parts[0] == id_:
            return False
        if command.kind in (Schedule, Send) and command.parts[2] == id_:
            break
    if not _may_follow(chart, first.node, second.node):
        return False
    exit_ops = chart.compiled.behaviours[first.node.index].exit
    stops_on_exit = first.kind == "entry" and any(
        command.kind is Cancel and command.parts[0] == id_ for command in planned_commands(exit_ops)
    )
    return not (stops_on_exit and _are_exclusive(chart.compiled.tree, first.node, second.node))


def _may_follow(chart: Chart[Any], first: Node, second: Node) -> bool:
    """Return whether transitions lead from *first* to *second*, or both may be active together."""
    program = chart.compiled
    reached = 0
    pending = deque(
        n.index for n in program.tree.nodes if not _are_exclusive(program.tree, first, n)
    )
    while pending:
        index = pending.popleft()
        if not reached >> index & 1:
            reached |= 1 << index
            behaviour = program.behaviours[index]
            for edge in (*chain.from_iterable(behaviour.on.values()), *behaviour.always):
                pending.extend(members(nodes_entered(program, edge)))
    return bool(reached >> second.index & 1)


def _are_exclusive(tree: Tree, one: Node, other: Node) -> bool:
    """Return whether two states are never active together."""
    if one is other or one.index in other.ancestors or other.index in one.ancestors:
        return False
    shared = next(above for above in one.ancestors if tree.is_descendant(other.index, above))
    return tree.nodes[shared].kind == "compound"
