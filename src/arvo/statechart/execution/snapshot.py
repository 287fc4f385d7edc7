"""Snapshot: the state of a running chart at one moment."""

from collections.abc import Mapping
from typing import Any, Generic, Literal, TypeAlias, TypeVar

from attrs import field, frozen

from arvo.construct import quick_init
from arvo.statechart.compiled.configuration import Configuration
from arvo.statechart.compiled.tree import members
from arvo.statechart.definition.commands import Schedule
from arvo.statechart.definition.faults import Fault
from arvo.statechart.definition.guards import StateValue, matches

C = TypeVar("C")
Status: TypeAlias = Literal["active", "done", "error"]


@quick_init
@frozen(weakref_slot=False)
class Memory:
    """The data that outlives the states: history records, and the timers that are pending."""

    records: Mapping[int, int]
    timers: tuple[Schedule, ...] = ()


EMPTY_MEMORY = Memory({})


@frozen
class End:
    """The end of a chart: its output, or the fault that stopped it."""

    output: object = None
    fault: Fault | None = None


@quick_init
@frozen(repr=False, weakref_slot=False)
class Snapshot(Generic[C]):
    """The state of a chart at one moment. It is a value: a step returns a new one.

    *context* is the chart's own data. In a snapshot with a fault it is the context before the
    event that failed.
    """

    configuration: Configuration = field(repr=False)
    context: C
    memory: Memory = EMPTY_MEMORY
    end: End | None = None

    @property
    def value(self) -> StateValue:
        """The state value in XState's shape: ``"paying"`` or ``{"paying": {"card": "idle"}}``."""
        return _copy(self.configuration.value)

    @property
    def status(self) -> Status:
        """``active``, ``done`` in a top-level final state, or ``error`` after a fault."""
        if self.end is None:
            return "active"
        return "done" if self.end.fault is None else "error"

    @property
    def output(self) -> Any:
        """The output of the chart, once it is done."""
        return None if self.end is None else self.end.output

    @property
    def error(self) -> Fault | None:
        """The fault that stopped the chart, if there is one."""
        return None if self.end is None else self.end.fault

    @property
    def tags(self) -> frozenset[str]:
        """The tags of all active states."""
        return self.configuration.tags

    @property
    def meta(self) -> dict[str, object]:
        """The meta of the active states that have one, by state id."""
        nodes = self.configuration.program.tree.nodes
        active = (nodes[index] for index in members(self.configuration.mask))
        return {node.id: node.state.meta for node in active if node.state.meta is not None}

    @property
    def states(self) -> frozenset[str]:
        """The ids of all active states."""
        nodes = self.configuration.program.tree.nodes
        return frozenset(nodes[index].id for index in members(self.configuration.mask))

    @property
    def leaves(self) -> tuple[str, ...]:
        """The ids of the innermost active states, in the order in which they were entered."""
        return self.configuration.leaf_ids

    @property
    def history(self) -> dict[str, tuple[str, ...]]:
        """The ids of the states that each history state recorded, by its id."""
        if not self.memory.records:
            return {}
        nodes = self.configuration.program.tree.nodes
        return {
            nodes[index].id: tuple(nodes[child].id for child in members(recorded))
            for index, recorded in self.memory.records.items()
        }

    @property
    def timers(self) -> tuple[Schedule, ...]:
        """The pending timers: those that were started, are not cancelled and have not fired."""
        return self.memory.timers

    def matches(self, state: StateValue) -> bool:
        """Return whether *state* is active: ``"paying.card"`` or ``{"paying": "card"}``."""
        return matches(self.configuration.value, state)

    def has_tag(self, tag: str) -> bool:
        """Return whether an active state has *tag*."""
        return tag in self.configuration.tags

    def __repr__(self) -> str:
        extra = "" if self.end is None else f", {self.status}: {self.error or self.output!r}"
        return f"<Snapshot {self.configuration.value!r}, {self.context!r}{extra}>"


def _copy(value: StateValue) -> StateValue:
    # All snapshots of one configuration share its value.
    return value if isinstance(value, str) else {key: _copy(part) for key, part in value.items()}
