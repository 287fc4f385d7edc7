"""Action sites: the places of a chart that have actions, and the commands known in advance."""

from collections.abc import Iterator
from typing import Any

from attrs import astuple, frozen

from arvo.statechart.compiled.chart import Chart
from arvo.statechart.compiled.ops import Code, Op
from arvo.statechart.compiled.tree import Node
from arvo.statechart.definition.actions import CommandTemplate


@frozen
class ActionSite:
    """Actions of a state that run one after another.

    *kind* is "entry", "exit" or "initial" for a state's own actions, and "always" or
    "on <event type>" for those of a transition from it.
    """

    node: Node
    kind: str
    ops: tuple[Op, ...]

    def __str__(self) -> str:
        return f"{self.node.path} {self.kind}"


@frozen
class PlannedCommand:
    """A command that an action makes: its class and its parts, some of which may be functions."""

    kind: type[Any]
    parts: tuple[Any, ...]


def action_sites(chart: Chart[Any]) -> Iterator[ActionSite]:
    """Iterate over all places of a chart that have actions."""
    program = chart.compiled
    for node, behaviour in zip(program.tree.nodes, program.behaviours, strict=True):
        for kind, ops in (
            ("entry", behaviour.entry),
            ("exit", behaviour.exit),
            ("initial", behaviour.initial_actions),
        ):
            if ops:
                yield ActionSite(node, kind, ops)
        for edges in (*behaviour.on.values(), behaviour.always):
            for edge in edges:
                if edge.ops:
                    kind = "always" if edge.event is None else f"on {edge.event}"
                    yield ActionSite(node, kind, edge.ops)


def planned_commands(ops: tuple[Op, ...]) -> Iterator[PlannedCommand]:
    """Iterate over the commands of *ops* that are known without running them."""
    for op in ops:
        match op.code, op.value:
            case Code.COMMANDS, commands:
                for command in commands:
                    yield PlannedCommand(type(command), astuple(command, recurse=False))
            case Code.TEMPLATE, CommandTemplate(kind=kind, parts=parts):
                yield PlannedCommand(kind, parts)
            case Code.CHOOSE, branches:
                for _, inner in branches:
                    yield from planned_commands(inner)
            case _:
                pass


def flatten_ops(ops: tuple[Op, ...]) -> Iterator[Op]:
    """Iterate over *ops* and the ops of their branches."""
    for op in ops:
        yield op
        if op.code is Code.CHOOSE:
            for _, inner in op.value:
                yield from flatten_ops(inner)
