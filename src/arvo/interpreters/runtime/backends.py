"""Connect: from a backend's URL to the backend."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any, Final

from arvo.core.violations.issue import Issue
from arvo.core.violations.violation import ConfigViolation, Violated
from arvo.interpreters.memory.backend import MemoryBackend
from arvo.interpreters.memory.broker import MemoryBroker
from arvo.interpreters.paired.backend import Pair
from arvo.interpreters.ports.backend import Backend
from arvo.interpreters.ports.broker import Broker
from arvo.interpreters.ports.machine_memory import InMemoryMachineMemory, MachineMemory

# By scheme, a module and its function from the URL to what is wanted, loaded only where it is:
# importing arvo loads no driver.
_WHOLE: Final[Mapping[str, str]] = {
    "postgres": "arvo.interpreters.postgres:backend",
    "postgresql": "arvo.interpreters.postgres:backend",
    "sqlite": "arvo.interpreters.sqlite:backend",
}
_MEMORIES: Final[Mapping[str, str]] = {
    "nats": "arvo.interpreters.nats:memory",
    "postgres": "arvo.interpreters.postgres:memory",
    "postgresql": "arvo.interpreters.postgres:memory",
    "redis": "arvo.interpreters.redis:memory",
    "rediss": "arvo.interpreters.redis:memory",
    "tls": "arvo.interpreters.nats:memory",
}
_BROKERS: Final[Mapping[str, str]] = {
    "amqp": "arvo.interpreters.rabbit:broker",
    "amqps": "arvo.interpreters.rabbit:broker",
    "kafka": "arvo.interpreters.kafka:broker",
    "nats": "arvo.interpreters.nats:broker",
    "redis": "arvo.interpreters.redis:broker",
    "rediss": "arvo.interpreters.redis:broker",
    "tls": "arvo.interpreters.nats:broker",
}
# What a scheme's driver is installed by.
_EXTRAS: Final[Mapping[str, str]] = {
    "amqp": "rabbit",
    "amqps": "rabbit",
    "kafka": "kafka",
    "nats": "nats",
    "postgres": "postgres",
    "postgresql": "postgres",
    "redis": "redis",
    "rediss": "redis",
    "tls": "nats",
}


def connect(backend: str | Backend) -> Backend:
    """Give the backend that a URL names; a backend is given back as it is.

    `memory:` holds everything in this process, `sqlite:///orders.db` in a file (a relative path;
    `sqlite:////var/lib/orders.db` an absolute one). Two URLs with a space between them are a pair
    (see `paired`): first the memory, then the broker. One URL whose engine is both, such as
    `nats://host`, is the pair of its own two. Nothing is reached before it is used. Any other URL
    is refused with `Violated`, and so is one whose driver is not installed.
    """
    if not isinstance(backend, str):
        return backend
    scheme, urls = _scheme(backend), backend.split()
    # A path may hold spaces.
    if scheme in _WHOLE and (len(urls) == 1 or scheme not in _MEMORIES):
        whole: Backend = _made(_WHOLE, backend)
        return whole
    if len(urls) == 1:
        if scheme == "memory":
            return MemoryBackend()
        urls *= 2
    if len(urls) != 2:
        raise _unknown(backend)
    return Pair(connect_memory(urls[0]), connect_broker(urls[1]), owned=True)


def connect_memory(url: str) -> MachineMemory:
    """Give the machine memory that a URL names; refuses as `connect` does."""
    if _scheme(url) == "memory":
        return InMemoryMachineMemory()
    memory: MachineMemory = _made(_MEMORIES, url)
    return memory


def connect_broker(url: str) -> Broker:
    """Give the broker that a URL names; refuses as `connect` does."""
    if _scheme(url) == "memory":
        return MemoryBroker()
    broker: Broker = _made(_BROKERS, url)
    return broker


def _scheme(url: str) -> str:
    scheme, colon, _ = url.partition(":")
    return scheme if colon else ""


def _made(known: Mapping[str, str], url: str) -> Any:
    scheme = _scheme(url)
    if scheme not in known:
        raise _unknown(url)
    module, _, function = known[scheme].partition(":")
    try:
        found = getattr(import_module(module), function)
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("arvo"):
            raise
        extra = _EXTRAS[scheme]
        issue = Issue("backend", f"`pip install 'arvo[{extra}]'`", f"no module {error.name!r}")
        raise Violated(ConfigViolation(f"{scheme}: needs a driver", issue)) from error
    return found(url)


def _unknown(backend: str) -> Violated:
    memories, brokers = {"memory", *_MEMORIES}, {"memory", *_BROKERS}
    one = ", ".join(f"{each}:" for each in sorted({*_WHOLE, *(memories & brokers)}))
    two = f"two of them ({', '.join(sorted(memories))}, then {', '.join(sorted(brokers))})"
    # Not the URL itself, which may hold a password.
    got = " ".join(f"{_scheme(url)}:…" for url in backend.split()) or repr(backend)
    issue = Issue("backend", f"{one} {two}, or a Backend of your own", got)
    return Violated(ConfigViolation("no backend is known by this URL", issue))
