"""DSN: the URL of a SQLite backend, read as a path and options."""

from typing import Any, Final

from arvo.core.violations.issue import Issue
from arvo.core.violations.violation import ConfigViolation, Violated
from arvo.interpreters.delivery.backend_url import show_url
from arvo.interpreters.delivery.retention import RETENTION_OPTIONS, Retention
from arvo.interpreters.delivery.url_options import COUNT, SECONDS, YES_OR_NO, parse_options

_OPTIONS: Final = {
    "full_sync": YES_OR_NO,
    "lease": SECONDS,
    "queue_max": COUNT,
    **RETENTION_OPTIONS,
}
_SCHEME: Final = "sqlite:///"


def parse_dsn(url: str) -> tuple[str, dict[str, Any]]:
    """Return the path in a URL, and the options in its query by the names of `SqliteBackend`.

    Everything after the first `?` is the query. Raises `Violated` where the path is missing, and
    for an option that is unknown or has a bad value.

    >>> parse_dsn("sqlite:///orders.db?full_sync=no&lease=10")
    ('orders.db', {'full_sync': False, 'lease': 10.0})
    """
    path, _, query = url.removeprefix(_SCHEME).partition("?")
    if not url.startswith(_SCHEME) or not path or "\0" in path:
        got = repr(show_url(url))
        issue = Issue("backend", "sqlite:///orders.db, or sqlite:////var/lib/orders.db", got)
        raise Violated(ConfigViolation("the URL names no file", issue))
    options = parse_options(query, _OPTIONS)
    stored = {name: options.pop(name) for name in RETENTION_OPTIONS if name in options}
    return path, options | ({"retention": Retention().with_options(stored)} if stored else {})
