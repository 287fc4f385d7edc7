"""Snapshot: where a chart is, and what it remembers."""

from collections.abc import Mapping
from typing import Any, Generic, Literal, TypeAlias, TypeVar

from attrs import field, frozen

from arvo.statechart.compiled.configuration import Configuration
from arvo.statechart.compiled.tree import members
from arvo.statechart.definition.commands import Schedule
from arvo.statechart.definition.faults import Fault
from arvo.statechart.definition.guards import StateValue, matches

C = TypeVar("C")
Status: TypeAlias = Literal["active", "done", "error"]


@frozen
class Past:
    """What outlives the states that left it: history records, and timers not yet due."""

    records: Mapping[int, int]
    timers: tuple[Schedule, ...] = ()


NO_PAST = Past({})


@frozen
class Ended:
    """The end: with an output, or with what went wrong."""

    output: object = None
    fault: Fault | None = None


@frozen(repr=False)
class Snapshot(Generic[C]):
    """One moment of a chart: a value, so a step makes a new one and leaves this as it is.

    *context* is the chart's own; in a fault it is the one before the event that failed.
    """

    # Four fields and no more: a frozen class pays for each, at every event.
    configuration: Configuration = field(repr=False)
    context: C
    past: Past = NO_PAST
    end: Ended | None = None

    @property
    def value(self) -> StateValue:
        """The state value in XState's shape: ``"paying"`` or ``{"paying": {"card": "idle"}}``."""
        return _copied(self.configuration.value)

    @property
    def status(self) -> Status:
        """``active``, ``done`` at the top-level final state, or ``error`` after a fault."""
        if self.end is None:
            return "active"
        return "done" if self.end.fault is None else "error"

    @property
    def output(self) -> Any:
        """What the chart came to, once it is done."""
        return None if self.end is None else self.end.output

    @property
    def error(self) -> Fault | None:
        """What went wrong, if something did."""
        return None if self.end is None else self.end.fault

    @property
    def tags(self) -> frozenset[str]:
        """The tags of all active states."""
        return self.configuration.tags

    @property
    def meta(self) -> dict[str, object]:
        """The meta of the active states that have one, by id."""
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
        nodes = self.configuration.program.tree.nodes
        return tuple(nodes[index].id for index in self.configuration.leaves)

    @property
    def history(self) -> dict[str, tuple[str, ...]]:
        """What each history state remembers: ids by id."""
        nodes = self.configuration.program.tree.nodes
        return {
            nodes[index].id: tuple(nodes[child].id for child in members(kept))
            for index, kept in self.past.records.items()
        }

    @property
    def timers(self) -> tuple[Schedule, ...]:
        """The timers that were started and neither stopped nor handed back."""
        return self.past.timers

    def matches(self, state: StateValue) -> bool:
        """Say whether *state* is active: ``"paying.card"`` or ``{"paying": "card"}``."""
        return matches(self.configuration.value, state)

    def has_tag(self, tag: str) -> bool:
        """Say whether an active state has *tag*."""
        return tag in self.configuration.tags

    def __repr__(self) -> str:
        extra = "" if self.end is None else f", {self.status}: {self.error or self.output!r}"
        return f"<Snapshot {self.configuration.value!r}, {self.context!r}{extra}>"


def _copied(value: StateValue) -> StateValue:
    # The configuration's own value is shared by all snapshots of it.
    return value if isinstance(value, str) else {key: _copied(part) for key, part in value.items()}
