"""Process: refuses the use of an open backend in a process that was forked from its own."""

import os
from typing import Final

from arvo.core.violations.issue import Issue
from arvo.core.violations.violation import ConfigViolation, Violated

_EXPECTED: Final = "the process that opened it: fork before you open it, or spawn processes"


def check_process(opened_by: int, name: str) -> None:
    """Raise `Violated` unless this process, by its id, has opened *name*.

    Threads, tasks and connections of a backend do not survive a fork: a call would wait for ever,
    or change a copy that no process reads.
    """
    if os.getpid() != opened_by:
        raise forked(name, f"opened in {opened_by}")


def forked(name: str, got: str) -> Violated:
    """Make the exception for *name*, which was opened before this process was forked."""
    issue = Issue("process", _EXPECTED, f"process {os.getpid()}, {got}")
    return Violated(ConfigViolation(f"this {name} was opened before a fork", issue))
