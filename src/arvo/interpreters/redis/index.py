"""Index: the lists and histories of workflows in Redis, in sorted sets, hashes and streams."""

import asyncio
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, final

from attrs import define

from arvo.core.record import ENDED_STATUSES, STATUSES
from arvo.interpreters.ports.index import (
    BLOCK_ENTRIES_MAX,
    HistoryBlock,
    IndexQuery,
    IndexRow,
)
from arvo.interpreters.redis.connection import CALL_SECONDS_MAX, Connection
from arvo.interpreters.redis.errors import translate_errors

# Rows that are read at once.
ROWS_MAX: Final = 100
_FIELDS: Final = ("handler", "status", "revision", "began", "changed", "id", "labels", "version")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


@final
@define(eq=False)
class RedisIndex:
    """An `Index` under the keys of one *prefix*.

    The sorted sets `{prefix}:index:{status}` and `{prefix}:index:{status}:{handler}` have the
    subjects by the time they changed, the set `{prefix}:index-id:{workflow id}` those with that id.
    A row is the hash `{prefix}:index-row:{subject}`, a history the stream
    `{prefix}:index-history:{subject}`.
    """

    connection: Connection
    prefix: str

    async def write(self, row: IndexRow, blocks: Sequence[HistoryBlock]) -> None:
        """Store a row and blocks, as one operation of the server."""
        arguments: list[Any] = [self.prefix, row.subject, row.handler, row.status, row.revision]
        arguments += [_microseconds(row.began), _microseconds(row.changed)]
        arguments += [row.workflow_id, row.labels, row.version]
        for block in blocks:
            arguments += (block.position, block.length, block.content)
        keys = [self._key("index-row", row.subject), self._key("index-history", row.subject)]
        await self.connection.run("index", keys, arguments)

    async def search(self, query: IndexQuery) -> tuple[IndexRow, ...]:
        """Return the rows that match, the most recently changed first."""
        if query.workflow_id is not None:
            key = self._key("index-id", query.workflow_id)
            subjects = await self._call("SMEMBERS", key)
            return query.select(await self._rows(subjects))
        statuses = STATUSES if query.status is None else (query.status,)
        pages = await asyncio.gather(*(self._scan(status, query) for status in statuses))
        return query.select(row for page in pages for row in page)

    async def blocks(self, subject: str, start: int, end: int) -> tuple[HistoryBlock, ...]:
        """Return the blocks of a workflow with entries from *start* to before *end*."""
        first, key = max(0, start - BLOCK_ENTRIES_MAX) + 1, self._key("index-history", subject)
        entries = await self._call("XRANGE", key, f"{first}-0", f"{end}-0")
        blocks = [
            HistoryBlock(int(id_.split(b"-")[0]) - 1, int(fields[b"length"]), fields[b"content"])
            for id_, fields in entries
        ]
        return tuple(block for block in blocks if block.position + block.length > start)

    async def delete_ended(self, before: datetime, limit: int) -> int:
        """Delete workflows that have ended before, with their histories."""
        deleted = 0
        for status in ENDED_STATUSES:
            arguments = [self.prefix, _microseconds(before), limit - deleted]
            key = self._key("index", status)
            deleted += await self.connection.run("delete_ended", [key], arguments)
        return deleted

    async def _scan(self, status: str, query: IndexQuery) -> list[IndexRow]:
        """Return the first rows of one status that match, at most as many as the query asks for."""
        key = self._key("index", status)
        if query.handler is not None:
            key = f"{key}:{query.handler}"
        highest, passed, found = _highest(query), 0, list[IndexRow]()
        while len(found) < query.limit:
            page = await self._call(
                "ZREVRANGEBYSCORE", key, highest, "-inf", "WITHSCORES", "LIMIT", passed, ROWS_MAX
            )
            subjects, scores = page[::2], page[1::2]
            found += filter(query.matches, await self._rows(subjects))
            if len(subjects) < ROWS_MAX:
                break
            # The next page begins among those that changed at the same time as the last one.
            last = scores[-1].decode()
            passed = scores.count(scores[-1]) + (passed if last == highest else 0)
            highest = last
        return found[: query.limit]

    async def _rows(self, subjects: Iterable[bytes]) -> list[IndexRow]:
        """Read rows; one that was deleted meanwhile is left out."""
        keys = {subject: self._key("index-row", subject.decode()) for subject in subjects}
        read = await asyncio.gather(*(self._call("HMGET", key, *_FIELDS) for key in keys.values()))
        return [
            _decode(subject, fields)
            for subject, fields in zip(keys, read, strict=True)
            if fields[0] is not None
        ]

    async def _call(self, *command: Any) -> Any:
        with translate_errors():
            async with asyncio.timeout(CALL_SECONDS_MAX):
                # The driver's methods have types that are not those of undecoded replies.
                redis: Any = self.connection.redis
                return await redis.execute_command(*command)

    def _key(self, kind: str, name: str) -> str:
        return f"{self.prefix}:{kind}:{name}"


def _highest(query: IndexQuery) -> str:
    """Return the highest score of the rows that a query may select."""
    highest: list[tuple[int, str]] = []
    if query.after is not None:
        score = _microseconds(query.after[0])
        highest.append((score, str(score)))
    if query.unchanged_since is not None:
        score = _microseconds(query.unchanged_since)
        highest.append((score - 1, f"({score}"))
    return min(highest, default=(0, "+inf"))[1]


def _decode(subject: bytes, fields: Sequence[Any]) -> IndexRow:
    handler, status, revision, began, changed, id_, labels, version = fields
    name: Any = status.decode()
    return IndexRow(
        subject=subject.decode(),
        handler=handler.decode(),
        status=name,
        revision=int(revision),
        began=_EPOCH + int(began) * _MICROSECOND,
        changed=_EPOCH + int(changed) * _MICROSECOND,
        # A row of an earlier version has none.
        version=(version or b"").decode(),
        workflow_id=id_.decode(),
        labels=labels.decode(),
    )


def _microseconds(time: datetime) -> int:
    return (time - _EPOCH) // _MICROSECOND
