"""Target: the selection of an act on many in words, and the command that does the same."""

import shlex
from typing import Final

from arvo.console.jobs.act import Act, WorkflowAct
from arvo.console.views.data import Block
from arvo.core.events.subject import workflow_id_of

# The command of each selected one; the page leaves out the others.
COMMANDS_MAX: Final = 5
_SYSTEM: Final = "package.module:system"


def target_of(act: Act) -> str:
    """Return the selection of an act in words."""
    noun = "workflow" if isinstance(act, WorkflowAct) else "dead letter"
    if act.selected is not None:
        count = len(act.selected)
        return f"{count} selected {noun if count == 1 else f'{noun}s'}"
    query = act.filters.query if isinstance(act, WorkflowAct) else act.selection.query
    parts = [
        f"{name} {one!r}"
        for name, value in query.items()
        for one in (value if isinstance(value, tuple) else (value,))
        if one
    ]
    return f"all {noun}s with {', '.join(parts)}" if parts else f"every {noun}"


def command_of(act: Act) -> Block:
    """Return the command that does the same."""
    if isinstance(act, WorkflowAct):
        return _workflow_command(act)
    verb = "redrive" if act.verb == "retry" else "delete"
    start = ["arvo", "dead-letters", verb]
    if act.selected is not None:
        return _lines([[*start, id_] for id_ in act.selected])
    return _lines([[*start, *(act.selection.command_options() or ["--all"])]])


def _workflow_command(act: WorkflowAct) -> Block:
    start = ["arvo", act.verb, _SYSTEM]
    end = ["--to", act.to] if act.verb == "migrate" else []
    end += ["--after-compensation"] if act.after_compensation else []
    if act.selected is not None:
        names = [workflow_id_of(subject) or subject for subject in act.selected]
        return _lines([[*start, name, *end] for name in names])
    return _lines([[*start, *(act.filters.command_options() or ["--all"]), *end]])


def _lines(commands: list[list[str]]) -> Block:
    lines = [f'{shlex.join(it)} --reason "…"' for it in commands[:COMMANDS_MAX]]
    if len(commands) > COMMANDS_MAX:
        lines.append(f"# and {len(commands) - COMMANDS_MAX} more")
    return Block("\n".join(lines))
