"""This process: the view that operators have of the process of a worker."""

import os
import socket
from functools import cache
from typing import Final

from arvo.interpreters.delivery.clock import utc_now
from arvo.interpreters.ports.services import WorkerProcess

# The name that a deployment gives its code, such as a commit or a tag.
BUILD_VARIABLE: Final = "ARVO_BUILD"
# Set by a supervisor: which of its workers this is, and how often it has started that.
SUPERVISED_VARIABLE: Final = "ARVO_SUPERVISED"
BUILD_CHARACTERS_MAX: Final = 100


def supervised(number: int, starts: int) -> str:
    """Return the value of `SUPERVISED_VARIABLE`."""
    return f"{number} {starts}"


def this_process() -> WorkerProcess:
    """Return the process that calls it; the same each time."""
    return _describe(os.getpid())


# By the pid, as a process may be the fork of one that asked.
@cache
def _describe(pid: int) -> WorkerProcess:
    number, _, starts = os.environ.get(SUPERVISED_VARIABLE, "").partition(" ")
    is_known = number.isdecimal() and starts.isdecimal()
    return WorkerProcess(
        host=socket.gethostname(),
        pid=pid,
        began=utc_now().isoformat(timespec="seconds"),
        number=int(number) if is_known else 0,
        starts=int(starts) if is_known else 0,
        build=os.environ.get(BUILD_VARIABLE, "")[:BUILD_CHARACTERS_MAX],
    )
