"""Places: the backends that the workers share, each with a server of its own."""

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from attrs import frozen

from tests import servers
from tests.server_process import Server

# As short as a worker on a loaded machine can renew its lease in, where the end of a process is
# noticed by its lease alone; longer where nothing but a freeze waits for it.
LEASE_SECONDS: Final = 5
LONG_LEASE_SECONDS: Final = 10
# RabbitMQ closes a connection when it has received nothing in three of these intervals at the most.
HEARTBEAT_SECONDS: Final = 3


def _always() -> bool:
    return True


@frozen
class Place:
    """A backend at *url*.

    *servers*: what it runs on. *is_paired*: it is a memory and a broker, without an inbox for event
    handlers. *confirms_acks*: False if the server may forget the last acknowledgements of a worker
    that stops. *may_freeze* returns whether a worker that is frozen now blocks no other one.
    *freeze_seconds*: how long a worker is frozen, until others have its deliveries.
    """

    url: str
    servers: Sequence[Server] = ()
    is_paired: bool = False
    confirms_acks: bool = True
    may_freeze: Callable[[], bool] = _always
    freeze_seconds: float = LEASE_SECONDS * 1.5


@contextmanager
def open_place(name: str, folder: Path) -> Iterator[Place]:
    """Start the servers of a backend, and stop them at the end."""
    place = PLACES[name](folder)
    try:
        for server in place.servers:
            server.start()
        yield place
    finally:
        for server in place.servers:
            server.stop()


def _sqlite(folder: Path) -> Place:
    path = folder / "workflows.db"

    def may_freeze() -> bool:
        # A process that is frozen in a write keeps SQLite's lock.
        with closing(sqlite3.connect(path, timeout=0.1, isolation_level=None)) as connection:
            try:
                connection.execute("begin immediate")
            except sqlite3.OperationalError:
                return False
            connection.execute("rollback")
            return True

    return Place(
        f"sqlite:///{path}?lease={LONG_LEASE_SECONDS}",
        may_freeze=may_freeze,
        freeze_seconds=LONG_LEASE_SECONDS * 1.5,
    )


def _postgres(_: Path) -> Place:
    server = servers.postgres()
    return Place(
        f"{server.url}?lease={LONG_LEASE_SECONDS}",
        [server],
        freeze_seconds=LONG_LEASE_SECONDS * 1.5,
    )


def _nats(_: Path) -> Place:
    server = servers.nats()
    return Place(
        f"{server.url}?prefix=e2e&ack_wait={LEASE_SECONDS}",
        [server],
        is_paired=True,
        # The broker does not wait for the answer to an ack.
        confirms_acks=False,
    )


def _redis(_: Path) -> Place:
    server = servers.redis("--appendfsync", "always")
    return Place(f"{server.url}?prefix=e2e&lease={LEASE_SECONDS}", [server], is_paired=True)


def _rabbit(_: Path) -> Place:
    memory, broker = servers.postgres(), servers.rabbit()
    url = f"{memory.url} {broker.url}?heartbeat={HEARTBEAT_SECONDS}"
    return Place(
        url,
        [broker, memory],
        is_paired=True,
        # AMQP has no answer to an ack, and a quorum queue applies it later.
        confirms_acks=False,
        freeze_seconds=HEARTBEAT_SECONDS * 3.5,
    )


PLACES: Final[Mapping[str, Callable[[Path], Place]]] = {
    "sqlite": _sqlite,
    "postgres": _postgres,
    "nats": _nats,
    "redis": _redis,
    "rabbit": _rabbit,
}
