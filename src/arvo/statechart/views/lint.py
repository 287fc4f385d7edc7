"""Lint: likely mistakes in a chart that is valid."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from arvo.statechart.compiled.behaviour import Edge
from arvo.statechart.compiled.chart import Chart
from arvo.statechart.compiled.completion import is_final
from arvo.statechart.compiled.entry import nodes_entered, transition_domain
from arvo.statechart.compiled.program import Program
from arvo.statechart.compiled.tree import Node, members
from arvo.statechart.definition.actions import Choose, CommandTemplate, NamedAction, Raise
from arvo.statechart.definition.commands import Schedule, Send
from arvo.statechart.definition.events import Event
from arvo.statechart.definition.problems import Problem
from arvo.statechart.views.always_loops import find_always_loops


def lint(chart: Chart[Any], events: Iterable[str] = ()) -> tuple[Problem, ...]:
    """Find likely mistakes in a valid chart.

    The kinds are ``unreachable`` (no transition enters a state), ``dead end`` (no transition
    leaves a state that is not final), ``always loop`` (``always`` transitions form an endless
    loop), ``shadowed`` (a transition comes after one that is always taken), ``unhandled`` (no
    state handles an event that is raised, sent or listed in *events*) and ``endless`` (``on_done``
    waits for a state that never finishes). The checks assume that every guard holds at some time.
    """
    program = chart.compiled
    reachable = reachable_states(program)
    checks: tuple[Callable[[], Iterator[Problem]], ...] = (
        lambda: _unreachable(program, reachable),
        lambda: _dead_ends(program, reachable),
        lambda: find_always_loops(program, reachable),
        lambda: _shadowed(program),
        lambda: _unhandled(program, events),
        lambda: _endless(program, reachable),
    )
    return tuple(problem for check in checks for problem in check())


def reachable_states(program: Program, without: str | None = None) -> int:
    """Return the node set that some sequence of transitions from the start enters.

    Histories add nothing to it: the states that they record have been entered before. *without*:
    the descriptor of transitions that are not taken.
    """
    reachable = 0
    pending = deque(members(program.start_plan().mask))
    while pending:
        index = pending.popleft()
        if reachable >> index & 1:
            continue
        reachable |= 1 << index
        for edge in _edges(program, index):
            if without is None or edge.event != without:
                pending.extend(members(nodes_entered(program, edge)))
    return reachable


def _unreachable(program: Program, reachable: int) -> Iterator[Problem]:
    for node in program.tree.nodes:
        if node.kind != "history" and not reachable & node.bit and reachable >> node.parent & 1:
            yield Problem(node.path, "a state that no transition enters", "unreachable")


def _dead_ends(program: Program, reachable: int) -> Iterator[Problem]:
    nodes = program.tree.nodes
    for index in members(reachable):
        node = nodes[index]
        if node.kind != "atomic" or not node.ancestors:
            continue
        own = (edge for n in (index, *node.ancestors) for edge in _edges(program, n))
        if not any(_leaves(program, edge, node) for edge in own) and not any(
            _restarts(program, edge, node) for edge in _sibling_edges(program, node, reachable)
        ):
            message = "a state that is not final and that no transition leaves"
            yield Problem(node.path, message, "dead end")


def _leaves(program: Program, edge: Edge, node: Node) -> bool:
    return bool(edge.targets) and bool(nodes_entered(program, edge) & ~node.bit)


def _sibling_edges(program: Program, node: Node, reachable: int) -> Iterator[Edge]:
    """Iterate over the transitions of parallel regions that may be active together with *node*."""
    tree = program.tree
    inside = node.bit
    for ancestor in (tree.nodes[index] for index in node.ancestors):
        if ancestor.kind == "parallel":
            for index in members(ancestor.descendants & reachable & ~inside):
                yield from _edges(program, index)
        inside = ancestor.descendants | ancestor.bit


def _restarts(program: Program, edge: Edge, node: Node) -> bool:
    """Return whether *edge*, a transition of another region, leaves *node* for another state."""
    return (
        bool(edge.targets)
        and program.tree.is_descendant(node.index, transition_domain(program, edge, {}))
        and not nodes_entered(program, edge) & node.bit
    )


def _shadowed(program: Program) -> Iterator[Problem]:
    for node, behaviour in zip(program.tree.nodes, program.behaviours, strict=True):
        for edges in (*behaviour.on.values(), behaviour.always):
            unguarded = next((n for n, edge in enumerate(edges) if edge.guard is None), len(edges))
            for edge in edges[unguarded + 1 :]:
                message = f"{edge.label} after a transition without a guard"
                yield Problem(node.path, message, "shadowed")


def _unhandled(program: Program, events: Iterable[str]) -> Iterator[Problem]:
    root = program.tree.nodes[0].path
    for event in events:
        if not program.descriptors.match(event):
            yield Problem(root, f"the event {event}, which no state handles", "unhandled")
    for node in program.tree.nodes:
        state = node.state
        transitions = (edge.definition for edge in _edges(program, node.index))
        actions = [
            *state.entry,
            *state.exit,
            *(action for transition in transitions for action in transition.actions),
        ]
        for event in dict.fromkeys(_raised_types(program, actions)):
            if not program.descriptors.match(event):
                message = f"the event {event}, which is raised here and which no state handles"
                yield Problem(node.path, message, "unhandled")


def _raised_types(program: Program, actions: Iterable[object]) -> Iterator[str]:
    for action in actions:
        match action:
            case Raise(event=event):
                yield from _event_type(program, event)
            case CommandTemplate(kind=kind, parts=parts) if kind in (Schedule, Send):
                yield from _event_type(program, parts[0])
            case NamedAction(action=inner):
                yield from _raised_types(program, [inner])
            case Choose(branches=branches):
                yield from (e for b in branches for e in _raised_types(program, b.actions))
            case _:
                pass


def _event_type(program: Program, event: object) -> Iterator[str]:
    if isinstance(event, str):
        yield event
    elif isinstance(event, Event) or not callable(event):
        yield program.type_of(event)


def _endless(program: Program, reachable: int) -> Iterator[Problem]:
    nodes = program.tree.nodes
    for index in members(reachable):
        node = nodes[index]
        if node.kind == "parallel":
            finite = [
                child for child in node.children if is_final(program.tree, nodes[child], reachable)
            ]
            # If no region can finish and there is no on_done, the regions are meant to go on.
            if not finite and not node.state.on_done:
                continue
            for child in node.children:
                if child not in finite:
                    message = "a region that never finishes, so its parallel state does not either"
                    yield Problem(nodes[child].path, message, "endless")
        elif node.state.on_done and not is_final(program.tree, node, reachable):
            message = "an on_done without a final child that some transition enters"
            yield Problem(node.path, message, "endless")


def _edges(program: Program, index: int) -> list[Edge]:
    behaviour = program.behaviours[index]
    return [*behaviour.always, *(edge for edges in behaviour.on.values() for edge in edges)]
