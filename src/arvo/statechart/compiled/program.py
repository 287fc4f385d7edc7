"""Program: a compiled chart, and its cache of configurations, selections and plans.

Everything here follows from the chart. The cache is private and bounded, and a chart that is
unpickled builds a new one: clearing it changes no result, only the time that a step takes.
"""

from collections.abc import Callable
from typing import Any

from attrs import frozen

from arvo.statechart.compiled.behaviour import Behaviour, Edge
from arvo.statechart.compiled.configuration import Configuration, is_legal
from arvo.statechart.compiled.descriptors import EventDescriptors, MatchedDescriptors
from arvo.statechart.compiled.entry import transition_domain
from arvo.statechart.compiled.ops import Code, Compiler
from arvo.statechart.compiled.plan import Plan, Planner, Records
from arvo.statechart.compiled.selection import Candidates, constant_selection, gather_candidates
from arvo.statechart.compiled.tree import NO_NODE, Tree, members
from arvo.statechart.definition.commands import Command
from arvo.statechart.definition.events import ACTOR_ERROR_PREFIX, AFTER_PREFIX


@frozen(eq=False)
class Selection:
    """The transitions that an event may take in one configuration."""

    candidates: Candidates
    constant: tuple[Edge, ...] | None


@frozen(eq=False)
class Shortcut:
    """The whole effect of an event that does not depend on context: no guard, assign or raise."""

    configuration: Configuration | None  # None if the configuration stays
    commands: tuple[Command, ...]


class Program:
    """A compiled chart."""

    def __init__(
        self,
        tree: Tree,
        behaviours: tuple[Behaviour, ...],
        compiler: Compiler,
        name: Callable[[object], str],
        *,
        memory: int,
        origin: tuple[Callable[..., Any], tuple[Any, ...]],
    ) -> None:
        self.tree = tree
        self.behaviours = behaviours
        self.compiler = compiler
        self.descriptors = EventDescriptors.of(
            event for behaviour in behaviours for event in behaviour.on
        )
        self._planner = Planner(tree, behaviours)
        self.structure: str | None = None  # the structural hash, once it is computed
        self.context: tuple[type[Any] | None] | None = None  # the context's class, likewise
        self._start: Plan | None = None
        self._name = name
        self._cache_size = memory
        self._origin = origin
        self._has_always = any(behaviour.always for behaviour in behaviours)
        self._histories = sum(node.bit for node in tree.nodes if node.kind == "history")
        self._histories_by_edge: dict[Edge, int] = {}
        self._configurations: dict[tuple[int, tuple[int, ...]], Configuration] = {}
        self._by_leaf_ids: dict[tuple[str, ...], Configuration] = {}
        self._with_entries: dict[int, Configuration] = {}
        self._cached = 0

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return self._origin

    def type_of(self, event: object) -> str:
        """Return the type of *event*: its own ``type``, or the name of its class."""
        kind = getattr(event, "type", None)
        return kind if isinstance(kind, str) else self._name(type(event))

    def start_plan(self) -> Plan:
        """Return the plan of the start."""
        if self._start is None:
            self._start = self._planner.plan_start()
        return self._start

    def configuration(self, mask: int, leaves: tuple[int, ...]) -> Configuration:
        """Return the one configuration with these active nodes, entered in this order."""
        # Only `always` depends on the order; without one, fewer configurations are distinct.
        key = mask, leaves if self._has_always else tuple(sorted(leaves))
        configuration = self._configurations.get(key)
        if configuration is None:
            configuration = Configuration(self, *key)
            if self._reserve_entry(configuration):
                self._configurations[key] = configuration
        return configuration

    def find_configuration(self, leaves: tuple[str, ...]) -> Configuration | None:
        """Return the configuration whose leaves have these ids in this order, or None."""
        configuration = self._by_leaf_ids.get(leaves)
        if configuration is None:
            indices = tuple(self.tree.ids.get(leaf, NO_NODE) for leaf in leaves)
            configuration = self._find_configuration(indices)
            if configuration is not None and self._reserve_entry(configuration):
                self._by_leaf_ids[leaves] = configuration
        return configuration

    def _find_configuration(self, leaves: tuple[int, ...]) -> Configuration | None:
        nodes = self.tree.nodes
        if NO_NODE in leaves or len(set(leaves)) < len(leaves):
            return None
        mask = self.tree.with_ancestors(sum(1 << leaf for leaf in leaves))
        if not all(nodes[leaf].is_leaf for leaf in leaves) or not is_legal(self.tree, mask):
            return None
        return self.configuration(mask, leaves)

    def adopt(self, configuration: Configuration) -> Configuration:
        """Return this program's object for a configuration of another copy of the chart.

        Raises ``ValueError`` if the configuration is of a different chart.
        """
        if configuration.program.tree.ids != self.tree.ids:
            raise ValueError(
                f"the snapshot {configuration!r} belongs to another chart: "
                "dump it with that chart and load it into this one"
            )
        return self.configuration(configuration.mask, configuration.leaves)

    def selection(self, configuration: Configuration, event_type: str) -> Selection:
        """Return the transitions that an event may take in *configuration*."""
        event: MatchedDescriptors = self.descriptors.match(event_type)
        selection: Selection | None = configuration.selections.get(event)
        if selection is None:
            candidates = gather_candidates(self.tree, self.behaviours, configuration.mask, event)
            selection = Selection(candidates, constant_selection(candidates))
            if self._reserve_entry(configuration):
                configuration.selections[event] = selection
        return selection

    def plan(self, configuration: Configuration, edges: tuple[Edge, ...], records: Records) -> Plan:
        """Return the microstep that takes *edges*, cached by everything that it depends on."""
        read = self._read_histories(edges) if self._histories else 0
        key = (edges, tuple((h, records.get(h)) for h in members(read))) if read else edges
        plan: Plan | None = configuration.plans.get(key)
        if plan is None:
            plan = self._planner.plan(configuration.mask, configuration.leaves, edges, records)
            if self._reserve_entry(configuration):
                configuration.plans[key] = plan
        return plan

    def shortcut(self, configuration: Configuration, event_type: str) -> Shortcut | None:
        """Return the shortcut of an event, or None if the step has to run."""
        shortcut = self._shortcut(configuration, event_type)
        # Only types that the chart names are cached, or unknown types would fill the cache.
        if event_type in self.descriptors.exact and self._reserve_entry(configuration):
            configuration.shortcuts[event_type] = shortcut
        return shortcut

    def _shortcut(self, configuration: Configuration, event_type: str) -> Shortcut | None:
        if configuration.always or event_type.startswith((AFTER_PREFIX, ACTOR_ERROR_PREFIX)):
            return None
        edges = self.selection(configuration, event_type).constant
        if edges is None or (self._histories and self._read_histories(edges)):
            return None
        plan = self.plan(configuration, edges, {})
        constant = all(op.code is Code.COMMANDS for op in plan.ops)
        if plan.changes_timers or plan.records or not constant:
            return None
        commands = plan.ops[0].value if plan.ops else ()
        if not plan.moved:
            return Shortcut(None, commands)
        after = self.configuration(plan.mask, plan.leaves)
        return None if after.always else Shortcut(after, commands)

    def _read_histories(self, edges: tuple[Edge, ...]) -> int:
        """Return the histories whose records can change a microstep of *edges*."""
        histories = 0
        for edge in edges:
            read = self._histories_by_edge.get(edge)
            if read is None:
                read = self._histories_by_edge[edge] = self._edge_histories(edge)
            histories |= read
        return histories

    def _edge_histories(self, edge: Edge) -> int:
        if not edge.targets:
            return 0
        if any(self._histories >> target & 1 for target in edge.targets):
            return self._histories
        return self._histories & self.tree.descendants(transition_domain(self, edge, {}))

    @property
    def cached_entries(self) -> int:
        """The number of results in the cache."""
        return self._cached

    def _reserve_entry(self, configuration: Configuration) -> bool:
        """Count one more entry and return True, or return False if the cache is off.

        A full cache is cleared first.
        """
        if self._cache_size <= 0:
            return False
        if self._cached >= self._cache_size:
            # Not only the tables: a caller's snapshot would keep alive all that its configuration
            # has cached.
            for cached in self._with_entries.values():
                cached.clear_cache()
            self._with_entries.clear()
            self._configurations.clear()
            self._by_leaf_ids.clear()
            self._cached = 0
        self._with_entries[id(configuration)] = configuration
        self._cached += 1
        return True
