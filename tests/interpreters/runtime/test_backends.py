"""Backends: a URL names a backend, and two URLs name a pair."""

import asyncio
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
from attrs import define

from arvo.core.violations.violation import Violated
from arvo.interpreters.memory.backend import MemoryBackend
from arvo.interpreters.memory.broker import MemoryBroker
from arvo.interpreters.memory.store import InMemoryMachineMemory
from arvo.interpreters.paired.backend import Pair
from arvo.interpreters.runtime.backends import backend_from_url
from arvo.interpreters.sqlite import SqliteBackend


def test_one_url_is_a_whole_backend() -> None:
    """The name of a file may contain a space, which does not begin a second URL."""
    assert isinstance(backend_from_url("memory:"), MemoryBackend)
    backend = backend_from_url("sqlite:///my orders.db")
    assert isinstance(backend, SqliteBackend)
    assert backend.path == "my orders.db"


def test_two_urls_are_a_memory_and_a_broker() -> None:
    """Any store can be combined with any broker."""
    pair = backend_from_url("memory: memory:")

    assert isinstance(pair, Pair)
    assert isinstance(pair.memory, InMemoryMachineMemory)
    assert isinstance(pair.broker, MemoryBroker)


def refusal(url: str) -> str:
    with pytest.raises(Violated) as refused:
        backend_from_url(url)
    return str(refused.value)


def test_the_refusal_of_a_url_shows_no_password() -> None:
    """A message ends up in logs."""
    message = refusal("mysql://root:secret@db/orders")

    assert "secret" not in message
    assert "got mysql:…" in message


def test_an_unknown_scheme_is_refused_with_the_known_ones_and_how_to_add_one() -> None:
    """The author of a backend learns where to register it."""
    assert refusal("mysql://db") == (
        "ConfigViolation: this URL names no known backend: backend: expected the URL of a backend, "
        "such as `memory:` (known schemes: memory:, nats:, postgres:, postgresql:, redis:, "
        "rediss:, sqlite:, tls:; a package adds one with an entry point in the group "
        "'arvo.backends'), got mysql:…"
    )


@pytest.mark.parametrize(
    ("url", "example"),
    [
        ("orders.db", "sqlite:///orders.db"),
        ("memory", "memory:"),
        ("", "memory:"),
        ("kafka://", "postgresql://user:password@host/database kafka://host:9092"),
        ("amqp://host", "amqp://user:password@host:5672/vhost"),
        ("memory: sqlite:///orders.db", "amqp://user:password@host:5672/vhost"),
        ("sqlite:///orders.db kafka://host:9092", "memory:"),
    ],
)
def test_a_refusal_gives_an_example_of_a_right_url(url: str, example: str) -> None:
    """A reader can copy it. A broker alone is one half of a pair."""
    assert f"{example}`" in refusal(url)


FAKE_MODULE = """
from arvo import InMemoryMachineMemory, MemoryBackend, MemoryBroker

def make_backend(url):
    assert url == "fake://host/orders"
    return MemoryBackend(queue_max=7)

def make_memory(url):
    return InMemoryMachineMemory()

def make_broker(url):
    return MemoryBroker()
"""
FAKE_ENTRY_POINTS = """
[arvo.backends]
fake = fake_backend:make_backend
undriven = undriven_backend:make_backend
broken = broken_backend:make_backend

[arvo.memories]
fakestore = fake_backend:make_memory

[arvo.brokers]
fakequeue = fake_backend:make_broker
"""


def install(folder: Path, name: str, entry_points: str, **modules: str) -> None:
    """Write a distribution as an installer would."""
    metadata = folder / f"{name}-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(entry_points)
    for module, text in modules.items():
        (folder / f"{module}.py").write_text(textwrap.dedent(text))


@pytest.fixture
def fake_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Install packages that register backends, in a folder on the import path."""
    install(
        tmp_path,
        "fake_backend",
        FAKE_ENTRY_POINTS,
        fake_backend=FAKE_MODULE,
        undriven_backend="import asyncpg.unknown_part",
        broken_backend="import no_such_module_of_theirs",
    )
    monkeypatch.syspath_prepend(tmp_path)
    for module in ("fake_backend", "undriven_backend", "broken_backend"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    return tmp_path


@pytest.mark.usefixtures("fake_packages")
def test_a_package_registers_a_backend_by_its_url_scheme() -> None:
    """Anyone can publish a backend: its users only change a URL."""
    backend = backend_from_url("fake://host/orders")

    assert isinstance(backend, MemoryBackend)
    assert backend.queue_max == 7
    assert "fake:, memory:" in refusal("unknown://host")


@pytest.mark.usefixtures("fake_packages")
def test_a_package_registers_the_halves_of_pairs() -> None:
    """They combine with each other and with ours."""
    for url in ("fakestore: fakequeue:", "memory: fakequeue:", "fakestore: memory:"):
        assert isinstance(backend_from_url(url), Pair)
    assert "two URLs, a memory and a broker, such as `fakestore://host kafka://" in refusal(
        "fakestore://host"
    )


@pytest.mark.usefixtures("fake_packages")
def test_a_driver_that_is_missing_is_named_with_its_extra() -> None:
    """A reader can type what the message says. Our project is not the one on the package index."""
    assert refusal("undriven://host") == (
        "ConfigViolation: undriven: needs a driver: backend: expected the extra 'postgres': "
        "run `pip install 'arvo-events[postgres]'`, "
        "got no module 'asyncpg.unknown_part'"
    )


@pytest.mark.usefixtures("fake_packages")
def test_a_registered_module_that_cannot_be_imported_keeps_its_error() -> None:
    """Its author has to fix it."""
    with pytest.raises(ModuleNotFoundError, match="no_such_module_of_theirs"):
        backend_from_url("broken://host")


def test_a_scheme_that_two_packages_register_is_refused(fake_packages: Path) -> None:
    """Otherwise the order of the import path would decide where the data goes."""
    install(fake_packages, "rival", "[arvo.backends]\nfake = rival:make_backend\n")
    (fake_packages / "empty").mkdir()
    sys.path.insert(0, str(fake_packages / "empty"))

    message = refusal("fake://host")

    assert "two packages register the same URL scheme: arvo.backends: fake" in message
    assert "fake_backend:make_backend" in message
    assert "rival:make_backend" in message


def test_a_backend_made_from_urls_closes_its_halves() -> None:
    """No other code could. Halves that the caller made stay open."""

    @define
    class CountsClosings:
        read: Any = None
        write: Any = None
        closings: int = 0

        async def close(self) -> None:
            self.closings += 1

    for owned in (True, False):
        memory = CountsClosings()
        asyncio.run(Pair(memory, MemoryBroker(), owned=owned).close())
        assert memory.closings == owned


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("memory:?x=1", "memory:?x=1"),
        ("memory:orders", "memory:orders"),
        ("redis://host?foo=1", "foo"),
        ("redis://host?lease=soon", "lease"),
        ("memory: kafka://", "kafka://"),
    ],
)
def test_an_unknown_part_of_a_url_is_refused_by_name(url: str, name: str) -> None:
    """A misspelt option would otherwise be ignored, or fail at the first use."""
    with pytest.raises(Violated) as refused:
        backend_from_url(url)

    assert name in str(refused.value)
