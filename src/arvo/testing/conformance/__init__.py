"""conformance: what a backend, a memory or a broker must do, as classes to subclass."""

from arvo.testing.conformance.backend import BackendConformance
from arvo.testing.conformance.broker import BrokerConformance
from arvo.testing.conformance.memory import MachineMemoryConformance

__all__ = ["BackendConformance", "BrokerConformance", "MachineMemoryConformance"]
