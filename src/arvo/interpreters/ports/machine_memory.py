"""Machine memory: the protocol of a store with compare-and-set, one half of a paired backend."""

from typing import Protocol, final, runtime_checkable

from attrs import frozen

from arvo.interpreters.ports.results import Conflict


@final
@frozen
class Stored:
    """A value in a store.

    *record*: the bytes as they were written; a store does not interpret them. *revision*: the
    version of the value, 1 or more, and greater than the revision of every earlier version.
    """

    record: bytes
    revision: int


class MachineMemory(Protocol):
    """Stores one value per subject: the small port for a store of your own.

    A subject is a text of any length with any characters; hash it if your keys must be shorter.
    `paired` makes a backend of a `MachineMemory` and a `Broker`. It needs no list and no lock.
    When a write has returned, its effect survives every failure that the store promises to survive.

    Both operations raise `Unavailable` when a retry can succeed, `Corrupt` when an operator must
    act, and nothing else. A write that raised `Unavailable` may have been applied, because the
    answer can be lost: `paired` reads before it writes again. A store may delete workflows that
    have ended, once its broker can no longer redeliver any of their messages.
    """

    async def read(self, subject: str) -> Stored | None:
        """Return the value of a subject, or None if there is none.

        Linearizable: it sees every write that has returned before. A replica that lags is not
        enough.
        """
        ...

    async def write(self, subject: str, record: bytes, expected: int) -> Stored | Conflict:
        """Store *record* if the stored revision is *expected* (0: no value), and return it.

        Compare and set are one atomic operation: of two writers that expect the same revision, one
        gets a `Conflict` with the stored revision (0: no value), and has changed nothing.
        """
        ...


@runtime_checkable
class Closeable(Protocol):
    """A memory or a broker with open connections; when it is used again, it opens new ones."""

    async def close(self) -> None:
        """Close the connections."""
        ...
