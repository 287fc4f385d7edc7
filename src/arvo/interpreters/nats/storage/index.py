"""Index: the lists and histories of workflows in JetStream, in a stream and a bucket."""

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Final, final

from attrs import define, field

from arvo.core.record import ENDED_STATUSES
from arvo.interpreters.nats.connection.connection import Connection
from arvo.interpreters.nats.connection.errors import (
    NAME_IN_USE,
    NO_MESSAGE,
    NO_STREAM,
    WRONG_SEQUENCE,
)
from arvo.interpreters.nats.connection.settings import Storage
from arvo.interpreters.nats.connection.wire import EXPECTED_LAST, stored_body
from arvo.interpreters.nats.storage.bucket import PAUSE_SECONDS, REFUSALS_MAX, Bucket
from arvo.interpreters.nats.storage.rows import RowStream, StoredRow, decode_row, encode_row
from arvo.interpreters.nats.storage.search import search_prompt
from arvo.interpreters.ports.errors import Unavailable
from arvo.interpreters.ports.index import (
    BLOCK_ENTRIES_MAX,
    HistoryBlock,
    IndexQuery,
    IndexRow,
)

# Rows as this process last wrote them. One that drops out is read before it is written again.
ROWS_MAX: Final = 10_000
# A row that is stored so long after its workflow changed is not found by when it was stored, nor
# is one of a machine whose clock differs so much from that of the server.
LATE: Final = timedelta(seconds=10)
_EXPECTED_SUBJECT: Final = "Nats-Expected-Last-Subject-Sequence-Subject"


@final
@define(eq=False)
class NatsIndex:
    """An `Index` in the stream `<prefix>-index` and the bucket `<prefix>-history`.

    A row is the last message of its subject, `<prefix>-index.<time>.<status>.<handler>.<id>.<key>`:
    *time* is `late`, or `prompt` for rows that are stored in about the order of their times;
    handler, workflow id and subject are hashed. Reads of rows may be answered by a follower.
    """

    connection: Connection
    prefix: str
    replicas: int = 1
    storage: Storage = "file"
    bytes_max: int | None = None
    _history: Bucket = field(init=False)
    _rows: RowStream = field(init=False)
    _written: "OrderedDict[str, StoredRow]" = field(factory=OrderedDict, init=False)

    def __attrs_post_init__(self) -> None:
        settings = f"{self.prefix}-history", self.replicas, self.storage, self.bytes_max
        self._history = Bucket(self.connection, *settings)
        self._rows = RowStream(self.connection, self.stream)

    @property
    def stream(self) -> str:
        """The stream of the rows, and the first token of its subjects."""
        return f"{self.prefix}-index"

    async def write(self, row: IndexRow, blocks: Sequence[HistoryBlock]) -> None:
        """Store a row, and blocks that are not stored yet."""
        await self._declare()
        key = _token(row.subject)
        writes = (
            # A conflict: it is stored.
            self._history.write(f"{key}.{block.position}", _encode(block), 0)
            for block in blocks
        )
        is_first = bool(blocks) and blocks[0].position == 0
        await asyncio.gather(self._write_row(row, is_first=is_first), *writes)

    async def search(self, query: IndexQuery) -> tuple[IndexRow, ...]:
        """Return the rows that match, the most recently changed first."""
        if query.limit <= 0:
            return ()
        await self._declare()
        found: tuple[IndexRow, ...] = ()
        times = "late" if query.workflow_id is None else "*"
        async for batch in self._rows.read(_pattern(self.stream, query, times)):
            found = query.select((*found, *(stored.row for stored in batch)))
        if times == "*":
            return found
        pattern = _pattern(self.stream, query, "prompt")
        return await search_prompt(self._rows, pattern, query, found)

    async def blocks(self, subject: str, start: int, end: int) -> tuple[HistoryBlock, ...]:
        """Return the blocks of a workflow with entries from *start* to before *end*."""
        key, first = _token(subject), max(0, start - BLOCK_ENTRIES_MAX + 1)
        positions = range(first, end)
        stored = await asyncio.gather(*(self._history.read(f"{key}.{at}") for at in positions))
        blocks = (
            HistoryBlock(position, each.record[0], each.record[1:])
            for position, each in zip(positions, stored, strict=True)
            if each is not None
        )
        return tuple(block for block in blocks if block.position + block.length > start)

    async def delete_ended(self, before: datetime, limit: int) -> int:
        """Delete workflows that have ended before, with their histories."""
        await self._declare()
        # A history that begins anew meanwhile is stored behind this.
        last = await self._history.last()
        ended: list[StoredRow] = []
        for status in ENDED_STATUSES:
            for times in ("late", "prompt"):
                pattern = _pattern(self.stream, IndexQuery(status=status), times)
                async for batch in self._rows.read(pattern):
                    old = [stored for stored in batch if stored.row.changed < before]
                    ended += old
                    if len(ended) >= limit or (times == "prompt" and len(old) < len(batch)):
                        break
        for stored in ended[:limit]:
            await self._purge(_row_pattern(self.stream, stored.row), stored.sequence + 1)
            await self._history.delete_all(_token(stored.row.subject), last + 1)
        return len(ended[:limit])

    async def _write_row(self, row: IndexRow, *, is_first: bool) -> None:
        """Store a row in place of one of a lower revision.

        *is_first*: whether there is hardly one, so that none is read before the first attempt.
        """
        pattern, key = _row_pattern(self.stream, row), _token(row.subject)
        before = self._written.get(key)
        if before is None and not is_first:
            before = await self._last(pattern)
        for _ in range(REFUSALS_MAX):
            if before is not None and before.row.revision >= row.revision:
                # The process that wrote it may have died before it deleted those of other subjects.
                await self._purge(pattern, before.sequence)
                return
            stored = await self._set(row, pattern, before)
            if stored is not None:
                if before is not None and before.name != stored.name:
                    await self._purge(pattern, stored.sequence)
                self._remember(key, stored)
                return
            newest = await self._last(pattern)
            if newest == before:
                # A cluster refuses a write while another one is on its way to the replicas.
                await asyncio.sleep(PAUSE_SECONDS)
            before = newest
        raise Unavailable(f"nats: a row of {self.stream} was refused {REFUSALS_MAX} times")

    async def _set(self, row: IndexRow, pattern: str, before: StoredRow | None) -> StoredRow | None:
        """Store a row behind *before*; None if that is not the last one of its workflow."""
        distance = abs(await self._rows.now() - row.changed)
        times = "late" if distance > LATE else "prompt"
        name = f"{self.stream}.{times}.{row.status}.{_identity(row)}"
        expected = str(0 if before is None else before.sequence)
        headers = {EXPECTED_LAST: expected, _EXPECTED_SUBJECT: pattern}
        reply = await self.connection.request(name, encode_row(row), headers)
        content = self.connection.read_reply(reply, WRONG_SEQUENCE)
        return None if "error" in content else StoredRow(row, name, int(content["seq"]))

    async def _last(self, pattern: str) -> StoredRow | None:
        call = f"STREAM.MSG.GET.{self.stream}"
        reply = await self.connection.call_api(call, {"last_by_subj": pattern}, {NO_MESSAGE})
        message = reply.get("message")
        if message is None:
            return None
        return StoredRow(decode_row(stored_body(message)), message["subject"], message["seq"])

    async def _purge(self, pattern: str, before: int) -> None:
        request = {"filter": pattern, "seq": before}
        await self.connection.call_api(f"STREAM.PURGE.{self.stream}", request)

    def _remember(self, key: str, stored: StoredRow) -> None:
        self._written.pop(key, None)
        if stored.row.status not in ENDED_STATUSES:
            self._written[key] = stored
            if len(self._written) > ROWS_MAX:
                self._written.popitem(last=False)

    async def _declare(self) -> None:
        if self.stream in self.connection.declared:
            return
        await self.connection.client()
        async with self.connection.declaring:
            call_api = self.connection.call_api
            info = await call_api(f"STREAM.INFO.{self.stream}", expected={NO_STREAM})
            if "error" in info:
                config = {
                    "name": self.stream,
                    "subjects": [f"{self.stream}.>"],
                    "storage": self.storage,
                    "num_replicas": self.replicas,
                    "max_msgs_per_subject": 1,
                    "max_bytes": -1 if self.bytes_max is None else self.bytes_max,
                    "discard": "new",
                    "allow_direct": True,
                }
                await call_api(f"STREAM.CREATE.{self.stream}", config, {NAME_IN_USE})
            self.connection.declared.add(self.stream)


def _pattern(stream: str, query: IndexQuery, times: str) -> str:
    """Return the subjects of the rows that a query may select."""
    handler = "*" if query.handler is None else _token(query.handler)
    id_ = "*" if query.workflow_id is None else _token(query.workflow_id)
    return f"{stream}.{times}.{query.status or '*'}.{handler}.{id_}.*"


def _row_pattern(stream: str, row: IndexRow) -> str:
    """Return the subjects that the row of one workflow may have."""
    return f"{stream}.*.*.{_identity(row)}"


def _identity(row: IndexRow) -> str:
    return f"{_token(row.handler)}.{_token(row.workflow_id)}.{_token(row.subject)}"


def _token(text: str) -> str:
    # A text may be longer than a token, and have any characters.
    return blake2b(text.encode(errors="surrogatepass"), digest_size=16).hexdigest()


def _encode(block: HistoryBlock) -> bytes:
    return bytes((block.length,)) + block.content
