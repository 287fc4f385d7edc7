"""Place: which processes of this machine are alive, as far as one can tell."""

import os
import socket
from functools import cache
from pathlib import Path


@cache
def here() -> str:
    """Name where a process id means something: this host, and its namespace of processes."""
    namespace = Path("/proc/self/ns/pid")
    try:
        return f"{socket.gethostname()} {namespace.readlink()}"
    except OSError:
        # No Linux, or no /proc: the host is all there is.
        return socket.gethostname()


def is_dead(place: str, pid: int) -> bool:
    """Tell whether a process of this place is surely gone; of another place nobody knows."""
    if place != here():
        return False
    try:
        os.kill(pid, 0)  # pragma: no mutate - another signal would reach somebody
    except ProcessLookupError:
        return True
    except OSError:
        # It is there, and somebody else's.
        pass
    return False
