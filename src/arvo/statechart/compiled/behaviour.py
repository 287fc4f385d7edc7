"""Behaviour: what each node does and hears, resolved against the tree."""

import re
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import is_dataclass
from datetime import timedelta
from itertools import combinations

from attrs import evolve, fields, frozen, has

from arvo.statechart.compiled.compiled_guards import Test, question, spoken
from arvo.statechart.compiled.ops import Compiler, Op, milliseconds
from arvo.statechart.compiled.tree import NOWHERE, Node, Tree
from arvo.statechart.definition.actions import Delay, raise_
from arvo.statechart.definition.commands import Cancel
from arvo.statechart.definition.events import after_type, done_type
from arvo.statechart.definition.problems import Problem
from arvo.statechart.definition.state import DelayKey, Transition

# What JavaScript reads as a number; Python's float would also take "1_000", "inf" and spaces.
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")

_CLASH = {
    True: "the outer one brings its own initial state",
    False: "only one child of a compound state is active",
}


@frozen(eq=False)
class Edge:
    """One transition with its nodes found; two are the same only if they are the same object."""

    source: int
    targets: tuple[int, ...] | None
    reenter: bool
    test: Test | None
    ops: tuple[Op, ...]
    event: str | None  # the descriptor; None for an eventless one
    label: str
    definition: Transition


@frozen(eq=False)
class Behaviour:
    """What one node does on the way in and out, and what it hears."""

    entry: tuple[Op, ...]
    exit: tuple[Op, ...]
    start: tuple[Op, ...]  # the actions of the initial transition
    initial: int  # the child entered by default; NOWHERE where there is none
    default: tuple[int, ...]  # of a history without a record
    on: Mapping[str, tuple[Edge, ...]]
    always: tuple[Edge, ...]


Name = Callable[[object], str]


def behave(
    tree: Tree, delays: Mapping[str, object], name: Name
) -> tuple[tuple[Behaviour, ...], Compiler, tuple[Problem, ...]]:
    """Resolve every node of *tree*, and note every reference that leads nowhere.

    The compiler that comes back is for actions that functions make at run time; there, what is
    wrong raises.
    """
    problems: list[Problem] = []
    behaviours = tuple(
        _Resolver(tree, delays, name, node, problems).behaviour() for node in tree.nodes
    )
    if not problems:
        behaviours = _filled(tree, behaviours)
        problems.extend(_endless(tree, behaviours))
    return behaviours, Compiler(tree, delays, _raise), tuple(problems)


def _raise(message: str) -> None:
    raise ValueError(message)


@frozen(eq=False)
class _Resolver:
    tree: Tree
    delays: Mapping[str, object]
    name: Name
    node: Node
    problems: list[Problem]

    def problem(self, message: str) -> None:
        self.problems.append(Problem(self.node.path, message))

    @property
    def compiler(self) -> Compiler:
        return Compiler(self.tree, self.delays, self.problem)

    def behaviour(self) -> Behaviour:
        node, state, compile_ = self.node, self.node.state, self.compiler.compile
        timers = list(self._timers())
        start = () if state.initial is None else state.initial.actions
        entry = (*state.entry, *(raise_(event, delay=wait, id=event) for event, wait, _ in timers))
        leave = (*state.exit, *(Cancel(event) for event, _, _ in timers))
        return Behaviour(
            entry=compile_(entry, f"{node.path} entry"),
            exit=compile_(leave, f"{node.path} exit"),
            start=compile_(start, f"{node.path} initial"),
            initial=self._initial(),
            default=self._default() if node.kind == "history" else (),
            on=self._on(timers),
            always=self._edges(None, state.always),
        )

    def _on(
        self, timers: list[tuple[str, Delay, tuple[Transition, ...]]]
    ) -> Mapping[str, tuple[Edge, ...]]:
        on: dict[str, tuple[Edge, ...]] = {}
        for key, moves in self.node.state.on.items():
            event = self._descriptor(key)
            if event in on:
                self.problem(f"the event {event!r} has two keys")
            on[event] = self._edges(event, moves)
        if self.node.state.on_done is not None:
            event = done_type(self.node.id)
            on[event] = self._edges(event, self.node.state.on_done)
        for event, _, moves in timers:
            on[event] = self._edges(event, moves)
        return on

    def _descriptor(self, key: Hashable) -> str:
        try:
            event = self.name(key)
        except TypeError as error:
            self.problem(str(error))
            return repr(key)
        if isinstance(key, type) and not _says(key, event):
            self.problem(f"unreachable key form: events of class {key.__name__} say their own type")
        if not event:
            self.problem("an empty event type matches nothing")
        elif "*" in event and event != "*" and "*" in event.removesuffix(".*"):
            self.problem(f"{event!r} matches nothing: '*' stands alone or as the last token")
        return event

    def _timers(self) -> Iterator[tuple[str, Delay, tuple[Transition, ...]]]:
        for key, moves in self.node.state.after.items():
            text, delay = delay_of(key)
            yield after_type(text, self.node.id), delay, moves

    def _edges(self, event: str | None, moves: Iterable[Transition]) -> tuple[Edge, ...]:
        return tuple(self._edge(event, move) for move in moves)

    def _edge(self, event: str | None, move: Transition) -> Edge:
        label = f"{self.node.path} {'always' if event is None else f'on {event}'}"
        return Edge(
            source=self.node.index,
            targets=None if move.target is None else self._find(self.node, move.target),
            reenter=move.reenter,
            test=None if move.guard is None else question(move.guard, self.tree, self.problem),
            ops=self.compiler.compile(move.actions, label),
            event=event,
            label=label if move.guard is None else f"{label} [{spoken(move.guard)}]",
            definition=move,
        )

    def _find(self, start: Node, targets: Iterable[str]) -> tuple[int, ...]:
        found = []
        for target in targets:
            index = self.tree.find(start.index, target)
            if index is None:
                self.problem(f"the target {target!r} does not exist")
            else:
                found.append(index)
        self._together(found)
        return tuple(found)

    def _together(self, targets: list[int]) -> None:
        """Note targets that one transition cannot enter together."""
        tree, nodes = self.tree, self.tree.nodes
        for one, other in combinations(dict.fromkeys(targets), 2):
            # A history may bring anything that its parent holds.
            a, b = (nodes[n].parent if nodes[n].kind == "history" else n for n in (one, other))
            nested = a == b or tree.is_below(a, b) or tree.is_below(b, a)
            meet = next((above for above in nodes[a].above if tree.is_below(b, above)), NOWHERE)
            if nested or nodes[meet].kind == "compound":
                paths = f"{nodes[one].path} and {nodes[other].path}"
                self.problem(f"{paths} cannot be targets together: {_CLASH[nested]}")

    def _initial(self) -> int:
        node, initial = self.node, self.node.state.initial
        if node.kind != "compound":
            if initial is not None and node.kind != "parallel":
                self.problem("initial stands at a state without states")
            return NOWHERE
        keys = ", ".join(node.keys)
        if initial is None or initial.target is None or len(initial.target) != 1:
            self.problem(f"initial must name one of {keys}")
            return NOWHERE
        # XState writes the child's bare key; its own exports write "#id".
        target = initial.target[0]
        child = self.tree.find(node.index, target) if target[:1] in "#." else node.keys.get(target)
        if child is None or self.tree.nodes[child].parent != node.index:
            self.problem(f"initial {target!r} is not one of {keys}")
            return NOWHERE
        return child

    def _default(self) -> tuple[int, ...]:
        if self.node.state.target is None:
            return ()
        # A history looks its targets up as a sibling would, dots and all.
        return self._find(self.node, self.node.state.target)


def _says(key: type[object], event: str) -> bool:
    """Say whether events of class *key*, which may have a ``type`` of their own, are *event*."""
    own = getattr(key, "type", None)
    if has(key) and (field := getattr(fields(key), "type", None)) is not None:
        own = field.default
    elif is_dataclass(key) and (plain := key.__dataclass_fields__.get("type")) is not None:
        own = plain.default
    return own is None or own == event


def delay_of(key: DelayKey) -> tuple[str, Delay]:
    """Tell how a key of ``after`` is written in an event type, and what delay it means."""
    if isinstance(key, timedelta):
        key = milliseconds(key)
    if isinstance(key, str):
        if not _NUMBER.fullmatch(key):
            return key, key
        return key, _whole(float(key))
    return str(_whole(key)), _whole(key)


def _whole(number: float) -> float:
    return int(number) if float(number).is_integer() else number


def _filled(tree: Tree, behaviours: tuple[Behaviour, ...]) -> tuple[Behaviour, ...]:
    """Give each history without a target the default that XState infers.

    That is the initial child of its parent, or the parent itself where it is parallel.
    """
    out = list(behaviours)
    for node in tree.nodes:
        if node.kind == "history" and not behaviours[node.index].default:
            initial = behaviours[node.parent].initial
            default = (node.parent,) if initial == NOWHERE else (initial,)
            out[node.index] = evolve(behaviours[node.index], default=default)
    return tuple(out)


def _endless(tree: Tree, behaviours: tuple[Behaviour, ...]) -> Iterator[Problem]:
    """Note histories whose default leads back to themselves, as an initial history's may."""
    for node in tree.nodes:
        if node.kind == "history" and _returns(tree, behaviours, node.index, frozenset()):
            yield Problem(node.path, "the default of this history leads back to a history")


def _returns(
    tree: Tree, behaviours: tuple[Behaviour, ...], index: int, seen: frozenset[int]
) -> bool:
    if index in seen:
        return True
    match tree.nodes[index].kind:
        case "history":
            seen, ahead = seen | {index}, behaviours[index].default
        case "compound":
            ahead = (behaviours[index].initial,)
        case "parallel":
            ahead = tree.nodes[index].children
        case "atomic" | "final":
            ahead = ()
    return any(_returns(tree, behaviours, one, seen) for one in ahead)
