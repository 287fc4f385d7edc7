"""NATS: JetStream as a broker, and its key-value store as a machine memory."""

from arvo.interpreters.nats.broker import NatsBroker
from arvo.interpreters.nats.connection.settings import parse_url
from arvo.interpreters.nats.store import NatsMemory
from arvo.interpreters.ports.broker import Broker
from arvo.interpreters.ports.machine_memory import MachineMemory

__all__ = ["NatsBroker", "NatsMemory", "broker", "memory"]


def memory(url: str) -> MachineMemory:
    """Return the memory of `nats://host`; settings in the query that only a broker has are ignored.

    See `NatsMemory` for the settings; `index=no` is `has_index=False`.
    """
    servers, settings = parse_url(url)
    known = ("prefix", "replicas", "storage", "bytes_max")
    options = {name: settings[name] for name in known if name in settings}
    return NatsMemory(servers, has_index=settings.get("index", True), **options)


def broker(url: str) -> Broker:
    """Return the broker of `nats://host`, with settings in its query (see `NatsBroker`)."""
    servers, settings = parse_url(url)
    settings.pop("index", None)
    return NatsBroker(servers, **settings)
