"""Oversize: turn a step that emits an event beyond the size limit into a failure of its handler."""

from collections.abc import Callable
from typing import Final

from arvo.core.command import Command, Fail
from arvo.core.commit import Commit
from arvo.core.events.event import EVENT_BYTES_MAX
from arvo.core.events.size import size_issue
from arvo.core.trace_context import TraceContext, with_trace
from arvo.core.violations.issue import Issue
from arvo.core.violations.violation import ExecutionViolation, Violation

# The name of the failure on the wire.
TOO_LARGE: Final = "TooLarge"


def limit_sizes(
    commands: tuple[Command, ...],
    build: Callable[[tuple[Command, ...]], Commit | Violation],
    trace: TraceContext | None,
    data_bytes_max: int = 0,
) -> Commit | Violation:
    """Build the commit of *commands*, or that of a `Fail` where one of its events is too large.

    Its events carry *trace*, which counts towards their size. *data_bytes_max*: see `size_issue`.

    The requester learns of it like of any failure. A dead letter of the event would leave it
    waiting, and could not be redriven: no reader accepts the event on any backend.
    """
    commit = _build(build, commands, trace)
    issue = _find_oversize(commit, data_bytes_max)
    if issue is None:
        return commit
    failure = Fail(f"an event is too large: {issue}", name=TOO_LARGE)
    failed = _build(build, (failure,), trace)
    issue = _find_oversize(failed, data_bytes_max)
    if issue is None:
        return failed
    # Its failure repeats attributes of a large event, or sends a large compensation.
    assert isinstance(failed, Commit)
    return ExecutionViolation(f"an event of {failed.handler} is too large", issue)


def _build(
    build: Callable[[tuple[Command, ...]], Commit | Violation],
    commands: tuple[Command, ...],
    trace: TraceContext | None,
) -> Commit | Violation:
    commit = build(commands)
    if trace is None or not isinstance(commit, Commit):
        return commit
    return with_trace(commit, trace)


def _find_oversize(commit: Commit | Violation, data_bytes_max: int) -> Issue | None:
    if not isinstance(commit, Commit):
        return None
    events = commit.events
    if commit.timers:
        events = (*events, *(timer.event for timer in commit.timers))
    for event in events:
        if len(event.to_bytes()) > EVENT_BYTES_MAX:
            issue = size_issue(event, data_bytes_max)
            if issue is not None:
                return issue
    return None
