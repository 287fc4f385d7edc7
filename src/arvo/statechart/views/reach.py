"""Reach: which states could become active, if every guard held at some time."""

from collections import deque

from arvo.statechart.compiled.behaviour import Edge
from arvo.statechart.compiled.entry import entered
from arvo.statechart.compiled.program import Program
from arvo.statechart.compiled.tree import members


def would_enter(program: Program, edge: Edge) -> int:
    """Return the nodes that *edge* enters where no history remembers anything."""
    nodes, _ = entered(program, (edge,), {})
    return sum(1 << index for index in nodes)


def reachable(program: Program) -> int:
    """Return every node that some chain of transitions from the start enters.

    A history adds nothing: what it remembers has been entered before.
    """
    start = program.begin()
    reached = 0
    ahead = deque(members(start.mask))
    while ahead:
        index = ahead.popleft()
        if reached >> index & 1:
            continue
        reached |= 1 << index
        behaviour = program.behaviours[index]
        for edges in (*behaviour.on.values(), behaviour.always):
            for edge in edges:
                ahead.extend(members(would_enter(program, edge)))
    return reached
