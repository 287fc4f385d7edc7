"""Behaviour: the actions and transitions of each node, with its targets resolved."""

from collections.abc import Mapping
from typing import Protocol

from attrs import frozen

from arvo.statechart.compiled.compiled_guards import CompiledGuard
from arvo.statechart.compiled.ops import Op
from arvo.statechart.compiled.tree import Tree
from arvo.statechart.definition.state import Transition


@frozen(eq=False)
class Edge:
    """One transition with its nodes resolved. Two are equal only if they are the same object."""

    source: int
    targets: tuple[int, ...] | None
    reenter: bool
    guard: CompiledGuard | None
    ops: tuple[Op, ...]
    event: str | None  # the descriptor; None for an eventless transition
    label: str
    definition: Transition


@frozen(eq=False)
class Behaviour:
    """The entry and exit actions of one node, and its transitions."""

    entry: tuple[Op, ...]
    exit: tuple[Op, ...]
    initial_actions: tuple[Op, ...]  # those of the initial transition
    initial: int  # the child entered by default; NO_NODE if there is none
    history_default: tuple[int, ...]  # the nodes that a history without a record enters
    on: Mapping[str, tuple[Edge, ...]]
    always: tuple[Edge, ...]


class ChartStructure(Protocol):
    """The fixed part of a compiled chart: its nodes and their behaviours."""

    @property
    def tree(self) -> Tree:
        """The nodes."""

    @property
    def behaviours(self) -> tuple[Behaviour, ...]:
        """The behaviour of each node, in the order of the nodes."""
