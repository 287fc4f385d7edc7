"""Ports: no two servers of tests get the same one, though each listens only later."""

import pytest

from tests import server_process
from tests.server_process import free_port


def test_a_port_is_chosen_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four parts of the tests run at the same time, and a server that restarts does not listen."""
    first = free_port()
    monkeypatch.setattr(server_process, "PORTS", (first, first + 60))

    ports = {first, *(free_port() for _ in range(20))}

    assert len(ports) == 21
