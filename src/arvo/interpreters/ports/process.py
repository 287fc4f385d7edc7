"""Process: refuses the use of an open backend in a process that was forked from its own."""

import os
from typing import Final

from arvo.core.violations.issue import Issue
from arvo.core.violations.violation import ConfigViolation, Violated

_EXPECTED: Final = "the process that opened it: open another one in each process, after the fork"


def check_process(opened_by: int, name: str) -> None:
    """Raise `Violated` unless this process, by its id, has opened *name*.

    Threads, tasks and connections of a backend do not survive a fork: a call would wait for ever,
    or change a copy that no process reads.
    """
    process = os.getpid()
    if process != opened_by:
        issue = Issue("process", _EXPECTED, f"process {process}, opened in {opened_by}")
        raise Violated(ConfigViolation(f"this {name} was opened before a fork", issue))
