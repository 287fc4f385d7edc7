"""Fixtures: a schema for each test, and a server of its own for tests that stop it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import servers
from tests.interpreters.postgres.schemas import schema_url
from tests.server_process import Server


@pytest.fixture
def url(tmp_path: Path) -> str:
    """The URL of a schema of its own."""
    return schema_url(tmp_path)


@pytest.fixture
def server() -> Iterator[Server]:
    """A server that a test may stop and start."""
    started = servers.postgres("fsync=off")
    started.start()
    yield started
    started.stop()
