"""Memory: the backend, the store and the broker that live in one process, for tests and to read."""

from arvo.core.violations.issue import Issue
from arvo.core.violations.violation import ConfigViolation, Violated
from arvo.interpreters.delivery.backend_url import show_url
from arvo.interpreters.memory.backend import MemoryBackend
from arvo.interpreters.memory.broker import MemoryBroker
from arvo.interpreters.memory.store import InMemoryMachineMemory
from arvo.interpreters.ports.backend import Backend
from arvo.interpreters.ports.broker import Broker
from arvo.interpreters.ports.machine_memory import MachineMemory

__all__ = ["InMemoryMachineMemory", "MemoryBackend", "MemoryBroker", "backend", "broker", "memory"]


def backend(url: str) -> Backend:
    """Return the backend of `memory:`."""
    _check(url)
    return MemoryBackend()


def memory(url: str) -> MachineMemory:
    """Return the memory of `memory:`."""
    _check(url)
    return InMemoryMachineMemory()


def broker(url: str) -> Broker:
    """Return the broker of `memory:`."""
    _check(url)
    return MemoryBroker()


def _check(url: str) -> None:
    if url != "memory:":
        issue = Issue("backend", "`memory:` and nothing behind it", show_url(url))
        raise Violated(ConfigViolation("the URL of the backend has a bad option", issue))
