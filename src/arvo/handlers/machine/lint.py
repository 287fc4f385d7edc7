"""Wiring: what is most likely wrong with how a machine is put together."""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, combinations
from typing import Any, Final

from arvo.core.command import Fail
from arvo.core.contracts.versioned import VersionedContract
from arvo.core.events.cancellation import cancel_type
from arvo.core.events.protocol import timer_event_type
from arvo.core.violations.issue import Issue
from arvo.handlers.machine.action_sites import Place, places, steps, wants
from arvo.handlers.machine.compile import last_output
from arvo.statechart.compiled.chart import Chart
from arvo.statechart.compiled.completion import is_final
from arvo.statechart.compiled.ops import Code, is_function
from arvo.statechart.compiled.tree import ROOT, Node, Tree, members
from arvo.statechart.definition.commands import Cancel, Emit, Schedule, Send
from arvo.statechart.definition.events import AFTER_PREFIX
from arvo.statechart.views.lint import lint
from arvo.statechart.views.reach import reachable, would_enter

_MEANT: Final[Mapping[str, str]] = {
    "unreachable": "a state that something enters",
    "dead end": "a way out of this state, or a final one",
    "always loop": "a guard that stops it",
    "shadowed": "a transition that can be taken",
    "unhandled": "a state that hears it",
    "endless": "a way to its end",
}


def doubts(
    chart: Chart[Any],
    contract: VersionedContract[Any],
    services: Sequence[VersionedContract[Any]],
    signals: Sequence[VersionedContract[Any]],
) -> Iterator[Issue]:
    """Name what is most likely not meant, each at its state."""
    for finding in lint(chart):
        yield Issue(finding.path, _MEANT[finding.kind], finding.message)
    yield from _unheard(chart, services, signals)
    yield from _unspoken(chart, contract, services, signals)
    yield from _silent_ends(chart)
    yield from _overlaps(chart)


def _unheard(
    chart: Chart[Any],
    services: Sequence[VersionedContract[Any]],
    signals: Sequence[VersionedContract[Any]],
) -> Iterator[Issue]:
    """Name the events that come and that no state hears."""
    vocabulary = chart.compiled.vocabulary
    come = [
        (name, f"an answer of {each.dataschema}") for each in services for name in each.emitted
    ] + [(each.type, f"a signal of {each.dataschema}") for each in signals]
    # Where time moves the chart on, an error that nobody hears need not hold it up for ever.
    if not _is_timed(chart):
        come += [(each.system_error_type, f"a failure of {each.dataschema}") for each in services]
    for name, what in come:
        if not vocabulary.classify(name):
            root = chart.compiled.tree.nodes[ROOT].path
            yield Issue(root, f"a state that hears {name} ({what})", "none")


def _is_timed(chart: Chart[Any]) -> bool:
    return any(want.kind in (Schedule, Send) for each in places(chart) for want in wants(each.ops))


def _unspoken(
    chart: Chart[Any],
    contract: VersionedContract[Any],
    services: Sequence[VersionedContract[Any]],
    signals: Sequence[VersionedContract[Any]],
) -> Iterator[Issue]:
    """Name the events that a state hears, and that neither come nor are raised."""
    raised: set[str] = set()
    for op in (op for place in places(chart) for op in steps(place.ops)):
        match op.code:
            case Code.RAISE:
                raised.add(chart.compiled.type_of(op.value))
            case Code.RAISE_MADE | Code.EXPAND:
                return  # a function may raise anything
            case _:
                pass
    for want in (want for place in places(chart) for want in wants(place.ops)):
        if want.kind in (Schedule, Send):
            if is_function(want.parts[0]):
                return
            raised.add(chart.compiled.type_of(want.parts[0]))
    for each in services:
        raised |= {*each.emitted, each.system_error_type}
    raised |= {each.type for each in signals}
    raised |= {cancel_type(contract.type), timer_event_type(contract.type)}
    for node, behaviour in zip(chart.compiled.tree.nodes, chart.compiled.behaviours, strict=True):
        for name in behaviour.on:
            if name not in raised and "*" not in name and not name.startswith("xstate."):
                yield Issue(f"{node.path} on {name}", "an event that comes, or is raised", name)


def _silent_ends(chart: Chart[Any]) -> Iterator[Issue]:
    """Name the ends of which nobody is told: without an output there is no completion."""
    tree = chart.compiled.tree
    root, reached = tree.nodes[ROOT], reachable(chart.compiled)
    ends = [tree.nodes[index] for index in root.children] if root.kind == "compound" else [root]
    for node in ends:
        own = node.state.output if chart.output is last_output else chart.output
        if own is not None or not reached & node.bit or not is_final(tree, node, reached):
            continue
        if node is root or (node.kind == "final" and not _may_fail(chart, node)):
            expected = "an output, so that whoever began the workflow hears of its end"
            yield Issue(node.path, expected, "none")


def _may_fail(chart: Chart[Any], node: Node) -> bool:
    """Tell whether a state may emit a `Fail` on the way in, of which they hear too."""
    entry = chart.compiled.behaviours[node.index].entry
    return any(op.code is Code.EXPAND for op in steps(entry)) or any(
        want.kind is Emit and (isinstance(want.parts[0], Fail) or is_function(want.parts[0]))
        for want in wants(entry)
    )


def _overlaps(chart: Chart[Any]) -> Iterator[Issue]:
    """Name the timer ids that two places set, so that two timers of one id may be pending."""
    setting: dict[str, list[Place]] = {}
    for place in places(chart):
        for want in wants(place.ops):
            id_ = want.parts[2] if want.kind in (Schedule, Send) else None
            if isinstance(id_, str) and not id_.startswith(AFTER_PREFIX):
                setting.setdefault(id_, []).append(place)
    for id_, found in setting.items():
        for one, other in combinations(found, 2):
            if _outlasts(chart, one, other, id_) or _outlasts(chart, other, one, id_):
                expected = f"a timer id of its own, or cancel({id_!r}) before it is set again"
                yield Issue(str(other), expected, f"{id_!r}, which {one} sets")
                break


def _outlasts(chart: Chart[Any], first: Place, then: Place, id_: str) -> bool:
    """Tell whether a timer that *first* set may be pending when *then* sets another."""
    for want in wants(then.ops):
        if want.kind is Cancel and want.parts[0] == id_:
            return False
        if want.kind in (Schedule, Send) and want.parts[2] == id_:
            break
    if not _follows(chart, first.node, then.node):
        return False
    leave = chart.compiled.behaviours[first.node.index].exit
    ends = first.kind == "entry" and any(
        want.kind is Cancel and want.parts[0] == id_ for want in wants(leave)
    )
    return not (ends and _apart(chart.compiled.tree, first.node, then.node))


def _follows(chart: Chart[Any], first: Node, then: Node) -> bool:
    """Tell whether some way leads from *first* to *then*, or both may be active together."""
    program = chart.compiled
    reached = 0
    ahead = deque(n.index for n in program.tree.nodes if not _apart(program.tree, first, n))
    while ahead:
        index = ahead.popleft()
        if not reached >> index & 1:
            reached |= 1 << index
            behaviour = program.behaviours[index]
            for edge in (*chain.from_iterable(behaviour.on.values()), *behaviour.always):
                ahead.extend(members(would_enter(program, edge)))
    return bool(reached >> then.index & 1)


def _apart(tree: Tree, one: Node, other: Node) -> bool:
    """Tell whether two states are never active together."""
    if one is other or one.index in other.above or other.index in one.above:
        return False
    meet = next(above for above in one.above if tree.is_below(other.index, above))
    return tree.nodes[meet].kind == "compound"
