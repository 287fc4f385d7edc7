"""A URL names a backend, and two name a pair."""

import asyncio
from typing import Any

import pytest
from attrs import define

from arvo.core.violations.violation import Violated
from arvo.interpreters.memory.backend import MemoryBackend
from arvo.interpreters.memory.broker import MemoryBroker
from arvo.interpreters.paired.backend import Pair
from arvo.interpreters.ports.machine_memory import InMemoryMachineMemory
from arvo.interpreters.runtime import backends as connecting
from arvo.interpreters.runtime.backends import connect
from arvo.interpreters.sqlite import SqliteBackend


def test_one_url_is_a_whole_backend() -> None:
    """A file's name may hold a space, which is no second URL."""
    assert isinstance(connect("memory:"), MemoryBackend)
    found = connect("sqlite:///my orders.db")
    assert isinstance(found, SqliteBackend)
    assert found.path == "my orders.db"


def test_two_urls_are_a_memory_and_a_broker() -> None:
    """Any two that each do one half."""
    found = connect("memory: memory:")

    assert isinstance(found, Pair)
    assert isinstance(found.memory, InMemoryMachineMemory)
    assert isinstance(found.broker, MemoryBroker)


def test_a_refusal_tells_no_password() -> None:
    """A URL ends up in logs."""
    with pytest.raises(Violated) as caught:
        connect("mysql://root:secret@db/orders")

    assert "secret" not in str(caught.value)
    assert "mysql:…" in str(caught.value)


def test_a_driver_that_is_missing_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever reads it can type what it says."""
    monkeypatch.setitem(connecting._BROKERS, "kafka", "no_such_driver:broker")

    with pytest.raises(Violated, match=r"pip install 'arvo\[kafka\]'.*no_such_driver"):
        connect("memory: kafka://host")


def test_what_was_opened_by_url_is_closed_with_the_backend() -> None:
    """Nobody else could; what was handed in stays its owner's."""

    @define
    class Closed:
        read: Any = None
        write: Any = None
        closings: int = 0

        async def close(self) -> None:
            self.closings += 1

    for owned in (True, False):
        memory = Closed()
        asyncio.run(Pair(memory, MemoryBroker(), owned=owned).close())
        assert memory.closings == owned
