"""sqlite: the default backend, which stores everything in one file."""

from arvo.interpreters.ports.backend import Backend
from arvo.interpreters.sqlite.backend import SqliteBackend
from arvo.interpreters.sqlite.connection.connection import installed_version
from arvo.interpreters.sqlite.connection.dsn import parse_dsn
from arvo.interpreters.sqlite.connection.migrations import SCHEMA_VERSION

__all__ = ["SCHEMA_VERSION", "SqliteBackend", "backend", "installed_version", "parse_dsn"]


def backend(url: str) -> Backend:
    """Make the backend of `sqlite:///orders.db` (a relative path) or `sqlite:////var/orders.db`.

    The query may hold `full_sync`, `lease` and `queue_max`: see `SqliteBackend`; and
    `dead_letters_max` and `dead_letters_days`: see `Retention`.
    """
    path, options = parse_dsn(url)
    return SqliteBackend(path, **options)
