"""Always loops: the lint check for ``always`` transitions that never become stable."""

from collections.abc import Iterator

from arvo.statechart.compiled.behaviour import Edge
from arvo.statechart.compiled.entry import nodes_entered
from arvo.statechart.compiled.ops import Code
from arvo.statechart.compiled.program import Program
from arvo.statechart.compiled.tree import members
from arvo.statechart.definition.problems import Problem


def find_always_loops(program: Program, reachable: int) -> Iterator[Problem]:
    """Find loops of ``always`` transitions without a guard among the *reachable* states."""
    nodes = program.tree.nodes
    unguarded = {index: _unguarded_always(program, index) for index in members(reachable)}
    following = {
        index: [
            entered
            for entered in members(0 if edge is None else nodes_entered(program, edge))
            if unguarded.get(entered) is not None
        ]
        for index, edge in unguarded.items()
    }
    for index, edge in unguarded.items():
        path = nodes[index].path
        if edge is None:
            continue
        if not edge.targets:
            if any(op.code in (Code.ASSIGN, Code.EXPAND) for op in edge.ops):
                message = "an always transition that assigns, without a guard or a target"
                yield Problem(path, message, "always loop")
        elif index in edge.targets and _changes(program, edge):
            yield Problem(path, f"the loop {path} -> {path} without a guard", "always loop")
        elif cycle := _find_cycle(following, index):
            loop = " -> ".join(nodes[node].path for node in cycle)
            yield Problem(path, f"the loop {loop} without a guard", "always loop")


def _unguarded_always(program: Program, index: int) -> Edge | None:
    return next((e for e in program.behaviours[index].always if e.guard is None), None)


def _changes(program: Program, edge: Edge) -> bool:
    """Return whether *edge*, which leads back to its source, starts another round.

    Without an assign or a raise, entering the same states once more ends the round.
    """
    entered = [program.behaviours[index] for index in members(nodes_entered(program, edge))]
    ops = (
        *edge.ops,
        *(op for state in entered for op in (*state.exit, *state.entry, *state.initial_actions)),
    )
    codes = (Code.ASSIGN, Code.EXPAND, Code.RAISE, Code.RAISE_COMPUTED)
    return any(op.code in codes for op in ops)


def _find_cycle(following: dict[int, list[int]], start: int) -> list[int]:
    """Return a path of more than one step from *start* back to it, or an empty list.

    A cycle is reported only at its lowest node.
    """
    trails = [[start]]
    visited = {start}
    while trails:
        trail = trails.pop()
        for node in following[trail[-1]]:
            if node == start and len(trail) > 1:
                return [*trail, start] if start == min(trail) else []
            if node not in visited:
                visited.add(node)
                trails.append([*trail, node])
    return []
