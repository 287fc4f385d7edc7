"""Wrong reports: the memory backend, whose reports break one promise each."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from arvo.interpreters.ports.messages import Delivery
from tests.testing.conformance.wrong import Correct


class WrongReader:
    """A reader without its bounds; subclasses change what it returns."""

    def __init__(self) -> None:
        self.batches: list[bytes] = []

    async def take(self) -> Sequence[bytes]:
        taken, self.batches = self.batches, []
        return taken


class WrongReports:
    """Reports of one process; subclasses break a promise."""

    def __init__(self) -> None:
        self.readers: list[tuple[str, WrongReader]] = []
        self.earlier: list[tuple[str, bytes]] = []

    async def publish(self, delivery: Delivery, batch: bytes) -> None:
        subject = delivery.message.event.subject
        self.earlier.append((subject, batch))
        self.put(subject, batch)

    def put(self, subject: str, batch: bytes) -> None:
        for read, reader in self.readers:
            if read == subject:
                reader.batches.append(batch)

    @asynccontextmanager
    async def read(self, subject: str) -> AsyncIterator[WrongReader]:
        reader = WrongReader()
        self.readers.append((subject, reader))
        yield reader


class WithReports(Correct):
    """The memory backend with reports of its own."""

    _Reports: type[WrongReports] = WrongReports

    def __init__(self, queue_max: int) -> None:
        super().__init__(queue_max)
        self.reports = self._Reports()


class ReportsWithoutBound(WithReports):
    pass


class ReportsToAll(WithReports):
    class _Reports(WrongReports):
        def put(self, subject: str, batch: bytes) -> None:  # noqa: ARG002 - the fault
            for _, reader in self.readers:
                reader.batches.append(batch)


class ReportsToOneReader(WithReports):
    class _Reports(WrongReports):
        def put(self, subject: str, batch: bytes) -> None:
            found = [reader for read, reader in self.readers if read == subject]
            for reader in found[:1]:
                reader.batches.append(batch)


class ReportsTwice(WithReports):
    class _Reports(WrongReports):
        def put(self, subject: str, batch: bytes) -> None:
            super().put(subject, batch)
            super().put(subject, batch)


class ReportsFromBefore(WithReports):
    class _Reports(WrongReports):
        @asynccontextmanager
        async def read(self, subject: str) -> AsyncIterator[WrongReader]:
            async with super().read(subject) as reader:
                reader.batches += [batch for read, batch in self.earlier if read == subject]
                yield reader


class ReportsNewestFirst(WithReports):
    class _Reports(WrongReports):
        def put(self, subject: str, batch: bytes) -> None:
            for read, reader in self.readers:
                if read == subject:
                    reader.batches.insert(0, batch)
