"""NATS: JetStream as a broker, and its key-value store as a machine memory."""

from arvo.interpreters.nats.broker import NatsBroker
from arvo.interpreters.nats.settings import parse_url
from arvo.interpreters.nats.store import NatsMemory
from arvo.interpreters.ports.broker import Broker
from arvo.interpreters.ports.machine_memory import MachineMemory

__all__ = ["NatsBroker", "NatsMemory", "broker", "memory"]


def memory(url: str) -> MachineMemory:
    """Return the memory of `nats://host`; settings in the query that only a broker has are ignored.

    See `NatsMemory` for the settings.
    """
    servers, settings = parse_url(url)
    known = ("prefix", "replicas", "storage", "bytes_max")
    return NatsMemory(servers, **{name: settings[name] for name in known if name in settings})


def broker(url: str) -> Broker:
    """Return the broker of `nats://host`, with settings in its query (see `NatsBroker`)."""
    servers, settings = parse_url(url)
    return NatsBroker(servers, **settings)
