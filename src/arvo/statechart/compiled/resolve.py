"""Resolve: turn the definitions of all nodes into behaviours, and collect broken references."""

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import is_dataclass
from itertools import combinations

from attrs import fields, frozen, has

from arvo.statechart.compiled.behaviour import Behaviour, Edge
from arvo.statechart.compiled.compiled_guards import compile_guard, display_name
from arvo.statechart.compiled.history import find_circular_histories, infer_history_defaults
from arvo.statechart.compiled.ops import Compiler, parse_delay
from arvo.statechart.compiled.tree import NO_NODE, Node, Tree
from arvo.statechart.definition.actions import Delay, raise_
from arvo.statechart.definition.commands import Cancel
from arvo.statechart.definition.events import after_type, done_type
from arvo.statechart.definition.problems import Problem
from arvo.statechart.definition.state import Transition

_CONFLICT_REASONS = {
    True: "the outer one enters its own initial state",
    False: "only one child of a compound state can be active",
}

# Turns a key of `on`, or the class of an event, into an event type.
EventName = Callable[[object], str]
Timers = tuple[tuple[str, Delay, tuple[Transition, ...]], ...]


def resolve_behaviours(
    tree: Tree, delays: Mapping[str, object], name: EventName
) -> tuple[tuple[Behaviour, ...], Compiler, tuple[Problem, ...]]:
    """Resolve every node of *tree*, and collect every reference that leads nowhere.

    The compiler that is returned compiles the actions that functions make at run time. It raises
    an exception for a problem.
    """
    problems: list[Problem] = []
    behaviours = tuple(
        _Resolver(tree, delays, name, node, problems).behaviour() for node in tree.nodes
    )
    if not problems:
        behaviours = infer_history_defaults(tree, behaviours)
        problems.extend(find_circular_histories(tree, behaviours))
    return behaviours, Compiler(tree, delays, _raise), tuple(problems)


def _raise(message: str) -> None:
    raise ValueError(message)


@frozen(eq=False)
class _Resolver:
    tree: Tree
    delays: Mapping[str, object]
    name: EventName
    node: Node
    problems: list[Problem]

    def problem(self, message: str) -> None:
        self.problems.append(Problem(self.node.path, message))

    @property
    def compiler(self) -> Compiler:
        return Compiler(self.tree, self.delays, self.problem)

    def behaviour(self) -> Behaviour:
        node, state, compile_ = self.node, self.node.state, self.compiler.compile
        timers = tuple(self._timers())
        initial_actions = () if state.initial is None else state.initial.actions
        start_timers = (raise_(event, delay=delay, id=event) for event, delay, _ in timers)
        stop_timers = (Cancel(event) for event, _, _ in timers)
        return Behaviour(
            entry=compile_((*state.entry, *start_timers), f"{node.path} entry"),
            exit=compile_((*state.exit, *stop_timers), f"{node.path} exit"),
            initial_actions=compile_(initial_actions, f"{node.path} initial"),
            initial=self._initial(),
            history_default=self._history_default() if node.kind == "history" else (),
            on=self._on(timers),
            always=self._edges(None, state.always),
        )

    def _timers(self) -> Iterator[tuple[str, Delay, tuple[Transition, ...]]]:
        for key, transitions in self.node.state.after.items():
            text, delay = parse_delay(key)
            yield after_type(text, self.node.id), delay, transitions

    def _on(self, timers: Timers) -> Mapping[str, tuple[Edge, ...]]:
        on: dict[str, tuple[Edge, ...]] = {}
        for key, transitions in self.node.state.on.items():
            event = self._descriptor(key)
            if event in on:
                self.problem(f"the event {event!r} has two keys in on: merge their transitions")
            on[event] = self._edges(event, transitions)
        if self.node.state.on_done is not None:
            event = done_type(self.node.id)
            on[event] = self._edges(event, self.node.state.on_done)
        for event, _, transitions in timers:
            on[event] = self._edges(event, transitions)
        return on

    def _descriptor(self, key: Hashable) -> str:
        try:
            event = self.name(key)
        except TypeError as error:
            self.problem(str(error))
            return repr(key)
        if isinstance(key, type) and not _has_event_type(key, event):
            self.problem(
                f"the class {key.__name__} cannot be a key of on: "
                "its events carry a type of their own, use that type as the key"
            )
        if not event:
            self.problem("the empty event type '' matches no event: remove the key")
        elif "*" in event and event != "*" and "*" in event.removesuffix(".*"):
            self.problem(f"{event!r} matches no event: use '*' alone or as the last token")
        return event

    def _edges(self, event: str | None, transitions: Iterable[Transition]) -> tuple[Edge, ...]:
        return tuple(self._edge(event, transition) for transition in transitions)

    def _edge(self, event: str | None, transition: Transition) -> Edge:
        label = f"{self.node.path} {'always' if event is None else f'on {event}'}"
        target, guard = transition.target, transition.guard
        return Edge(
            source=self.node.index,
            targets=None if target is None else self._find(self.node, target),
            reenter=transition.reenter,
            guard=None if guard is None else compile_guard(guard, self.tree, self.problem),
            ops=self.compiler.compile(transition.actions, label),
            event=event,
            label=label if guard is None else f"{label} [{display_name(guard)}]",
            definition=transition,
        )

    def _find(self, start: Node, targets: Iterable[str]) -> tuple[int, ...]:
        resolved = []
        for target in targets:
            index = self.tree.find(start.index, target)
            if index is None:
                self.problem(
                    f"the target {target!r} names no state: "
                    "use the key of a sibling, '.key' of a child, or '#id'"
                )
            else:
                resolved.append(index)
        self._check_combination(resolved)
        return tuple(resolved)

    def _check_combination(self, targets: list[int]) -> None:
        """Report targets that one transition cannot enter together."""
        tree, nodes = self.tree, self.tree.nodes
        for one, other in combinations(dict.fromkeys(targets), 2):
            # A history may enter any descendant of its parent.
            a, b = (nodes[n].parent if nodes[n].kind == "history" else n for n in (one, other))
            nested = a == b or tree.is_descendant(a, b) or tree.is_descendant(b, a)
            shared = (above for above in nodes[a].ancestors if tree.is_descendant(b, above))
            if nested or nodes[next(shared, NO_NODE)].kind == "compound":
                paths = f"{nodes[one].path} and {nodes[other].path}"
                self.problem(
                    f"{paths} cannot be targets of one transition: {_CONFLICT_REASONS[nested]}"
                )

    def _initial(self) -> int:
        node, initial = self.node, self.node.state.initial
        if node.kind != "compound":
            if initial is not None and node.kind != "parallel":
                self.problem("initial is set on a state without child states: remove it")
            return NO_NODE
        keys = ", ".join(node.keys)
        if initial is None or initial.target is None or len(initial.target) != 1:
            self.problem(f"a compound state needs an initial child: set initial to one of {keys}")
            return NO_NODE
        # XState writes the child's bare key; its own exports write "#id".
        target = initial.target[0]
        child = self.tree.find(node.index, target) if target[:1] in "#." else node.keys.get(target)
        if child is None or self.tree.nodes[child].parent != node.index:
            self.problem(f"initial {target!r} is not a child of this state: use one of {keys}")
            return NO_NODE
        return child

    def _history_default(self) -> tuple[int, ...]:
        if self.node.state.target is None:
            return ()
        # Resolved as a target of a sibling is, relative and dotted targets included.
        return self._find(self.node, self.node.state.target)


def _has_event_type(key: type[object], event: str) -> bool:
    """Return False if events of class *key* have a ``type`` of their own other than *event*."""
    own_type = getattr(key, "type", None)
    if has(key) and (field := getattr(fields(key), "type", None)) is not None:
        own_type = field.default
    elif is_dataclass(key) and (plain := key.__dataclass_fields__.get("type")) is not None:
        own_type = plain.default
    return own_type is None or own_type == event
