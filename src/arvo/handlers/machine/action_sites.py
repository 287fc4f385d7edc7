"""Places: where the actions of a chart stand, and what they surely want."""

from collections.abc import Iterator
from typing import Any

from attrs import astuple, frozen

from arvo.statechart.compiled.chart import Chart
from arvo.statechart.compiled.ops import Code, Op
from arvo.statechart.compiled.tree import Node
from arvo.statechart.definition.actions import Make


@frozen
class Place:
    """Actions that run one after another: on the way into a state or out of it (*kind* is "entry",
    "exit" or "initial"), or on a transition from it ("on ...").
    """

    node: Node
    kind: str
    ops: tuple[Op, ...]

    def __str__(self) -> str:
        return f"{self.node.path} {self.kind}"


@frozen
class Want:
    """A command that is wanted there: its parts, as far as they are not functions still."""

    kind: type[Any]
    parts: tuple[Any, ...]


def places(chart: Chart[Any]) -> Iterator[Place]:
    """Walk all places of a chart that hold actions."""
    program = chart.compiled
    for node, behaviour in zip(program.tree.nodes, program.behaviours, strict=True):
        for kind, ops in (
            ("entry", behaviour.entry),
            ("exit", behaviour.exit),
            ("initial", behaviour.start),
        ):
            if ops:
                yield Place(node, kind, ops)
        for edges in (*behaviour.on.values(), behaviour.always):
            for edge in edges:
                if edge.ops:
                    kind = "always" if edge.event is None else f"on {edge.event}"
                    yield Place(node, kind, edge.ops)


def wants(ops: tuple[Op, ...]) -> Iterator[Want]:
    """Walk the commands that *ops* say without being run."""
    for op in ops:
        match op.code, op.value:
            case Code.COMMANDS, commands:
                for command in commands:
                    yield Want(type(command), astuple(command, recurse=False))
            case Code.MAKE, Make(kind=kind, parts=parts):
                yield Want(kind, parts)
            case Code.CHOOSE, branches:
                for _, inner in branches:
                    yield from wants(inner)
            case _:
                pass


def steps(ops: tuple[Op, ...]) -> Iterator[Op]:
    """Walk *ops*, those of branches too."""
    for op in ops:
        yield op
        if op.code is Code.CHOOSE:
            for _, inner in op.value:
                yield from steps(inner)
