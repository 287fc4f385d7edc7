"""sqlite: the default backend, one file."""

from arvo.core.violations.issue import Issue
from arvo.core.violations.violation import ConfigViolation, Violated
from arvo.interpreters.ports.backend import Backend
from arvo.interpreters.sqlite.backend import SqliteBackend

__all__ = ["SqliteBackend", "backend"]


def backend(url: str) -> Backend:
    """Give the backend of `sqlite:///orders.db` (a relative path) or `sqlite:////var/orders.db`."""
    path = url.removeprefix("sqlite:///")
    if path in {"", url}:
        issue = Issue("backend", "sqlite:///orders.db, or sqlite:////var/lib/orders.db", repr(url))
        raise Violated(ConfigViolation("the URL names no file", issue))
    return SqliteBackend(path)
