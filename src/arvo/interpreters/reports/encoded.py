"""Encoded: a channel whose batches a codec encodes."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import final

from attrs import frozen

from arvo.interpreters.codecs.codec import Codec, Place, Undecodable
from arvo.interpreters.codecs.content import decode_content, encode_content
from arvo.interpreters.ports.errors import Corrupt
from arvo.interpreters.ports.messages import Delivery
from arvo.interpreters.reports.channel import ReportChannel, ReportReader


@final
@frozen
class EncodedReports:
    """A `ReportChannel` that encodes batches by *codec*, if there is one."""

    channel: ReportChannel
    codec: Codec | None

    async def publish(self, delivery: Delivery, batch: bytes) -> None:
        """Encode and publish a batch."""
        place = Place("report", delivery.message.event.subject)
        await self.channel.publish(delivery, encode_content(batch, self.codec, place))

    @asynccontextmanager
    async def read(self, subject: str) -> AsyncIterator["EncodedReader"]:
        """Return a context with a reader of a subject."""
        async with self.channel.read(subject) as reader:
            yield EncodedReader(reader, self.codec, subject)


@final
@frozen
class EncodedReader:
    """A `ReportReader` that decodes batches."""

    reader: ReportReader
    codec: Codec | None
    subject: str

    async def take(self) -> Sequence[bytes]:
        """Return the decoded batches; raises `Corrupt` for one that cannot be decoded."""
        place = Place("report", self.subject)
        try:
            return [decode_content(batch, self.codec, place) for batch in await self.reader.take()]
        except Undecodable as error:
            raise Corrupt(f"the reports: {error}") from error
