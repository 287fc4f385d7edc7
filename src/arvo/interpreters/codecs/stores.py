"""Stores: a memory and an index whose contents a codec encodes."""

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import final

from attrs import evolve, frozen

from arvo.interpreters.codecs.codec import Codec, Place, Undecodable
from arvo.interpreters.codecs.content import decode_content
from arvo.interpreters.codecs.waiting import decoding, encoding
from arvo.interpreters.ports.errors import Corrupt
from arvo.interpreters.ports.index import HistoryBlock, Index, IndexQuery, IndexRow
from arvo.interpreters.ports.machine_memory import MachineMemory, Stored
from arvo.interpreters.ports.results import Conflict


@final
@frozen
class EncodedMemory:
    """A machine memory that has encoded values. Its keys stay readable."""

    memory: MachineMemory
    codec: Codec

    async def read(self, subject: str) -> Stored | None:
        """Read and decode a value; raises `Corrupt` for one that cannot be decoded."""
        stored = await self.memory.read(subject)
        if stored is None:
            return None
        decode = partial(_decode, stored.record, self.codec, Place("value", subject))
        return Stored(await decoding(self.codec, decode), stored.revision)

    async def write(self, subject: str, record: bytes, expected: int) -> Stored | Conflict:
        """Encode and write a value."""
        encode = partial(self.codec.encode, record, Place("value", subject))
        content = await encoding(self.codec, encode)
        written = await self.memory.write(subject, content, expected)
        return written if isinstance(written, Conflict) else Stored(record, written.revision)


@final
@frozen
class EncodedIndex:
    """An index that has encoded histories. Its rows stay readable: it selects by them."""

    index: Index
    codec: Codec

    async def write(self, row: IndexRow, blocks: Sequence[HistoryBlock]) -> None:
        """Write a row, and encoded blocks."""
        encoded = []
        for block in blocks:
            encode = partial(self.codec.encode, block.content, _place(row.subject, block))
            encoded.append(evolve(block, content=await encoding(self.codec, encode)))
        await self.index.write(row, encoded)

    async def search(self, query: IndexQuery) -> Sequence[IndexRow]:
        """Return the rows that match."""
        return await self.index.search(query)

    async def blocks(self, subject: str, start: int, end: int) -> Sequence[HistoryBlock]:
        """Read and decode blocks; raises `Corrupt` for one that cannot be decoded."""
        decoded = []
        for block in await self.index.blocks(subject, start, end):
            decode = partial(_decode, block.content, self.codec, _place(subject, block))
            decoded.append(evolve(block, content=await decoding(self.codec, decode)))
        return decoded

    async def delete_ended(self, before: datetime, limit: int) -> int:
        """Delete workflows that have ended."""
        return await self.index.delete_ended(before, limit)


def _place(subject: str, block: HistoryBlock) -> Place:
    return Place("history", subject, str(block.position))


def _decode(content: bytes, codec: Codec, place: Place) -> bytes:
    try:
        return decode_content(content, codec, place)
    except Undecodable as error:
        raise Corrupt(f"the store: {error}") from error
