"""Liveness: whether a process of this machine is still alive."""

import os
import socket
from functools import cache
from pathlib import Path


@cache
def process_namespace() -> str:
    """Name the scope in which a process id is unique: this host and its PID namespace."""
    namespace = Path("/proc/self/ns/pid")
    try:
        return f"{socket.gethostname()} {namespace.readlink()}"
    except OSError:
        # Not Linux, or /proc is not mounted: only the host is known.
        return socket.gethostname()


def is_process_dead(namespace: str, pid: int) -> bool:
    """Return True if a process of this namespace has certainly ended.

    False for any process of another namespace: it cannot be checked from here.
    """
    if namespace != process_namespace():
        return False
    try:
        os.kill(pid, 0)  # pragma: no mutate - any other signal would be delivered
    except ProcessLookupError:
        return True
    except OSError:
        # The process exists, and belongs to another user.
        pass
    return False
