"""Lint: what a legal chart most likely does not mean."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Literal, TypeAlias

from attrs import frozen

from arvo.statechart.compiled.behaviour import Edge
from arvo.statechart.compiled.chart import Chart
from arvo.statechart.compiled.completion import is_final
from arvo.statechart.compiled.entry import domain
from arvo.statechart.compiled.ops import Code
from arvo.statechart.compiled.program import Program
from arvo.statechart.compiled.tree import Node, members
from arvo.statechart.definition.actions import Choose, Make, Named, Raise
from arvo.statechart.definition.commands import Schedule, Send
from arvo.statechart.definition.events import Event
from arvo.statechart.views.reach import reachable, would_enter

Kind: TypeAlias = Literal[
    "unreachable", "dead end", "always loop", "shadowed", "unhandled", "endless"
]


@frozen
class Finding:
    """One doubt: its *kind*, the *path* of the state, and why."""

    kind: Kind
    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.kind}: {self.message}"


def lint(chart: Chart[Any], events: Iterable[str] = ()) -> tuple[Finding, ...]:
    """Look for mistakes that a definition allows.

    They are: states that nothing enters, states that nothing leaves, ``always`` transitions that
    chase each other, transitions behind one that always wins, events that are raised, sent or
    listed in *events* but handled nowhere, and ``on_done`` of something that never finishes.
    Guards are taken to hold now and then.
    """
    program = chart.compiled
    reached = reachable(program)
    checks: tuple[Callable[[], Iterator[Finding]], ...] = (
        lambda: _unreachable(program, reached),
        lambda: _dead_ends(program, reached),
        lambda: _loops(program, reached),
        lambda: _shadowed(program),
        lambda: _unhandled(program, events),
        lambda: _endless(program, reached),
    )
    return tuple(finding for check in checks for finding in check())


def _unreachable(program: Program, reached: int) -> Iterator[Finding]:
    for node in program.tree.nodes:
        if node.kind != "history" and not reached & node.bit and reached >> node.parent & 1:
            yield Finding("unreachable", node.path, "no transition enters this state")


def _dead_ends(program: Program, reached: int) -> Iterator[Finding]:
    nodes = program.tree.nodes
    for index in members(reached):
        node = nodes[index]
        if node.kind != "atomic" or not node.above:
            continue
        around = (index, *node.above)
        own = (edge for at in around for edge in _edges(program, at))
        if not any(_leaves(program, edge, node) for edge in own) and not any(
            _restarts(program, edge, node) for edge in _beside(program, node, reached)
        ):
            yield Finding("dead end", node.path, "nothing leaves this state, and it is not final")


def _leaves(program: Program, edge: Edge, node: Node) -> bool:
    return bool(edge.targets) and bool(would_enter(program, edge) & ~node.bit)


def _beside(program: Program, node: Node, reached: int) -> Iterator[Edge]:
    """Walk the transitions of the regions beside *node*, which may be active along with it."""
    tree = program.tree
    inside = node.bit
    for above in (tree.nodes[index] for index in node.above):
        if above.kind == "parallel":
            for index in members(above.below & reached & ~inside):
                yield from _edges(program, index)
        inside = above.below | above.bit


def _restarts(program: Program, edge: Edge, node: Node) -> bool:
    """Say whether *edge* takes *node* along, out of where it is."""
    return (
        bool(edge.targets)
        and program.tree.is_below(node.index, domain(program, edge, {}))
        and not would_enter(program, edge) & node.bit
    )


def _loops(program: Program, reached: int) -> Iterator[Finding]:
    nodes = program.tree.nodes
    chasing = {index: _always(program, index) for index in members(reached)}
    ahead = {
        index: [
            other
            for other in members(0 if edge is None else would_enter(program, edge))
            if chasing.get(other) is not None
        ]
        for index, edge in chasing.items()
    }
    for index, edge in chasing.items():
        if edge is None:
            continue
        if not edge.targets:
            if any(op.code in (Code.ASSIGN, Code.EXPAND) for op in edge.ops):
                yield Finding("always loop", nodes[index].path, "an assign without guard or target")
        elif index in edge.targets and _changes(program, edge):
            path = nodes[index].path
            yield Finding("always loop", path, f"no guard stops {path} -> {path}")
        elif round_trip := _round(ahead, index):
            path = " -> ".join(nodes[one].path for one in round_trip)
            yield Finding("always loop", nodes[index].path, f"no guard stops {path}")


def _changes(program: Program, edge: Edge) -> bool:
    """Say whether *edge*, though it leads back, does what makes the chart ask again.

    Without an assign or a raise, entering the same states once more ends the round.
    """
    entered = [program.behaviours[index] for index in members(would_enter(program, edge))]
    ops = (*edge.ops, *(op for each in entered for op in (*each.exit, *each.entry, *each.start)))
    return any(op.code in (Code.ASSIGN, Code.EXPAND, Code.RAISE, Code.RAISE_MADE) for op in ops)


def _always(program: Program, index: int) -> Edge | None:
    return next((e for e in program.behaviours[index].always if e.test is None), None)


def _round(ahead: dict[int, list[int]], start: int) -> list[int]:
    """Find a way from *start* back to it, of more than one step, naming each round once."""
    trails = [[start]]
    seen = {start}
    while trails:
        trail = trails.pop()
        for other in ahead[trail[-1]]:
            if other == start and len(trail) > 1:
                return [*trail, start] if start == min(trail) else []
            if other not in seen:
                seen.add(other)
                trails.append([*trail, other])
    return []


def _shadowed(program: Program) -> Iterator[Finding]:
    for node, behaviour in zip(program.tree.nodes, program.behaviours, strict=True):
        for edges in (*behaviour.on.values(), behaviour.always):
            open_ended = next((n for n, edge in enumerate(edges) if edge.test is None), len(edges))
            for edge in edges[open_ended + 1 :]:
                message = f"{edge.label} stands behind one without a guard"
                yield Finding("shadowed", node.path, message)


def _unhandled(program: Program, events: Iterable[str]) -> Iterator[Finding]:
    root = program.tree.nodes[0].path
    for event in events:
        if not program.vocabulary.classify(event):
            yield Finding("unhandled", root, f"no state hears {event}")
    for node in program.tree.nodes:
        state = node.state
        moves = (edge.definition for edge in _edges(program, node.index))
        actions = [
            *state.entry,
            *state.exit,
            *(action for move in moves for action in move.actions),
        ]
        for event in dict.fromkeys(_raised(program, actions)):
            if not program.vocabulary.classify(event):
                yield Finding("unhandled", node.path, f"{event} is raised, and no state hears it")


def _raised(program: Program, actions: Iterable[object]) -> Iterator[str]:
    for action in actions:
        match action:
            case Raise(event=event):
                yield from _type(program, event)
            case Make(kind=kind, parts=parts) if kind in (Schedule, Send):
                yield from _type(program, parts[0])
            case Named(action=inner):
                yield from _raised(program, [inner])
            case Choose(branches=branches):
                yield from (e for b in branches for e in _raised(program, b.actions))
            case _:
                pass


def _type(program: Program, event: object) -> Iterator[str]:
    if isinstance(event, str):
        yield event
    elif isinstance(event, Event) or not callable(event):
        yield program.type_of(event)


def _endless(program: Program, reached: int) -> Iterator[Finding]:
    nodes = program.tree.nodes
    for index in members(reached):
        node = nodes[index]
        if node.kind == "parallel":
            can_end = [
                child for child in node.children if is_final(program.tree, nodes[child], reached)
            ]
            # If no region can end, and nobody waits for it, the regions are meant to go on.
            if not can_end and not node.state.on_done:
                continue
            for child in node.children:
                if child not in can_end:
                    message = "this region never finishes, so its parallel state does not either"
                    yield Finding("endless", nodes[child].path, message)
        elif node.state.on_done and not is_final(program.tree, node, reached):
            yield Finding(
                "endless", node.path, "on_done waits for a final child, and none is entered"
            )


def _edges(program: Program, index: int) -> list[Edge]:
    behaviour = program.behaviours[index]
    return [*behaviour.always, *(edge for edges in behaviour.on.values() for edge in edges)]
