"""Connect: from a backend's URL to the backend."""

from arvo.core.issue import Issue
from arvo.core.violation import ConfigViolation, Violated
from arvo.interpreters.memory import MemoryBackend
from arvo.interpreters.ports import Backend


def connect(backend: str | Backend) -> Backend:
    """Give the backend that a URL names; a backend is given back as it is.

    `memory:` holds everything in this process. Any other URL is refused with `Violated`.
    """
    if not isinstance(backend, str):
        return backend
    scheme = backend.partition(":")[0]
    if scheme == "memory":
        return MemoryBackend()
    issue = Issue("backend", "memory: or a Backend of your own", repr(backend))
    raise Violated(ConfigViolation("no backend is known by this URL", issue))
