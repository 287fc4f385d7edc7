"""DSN: a URL names a file and options, or is refused."""

from typing import Any

import pytest

from arvo import Violated
from arvo.interpreters.runtime.backends import backend_from_url
from arvo.interpreters.sqlite import SqliteBackend
from arvo.interpreters.sqlite.connection.dsn import parse_dsn


@pytest.mark.parametrize(
    ("url", "path", "options"),
    [
        ("sqlite:///orders.db", "orders.db", {}),
        ("sqlite:////var/orders.db", "/var/orders.db", {}),
        ("sqlite:///my orders.db", "my orders.db", {}),
        ("sqlite:///orders.db?", "orders.db", {}),
        ("sqlite:///orders.db?full_sync=no", "orders.db", {"full_sync": False}),
        ("sqlite:///orders.db?lease=5&queue_max=10", "orders.db", {"lease": 5.0, "queue_max": 10}),
    ],
)
def test_a_url_names_a_file_and_options(url: str, path: str, options: dict[str, Any]) -> None:
    """Relative with three slashes, absolute with four; options by the names of the constructor."""
    assert parse_dsn(url) == (path, options)

    backend = backend_from_url(url)
    assert isinstance(backend, SqliteBackend)
    assert backend.path == path
    assert {name: getattr(backend, name) for name in options} == options


@pytest.mark.parametrize("url", ["sqlite:orders.db", "sqlite://orders.db", "sqlite:///"])
def test_a_url_without_a_path_is_refused(url: str) -> None:
    """Three slashes and a file."""
    with pytest.raises(Violated, match=r"sqlite:///orders\.db"):
        backend_from_url(url)


@pytest.mark.parametrize(
    ("url", "issue"),
    [
        (
            "sqlite:///orders.db?fullsync=no",
            (
                "fullsync: expected one of dead_letters_days, dead_letters_max, full_sync, lease, "
                "queue_max, got an unknown option"
            ),
        ),
        ("sqlite:///orders.db?full_sync=maybe", "full_sync: expected yes or no, got 'maybe'"),
        ("sqlite:///orders.db?lease=-1", "lease: expected a number of seconds above 0, got '-1'"),
        ("sqlite:///?full_sync=no", "sqlite:///orders.db"),
    ],
)
def test_a_bad_option_is_refused_by_name(url: str, issue: str) -> None:
    """It would become a part of the file's name, and the backend would run without the option."""
    with pytest.raises(Violated) as refused:
        backend_from_url(url)

    assert issue in str(refused.value)
