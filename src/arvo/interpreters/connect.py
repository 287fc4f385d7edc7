"""Connect: from a backend's URL to the backend."""

from arvo.core.issue import Issue
from arvo.core.violation import ConfigViolation, Violated
from arvo.interpreters.memory import MemoryBackend
from arvo.interpreters.ports import Backend


def connect(backend: str | Backend) -> Backend:
    """Give the backend that a URL names; a backend is given back as it is.

    `memory:` holds everything in this process, `sqlite:///orders.db` in a file (a relative path;
    `sqlite:////var/lib/orders.db` an absolute one). Any other URL is refused with `Violated`.
    """
    if not isinstance(backend, str):
        return backend
    scheme, _, rest = backend.partition(":")
    if scheme == "memory":
        return MemoryBackend()
    path = rest.removeprefix("///")
    if scheme == "sqlite" and path and path != rest:
        # Loaded only where it is wanted: importing arvo loads no driver.
        from arvo.interpreters.sqlite import SqliteBackend

        return SqliteBackend(path)
    expected = "memory:, sqlite:///file.db or a Backend of your own"
    issue = Issue("backend", expected, repr(backend))
    raise Violated(ConfigViolation("no backend is known by this URL", issue))
