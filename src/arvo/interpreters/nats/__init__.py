"""nats: JetStream as a broker, its key-value store as a memory, and the two paired."""

from arvo.interpreters.nats.broker import NatsBroker
from arvo.interpreters.nats.settings import read
from arvo.interpreters.nats.store import NatsMemory
from arvo.interpreters.ports.broker import Broker
from arvo.interpreters.ports.machine_memory import MachineMemory

__all__ = ["NatsBroker", "NatsMemory", "broker", "memory"]


def memory(url: str) -> MachineMemory:
    """Give the memory of `nats://host`, with settings in its query; others are the broker's."""
    servers, given = read(url)
    known = ("prefix", "replicas", "storage", "bytes_max")
    return NatsMemory(servers, **{name: given[name] for name in known if name in given})


def broker(url: str) -> Broker:
    """Give the broker of `nats://host`, with settings in its query (see `NatsBroker`)."""
    servers, given = read(url)
    return NatsBroker(servers, **given)
