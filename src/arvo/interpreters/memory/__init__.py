"""Memory: the backend, the store and the broker that live in one process, for tests and to read."""

from arvo.interpreters.memory.backend import MemoryBackend
from arvo.interpreters.memory.broker import MemoryBroker
from arvo.interpreters.memory.store import InMemoryMachineMemory
from arvo.interpreters.ports.backend import Backend
from arvo.interpreters.ports.broker import Broker
from arvo.interpreters.ports.machine_memory import MachineMemory

__all__ = ["InMemoryMachineMemory", "MemoryBackend", "MemoryBroker", "backend", "broker", "memory"]


def backend(url: str) -> Backend:  # noqa: ARG001 - the signature of every factory
    """Return the backend of `memory:`."""
    return MemoryBackend()


def memory(url: str) -> MachineMemory:  # noqa: ARG001 - the signature of every factory
    """Return the memory of `memory:`."""
    return InMemoryMachineMemory()


def broker(url: str) -> Broker:  # noqa: ARG001 - the signature of every factory
    """Return the broker of `memory:`."""
    return MemoryBroker()
