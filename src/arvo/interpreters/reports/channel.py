"""Channel: the protocol by which a backend carries reports from workers to watchers."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol, runtime_checkable

from arvo.interpreters.ports.backend import Backend
from arvo.interpreters.ports.messages import Delivery


class ReportReader(Protocol):
    """The reports of one workflow, for one watcher."""

    async def take(self) -> Sequence[bytes]:
        """Return the batches that were published since the last call, oldest first; it does not
        wait for one. The oldest are dropped where the watcher is slow.
        """
        ...


class ReportChannel(Protocol):
    """Carries reports, at most once: it stores them no longer than watchers take to read them.

    Batches are opaque. Its operations raise `Unavailable` and `Corrupt` as those of the backend do.
    """

    async def publish(self, delivery: Delivery, batch: bytes) -> None:
        """Pass a batch on to each reader of the delivery's subject, in any process.

        A batch has at most BATCH_BYTES_MAX bytes. It is dropped where there is no reader, and where
        the delivery belongs to another worker by now, as far as the backend knows. It does not wait
        for a reader.
        """
        ...

    def read(self, subject: str) -> AbstractAsyncContextManager[ReportReader]:
        """Return a context with a reader, which gets each batch of *subject* that is published
        after it was entered. It may miss some; it gets none twice.
        """
        ...


@runtime_checkable
class CarriesReports(Protocol):
    """A backend, a broker or a machine memory that carries the reports of effects to watchers.

    Without it `Client.watch` gives the history alone, and `Client.carries_reports` is False.
    """

    @property
    def reports(self) -> ReportChannel | None:
        """The channel; None where it has none after all."""
        ...


def find_channel(backend: Backend) -> ReportChannel | None:
    """Return the channel of a backend, None if it has none."""
    return backend.reports if isinstance(backend, CarriesReports) else None
