"""Program: a chart compiled, and what it remembers of configurations it has been in.

Everything here follows from the chart, so it is private, bounded, and made anew where a chart is
unpickled: forgetting it changes no result, only the time it takes.
"""

from collections.abc import Callable
from typing import Any

from attrs import frozen

from arvo.statechart.compiled.behaviour import Behaviour, Edge
from arvo.statechart.compiled.configuration import Configuration
from arvo.statechart.compiled.descriptors import EventClass, Vocabulary
from arvo.statechart.compiled.entry import domain
from arvo.statechart.compiled.legal import legal
from arvo.statechart.compiled.ops import Code, Compiler
from arvo.statechart.compiled.plan import Plan, Planner, Records
from arvo.statechart.compiled.selection import Steps, constant, steps
from arvo.statechart.compiled.tree import NOWHERE, Tree, members
from arvo.statechart.definition.commands import Command
from arvo.statechart.definition.events import ACTOR_ERROR_PREFIX, AFTER_PREFIX


@frozen(eq=False)
class Selection:
    """What an event may take in one configuration."""

    steps: Steps
    constant: tuple[Edge, ...] | None


@frozen(eq=False)
class Shortcut:
    """An event's whole effect where nothing depends on context: no guard, no assign, no raise."""

    configuration: Configuration | None  # None: stay
    commands: tuple[Command, ...]


class Program:
    """A chart, compiled."""

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
        self.vocabulary = Vocabulary.of(event for each in behaviours for event in each.on)
        self._planner = Planner(tree, behaviours)
        self.structure: str | None = None  # the hash of its definition, once asked for
        self.context: tuple[type[Any] | None] | None = None  # its context's class, likewise
        self._start: Plan | None = None
        self._name = name
        self._memory = memory
        self._origin = origin
        self._has_always = any(behaviour.always for behaviour in behaviours)
        self._histories = sum(node.bit for node in tree.nodes if node.kind == "history")
        self._reaches: dict[Edge, int] = {}
        self._configurations: dict[tuple[int, tuple[int, ...]], Configuration] = {}
        self._placed: dict[tuple[str, ...], Configuration] = {}
        self._warm: dict[int, Configuration] = {}
        self._used = 0

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return self._origin

    def type_of(self, event: object) -> str:
        """Tell the type of *event*: its own, or the name of its class."""
        kind = getattr(event, "type", None)
        return kind if isinstance(kind, str) else self._name(type(event))

    def begin(self) -> Plan:
        """Plan the start."""
        if self._start is None:
            self._start = self._planner.begin()
        return self._start

    def configuration(self, mask: int, leaves: tuple[int, ...]) -> Configuration:
        """Return the one configuration with these nodes, entered in this order."""
        # Only always looks at the order; without one, fewer configurations are distinct.
        key = mask, leaves if self._has_always else tuple(sorted(leaves))
        found = self._configurations.get(key)
        if found is None:
            found = Configuration(self, *key)
            if self._keep(found):
                self._configurations[key] = found
        return found

    def placed(self, leaves: tuple[str, ...]) -> Configuration | None:
        """Find the configuration whose leaves have these ids, in this order, if there is one."""
        found = self._placed.get(leaves)
        if found is None:
            found = self._place(tuple(self.tree.ids.get(leaf, NOWHERE) for leaf in leaves))
            if found is not None and self._keep(found):
                self._placed[leaves] = found
        return found

    def _place(self, leaves: tuple[int, ...]) -> Configuration | None:
        nodes = self.tree.nodes
        if NOWHERE in leaves or len(set(leaves)) < len(leaves):
            return None
        mask = self.tree.around(sum(1 << leaf for leaf in leaves))
        if not all(nodes[leaf].is_leaf for leaf in leaves) or not legal(self.tree, mask):
            return None
        return self.configuration(mask, leaves)

    def adopt(self, configuration: Configuration) -> Configuration:
        """Take a configuration of another copy of this chart for our own."""
        if configuration.program.tree.ids != self.tree.ids:
            raise ValueError("the snapshot belongs to another chart: dump it and load it into this")
        return self.configuration(configuration.mask, configuration.leaves)

    def selection(self, configuration: Configuration, event_type: str) -> Selection:
        """Return what an event may take in *configuration*."""
        event: EventClass = self.vocabulary.classify(event_type)
        found: Selection | None = configuration.selections.get(event)
        if found is None:
            candidates = steps(self.tree, self.behaviours, configuration.mask, event)
            found = Selection(candidates, constant(candidates))
            if self._keep(configuration):
                configuration.selections[event] = found
        return found

    def plan(self, configuration: Configuration, edges: tuple[Edge, ...], records: Records) -> Plan:
        """Return the microstep that takes *edges*, remembered by all that it depends on."""
        reached = self._reach(edges) if self._histories else 0
        key = (edges, tuple((h, records.get(h)) for h in members(reached))) if reached else edges
        found: Plan | None = configuration.plans.get(key)
        if found is None:
            found = self._planner.plan(configuration.mask, configuration.leaves, edges, records)
            if self._keep(configuration):
                configuration.plans[key] = found
        return found

    def shortcut(self, configuration: Configuration, event_type: str) -> Shortcut | None:
        """Find the shortcut of an event; None says that the step has to be walked."""
        found = self._shortcut(configuration, event_type)
        # Only what the chart names is remembered, or unknown names would fill the memory.
        if event_type in self.vocabulary.exact and self._keep(configuration):
            configuration.shortcuts[event_type] = found
        return found

    def _shortcut(self, configuration: Configuration, event_type: str) -> Shortcut | None:
        if configuration.always or event_type.startswith((AFTER_PREFIX, ACTOR_ERROR_PREFIX)):
            return None
        edges = self.selection(configuration, event_type).constant
        if edges is None or (self._histories and self._reach(edges)):
            return None
        plan = self.plan(configuration, edges, {})
        if plan.timed or plan.records or any(op.code is not Code.COMMANDS for op in plan.ops):
            return None
        commands = plan.ops[0].value if plan.ops else ()
        if not plan.moved:
            return Shortcut(None, commands)
        after = self.configuration(plan.mask, plan.leaves)
        return None if after.always else Shortcut(after, commands)

    def _reach(self, edges: tuple[Edge, ...]) -> int:
        """Find the histories whose records could matter to a microstep of *edges*."""
        reached = 0
        for edge in edges:
            found = self._reaches.get(edge)
            if found is None:
                found = self._reaches[edge] = self._edge_reach(edge)
            reached |= found
        return reached

    def _edge_reach(self, edge: Edge) -> int:
        if not edge.targets:
            return 0
        if any(self._histories >> target & 1 for target in edge.targets):
            return self._histories
        return self._histories & self.tree.below(domain(self, edge, {}))

    @property
    def remembered(self) -> int:
        """How many things are remembered now."""
        return self._used

    def _keep(self, configuration: Configuration) -> bool:
        """Say whether one more thing may be remembered; when memory is full, forget it all."""
        if self._memory <= 0:
            return False
        if self._used >= self._memory:
            # Not only the table: a snapshot somebody holds would keep what it led to alive.
            for warm in self._warm.values():
                warm.forget()
            self._warm.clear()
            self._configurations.clear()
            self._placed.clear()
            self._used = 0
        self._warm[id(configuration)] = configuration
        self._used += 1
        return True
