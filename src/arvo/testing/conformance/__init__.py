"""Conformance: test classes that every backend, machine memory, index and broker must pass."""

from arvo.testing.conformance.backend import BackendConformance
from arvo.testing.conformance.broker import BrokerConformance
from arvo.testing.conformance.key_order import OrderedBrokerConformance
from arvo.testing.conformance.memory import IndexConformance, MachineMemoryConformance

__all__ = [
    "BackendConformance",
    "BrokerConformance",
    "IndexConformance",
    "MachineMemoryConformance",
    "OrderedBrokerConformance",
]
