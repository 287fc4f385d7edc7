"""Lint: likely mistakes in a machine, which is valid and runs."""

from collections.abc import Iterator, Mapping, Sequence
from types import CodeType
from typing import Any, Final

from arvo.core.command import Compensate, Fail
from arvo.core.contracts.versioned import VersionedContract
from arvo.core.events.protocol import cancel_type, timer_event_type
from arvo.core.violations.issue import Issue
from arvo.handlers.machine.action_sites import action_sites, flatten_ops, planned_commands
from arvo.handlers.machine.compile import last_output
from arvo.handlers.machine.timer_lint import find_overlapping_timers
from arvo.handlers.references import references
from arvo.statechart.compiled.chart import Chart
from arvo.statechart.compiled.completion import is_final
from arvo.statechart.compiled.ops import Code, is_function
from arvo.statechart.compiled.tree import ROOT, Node
from arvo.statechart.definition.commands import Emit, Schedule, Send
from arvo.statechart.views.lint import lint, reachable_states

# The expectation that each kind of problem of the chart breaks.
_EXPECTED: Final[Mapping[str, str]] = {
    "unreachable": "a transition that enters this state",
    "dead end": "a transition that leaves this state, or type final",
    "always loop": "a guard that ends the loop",
    "shadowed": "the transition without a guard to come last",
    "unhandled": "a state that handles the event",
    "endless": "a final state that a transition enters",
}


def lint_machine(
    chart: Chart[Any],
    contract: VersionedContract[Any],
    services: Sequence[VersionedContract[Any]],
    signals: Sequence[VersionedContract[Any]],
) -> Iterator[Issue]:
    """Find likely mistakes in a machine, each at its state."""
    # A state that only a cancellation enters needs no way out and no output: the workflow ends.
    reachable = reachable_states(chart.compiled, without=cancel_type(contract.type))
    ends = {
        node.path
        for node in chart.compiled.tree.nodes
        if not reachable & node.bit or _fails(chart, node)
    }
    for problem in lint(chart):
        if problem.kind != "dead end" or problem.path not in ends:
            yield Issue(problem.path, _EXPECTED[problem.kind], problem.message)
    asked = [service for service in services if not _only_compensates(chart, service)]
    yield from _unhandled_events(chart, asked, signals)
    yield from _events_without_source(chart, contract, services, signals)
    yield from _ends_without_output(chart, reachable)
    yield from find_overlapping_timers(chart)


def _fails(chart: Chart[Any], node: Node) -> bool:
    """Return whether the entry of a state refers to `Fail`, which ends the workflow there."""
    ops = chart.compiled.behaviours[node.index].entry
    return any(value is Fail or type(value) is Fail for value in references(ops))


def _only_compensates(chart: Chart[Any], service: VersionedContract[Any]) -> bool:
    """Return whether the chart uses a service in its compensations alone.

    The workflow has ended when such a service replies.
    """
    uses = [
        any(value is Compensate or type(value) is Compensate for value in found)
        for site in action_sites(chart)
        for op in flatten_ops(site.ops)
        if (found := [*references(op)]) and any(_is_request(value, service) for value in found)
    ]
    return bool(uses) and all(uses)


def _is_request(value: object, service: VersionedContract[Any]) -> bool:
    """Return whether a value that code refers to names a service: by its payload or its type."""
    if isinstance(value, CodeType):
        return service.type in value.co_consts
    if isinstance(value, type):
        return value in service.accepted.instance_types
    return value == service.type if isinstance(value, str) else False


def _unhandled_events(
    chart: Chart[Any],
    services: Sequence[VersionedContract[Any]],
    signals: Sequence[VersionedContract[Any]],
) -> Iterator[Issue]:
    """Find the events of services and signals that no state handles."""
    events = [
        (name, f"a reply of {service.dataschema}")
        for service in services
        for name in service.emitted
    ]
    events += [(signal.type, f"a signal of {signal.dataschema}") for signal in signals]
    # In a chart with timers, an unhandled error need not block the workflow for ever.
    if not _has_timers(chart):
        events += [
            (service.system_error_type, f"the system error of {service.dataschema}")
            for service in services
        ]
    root = chart.compiled.tree.nodes[ROOT].path
    for name, description in events:
        if not chart.compiled.descriptors.match(name):
            yield Issue(root, f"a state that handles {name} ({description})", "none")


def _has_timers(chart: Chart[Any]) -> bool:
    return any(
        command.kind in (Schedule, Send)
        for site in action_sites(chart)
        for command in planned_commands(site.ops)
    )


def _events_without_source(
    chart: Chart[Any],
    contract: VersionedContract[Any],
    services: Sequence[VersionedContract[Any]],
    signals: Sequence[VersionedContract[Any]],
) -> Iterator[Issue]:
    """Find the events that a state handles although they are neither received nor raised."""
    raised = _raised_types(chart)
    if raised is None:
        return
    for service in services:
        raised |= {*service.emitted, service.system_error_type}
    raised |= {signal.type for signal in signals}
    raised |= {cancel_type(contract.type), timer_event_type(contract.type)}
    for node, behaviour in zip(chart.compiled.tree.nodes, chart.compiled.behaviours, strict=True):
        for name in behaviour.on:
            if name not in raised and "*" not in name and not name.startswith("xstate."):
                expected = "the event of a service or signal, or one that the chart raises"
                yield Issue(f"{node.path} on {name}", expected, name)


def _raised_types(chart: Chart[Any]) -> set[str] | None:
    """Return the event types that the chart raises, or None if a function may raise any."""
    raised: set[str] = set()
    for op in (op for site in action_sites(chart) for op in flatten_ops(site.ops)):
        match op.code:
            case Code.RAISE:
                raised.add(chart.compiled.type_of(op.value))
            case Code.RAISE_COMPUTED | Code.EXPAND:
                return None
            case _:
                pass
    for site in action_sites(chart):
        for command in planned_commands(site.ops):
            if command.kind in (Schedule, Send):
                if is_function(command.parts[0]):
                    return None
                raised.add(chart.compiled.type_of(command.parts[0]))
    return raised


def _ends_without_output(chart: Chart[Any], reachable: int) -> Iterator[Issue]:
    """Find the final states without an output: there the workflow sends no completion."""
    tree = chart.compiled.tree
    root = tree.nodes[ROOT]
    ends = [tree.nodes[index] for index in root.children] if root.kind == "compound" else [root]
    for node in ends:
        output = node.state.output if chart.output is last_output else chart.output
        if output is not None or not reachable & node.bit or not is_final(tree, node, reachable):
            continue
        if node is root or (node.kind == "final" and not _may_fail(chart, node)):
            expected = "an output, so that the workflow's caller receives a completion"
            yield Issue(node.path, expected, "none")


def _may_fail(chart: Chart[Any], node: Node) -> bool:
    """Return whether a state may emit a `Fail` on entry, which the caller receives as well."""
    entry = chart.compiled.behaviours[node.index].entry
    return any(op.code is Code.EXPAND for op in flatten_ops(entry)) or any(
        command.kind is Emit
        and (isinstance(command.parts[0], Fail) or is_function(command.parts[0]))
        for command in planned_commands(entry)
    )
