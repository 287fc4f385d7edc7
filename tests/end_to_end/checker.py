"""Checker: compares what was sent with the books of the workers and the state of the backend."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, Literal, TypeAlias

from attrs import frozen

from tests.end_to_end.book import Line
from tests.end_to_end.causes import STAGES, Causes, Performed
from tests.end_to_end.client import Final as FinalState
from tests.end_to_end.figures import Figures, count_figures
from tests.end_to_end.plan import Run
from tests.end_to_end.system import POISONED, REFUSED, SIGNALS, order

# The attempts of the default policy.
ATTEMPTS: Final = 5
POISON_REASON: Final = f"its worker died {ATTEMPTS} times"
Fault: TypeAlias = Literal[
    "lost", "stuck", "doubled", "out of order", "wrong", "dead letter", "repeated", "worker"
]


@frozen
class Finding:
    """One thing that must not be: *run* is the number of its workflow, if it has one."""

    fault: Fault
    text: str
    run: int | None = None


@frozen
class Report:
    """What a check has found, and how much it has seen."""

    findings: Sequence[Finding]
    figures: Figures


def check(
    runs: Sequence[Run],
    lines: Sequence[Line],
    final: FinalState,
    *,
    is_paired: bool = False,
    confirms_acks: bool = True,
    seconds: float = 0.0,
) -> Report:
    """Check all workflows of a plan; it asks Arvo for no counter.

    *is_paired*, *confirms_acks*: see `Place`. *seconds*: how long it took, for the figures.
    """
    causes = Causes(lines, is_paired, confirms_acks)
    findings = [*_check_workers(lines), *_check_dead_letters(runs, lines, final)]
    if final.under_way:
        findings.append(Finding("stuck", f"{final.under_way} events are still under way"))
    reasons: Counter[str] = Counter()
    for run in runs:
        calls = causes.calls.get(run.number, ())
        findings += _check_outcome(run, calls, final)
        findings += _check_order(run, calls)
        findings += _check_repeated(run, calls, causes, reasons)
        findings += _check_history(run, final)
    return Report(findings, count_figures(runs, lines, final, reasons, seconds))


def _check_workers(lines: Sequence[Line]) -> Iterator[Finding]:
    """Check that no worker ended in another way than by our hands or by poison."""
    poisoned = {line.pid for line in lines if line.kind == "poisoned"}
    for line in lines:
        has_failed = line.kind == "died" or (line.kind == "stopped" and line.detail)
        if has_failed and (line.detail != POISONED or line.pid not in poisoned):
            yield Finding("worker", f"process {line.pid} ended with status {line.detail}")


def _check_dead_letters(
    runs: Sequence[Run], lines: Sequence[Line], final: FinalState
) -> Iterator[Finding]:
    """Check that each poison event is a dead letter after its deaths, and no other event is one."""
    deaths = Counter(line.key for line in lines if line.kind == "poisoned")
    dead = Counter(each.event for each in final.dead_letters)
    for run in runs:
        if run.poison_id is None:
            continue
        if dead[run.poison_id] != 1:
            text = f"{run.poison_id} ({run.poison}) is {dead[run.poison_id]} dead letters"
            yield Finding("lost" if not dead[run.poison_id] else "doubled", text, run.number)
        if not 1 <= deaths[run.poison_id] <= ATTEMPTS:
            text = f"{run.poison_id} ended {deaths[run.poison_id]} processes"
            yield Finding("dead letter", text, run.number)
    expected = {run.poison_id for run in runs}
    for each in final.dead_letters:
        if each.event not in expected or each.reason != POISON_REASON:
            yield Finding("dead letter", f"{each.event}, {each.attempts} attempts: {each.reason}")


def _check_outcome(run: Run, calls: Sequence[Performed], final: FinalState) -> Iterator[Finding]:
    """Check that a workflow has one outcome, the right one, here and in the backend."""
    outcomes = {
        call.line.detail["id"]: call.line.detail for call in calls if call.line.key == "outcome"
    }
    status, wanted = final.statuses.get(run.number), _status(run)
    if status is None:
        yield Finding("lost", "the backend has no record of it", run.number)
    elif status != wanted:
        fault: Fault = "stuck" if status == "active" else "wrong"
        yield Finding(fault, f"it is {status} and not {wanted}", run.number)
    if not outcomes:
        yield Finding("lost", "its caller got no outcome", run.number)
    if len(outcomes) > 1:
        yield Finding("doubled", f"its caller got outcomes {sorted(outcomes)}", run.number)
    for outcome in outcomes.values():
        yield from _check_values(run, calls, outcome)


def _status(run: Run) -> str:
    return "done" if run.cancel_after is None else "cancelled"


def _check_values(
    run: Run, calls: Sequence[Performed], outcome: Mapping[str, Any]
) -> Iterator[Finding]:
    """Check what a workflow ended with: its signals in order, and results of calls that ended."""
    data, refunds = outcome["data"], [call for call in calls if call.line.key == "refund"]
    is_charged = any(call.line.key == "charge" for call in calls)
    if run.cancel_after is not None:
        if data.get("errorName") != "Cancelled":
            yield Finding("wrong", f"its outcome is {outcome}", run.number)
        if is_charged and not refunds:
            yield Finding("lost", "it was cancelled, and its charge is not refunded", run.number)
        return
    if outcome["type"] != f"{order.type}.done":
        yield Finding("wrong", f"its outcome is {outcome}", run.number)
        return
    if refunds:
        yield Finding("wrong", "it is done, and its charge is refunded", run.number)
    if data["marks"] != list(range(1, SIGNALS + 1)):
        yield Finding("out of order", f"its signals came as {data['marks']}", run.number)
    ended = {call.line.call: call.line.key for call in calls if call.ended_at is not None}
    keys = [key for key in STAGES if key not in ("charge", "refund", "outcome")]
    if [ended.get(result) for result in data["results"]] != keys:
        yield Finding("wrong", f"its results are of no call: {data['results']}", run.number)
    if data["receipt"] == REFUSED or run.is_refused:
        if (data["receipt"] == REFUSED) != run.is_refused or is_charged:
            yield Finding("wrong", f"its receipt is {data['receipt']}", run.number)
    elif ended.get(data["receipt"]) != "charge":
        yield Finding("wrong", f"its receipt is of no charge: {data['receipt']}", run.number)


def _check_order(run: Run, calls: Sequence[Performed]) -> Iterator[Finding]:
    """Check that each call first began when one of each stage before it had ended, and that no
    signal is seen after the cancellation before it.
    """
    first: dict[str, Performed] = {}
    for call in calls:
        first.setdefault(call.line.key, call)
    for key, call in first.items():
        for other in _before(run, key):
            ended = [each.ended_at for each in calls if each.line.key == other and each.ended_at]
            if not ended or min(ended) > call.line.at:
                yield Finding("out of order", f"{key} began before {other} ended", run.number)
    seen = [int(key.rpartition("-")[2]) for key in first if key.startswith("mark-")]
    if seen != list(range(1, len(seen) + 1)):
        yield Finding("out of order", f"its signals were seen as {seen}", run.number)
    if run.cancel_after is not None and len(seen) > run.cancel_after:
        text = f"cancelled after {run.cancel_after} signals, it has seen {len(seen)}"
        yield Finding("out of order", text, run.number)


def _before(run: Run, key: str) -> Sequence[str]:
    """Return the calls that end before a call of a workflow begins."""
    match key:
        case "outcome" if run.cancel_after is not None:
            return ()
        case "refund":
            return "left", "right"
        case "mark-1" if run.is_refused:
            return "left", "right"
        case _:
            return [other for other, stage in STAGES.items() if stage == STAGES[key] - 1]


def _check_repeated(
    run: Run, calls: Sequence[Performed], causes: Causes, reasons: Counter[str]
) -> Iterator[Finding]:
    """Check that each call was made once, or again because its worker died in it."""
    last: dict[str, Performed] = {}
    for call in calls:
        key = call.line.key
        if key in last:
            reason = causes.of(last[key], call)
            if reason is None:
                text = f"{key} was performed as {last[key].line.call} and as {call.line.call}"
                yield Finding("repeated", text, run.number)
            else:
                reasons[reason] += 1
        last[key] = call
        is_late = key not in ("outcome", "refund", "charge") and "outcome" in last
        if is_late and causes.of_late(call) is None:
            yield Finding("wrong", f"{key} was performed after the outcome", run.number)


def _check_history(run: Run, final: FinalState) -> Iterator[Finding]:
    """Check that the history of a workflow has each event once, where the backend stores one."""
    for kind, events in (("consumed", final.consumed), ("produced", final.produced)):
        for event, times in Counter(events.get(run.number, ())).items():
            if times > 1:
                yield Finding("doubled", f"it {kind} {event} {times} times", run.number)
