"""Bucket: a key-value bucket of JetStream, with values of any size, by compare and set."""

import asyncio
from collections import OrderedDict
from typing import Final, final

from attrs import define, field

from arvo.interpreters.nats.connection.connection import Connection, Content
from arvo.interpreters.nats.connection.errors import (
    NAME_IN_USE,
    NO_MESSAGE,
    NO_STREAM,
    WRONG_SEQUENCE,
)
from arvo.interpreters.nats.connection.settings import Storage
from arvo.interpreters.nats.connection.wire import EXPECTED_LAST, stored_body, stored_headers
from arvo.interpreters.nats.storage.chunks import (
    EncodedRecord,
    Head,
    decode_record,
    encode_record,
    parse_head,
)
from arvo.interpreters.ports.errors import Corrupt, Unavailable
from arvo.interpreters.ports.machine_memory import Stored
from arvo.interpreters.ports.results import Conflict

# Keys that are known to be stored in chunks. If one is dropped from this set, its old chunks remain
# until the workflow is written in chunks again.
CHUNKED_MAX: Final = 10_000
# How often a record may be replaced while its chunks are read.
READS_MAX: Final = 20
# How often a write is refused though the bucket has the expected revision, and the pause after it.
REFUSALS_MAX: Final = 100
PAUSE_SECONDS: Final = 0.01
_MARKERS: Final = ("KV-Operation", "Nats-Marker-Reason")


@final
@define(eq=False)
class Bucket:
    """The values of one bucket, for any number of processes.

    *name*: of the bucket. *replicas*, *storage*, *bytes_max*: of the bucket that it creates; when
    it is full, `write` raises `Unavailable`. A key is one or several tokens of a subject, with dots
    between them.
    """

    connection: Connection
    name: str
    replicas: int = 1
    storage: Storage = "file"
    bytes_max: int | None = None
    _chunked: "OrderedDict[str, None]" = field(factory=OrderedDict, init=False)

    @property
    def stream(self) -> str:
        """The name of the bucket's stream."""
        return f"KV_{self.name}"

    async def read(self, key: str) -> Stored | None:
        """Return the value of a key. The leader of the stream answers: a follower may lag."""
        await self._declare()
        revision = 0
        for _ in range(READS_MAX):
            message = await self._last(self._head_subject(key))
            if message is None or _is_deleted(message):
                return None
            record = await self._read_record(
                key, parse_head(stored_headers(message), stored_body(message))
            )
            if record is not None:
                return Stored(record, message["seq"])
            # A chunk is missing: the record was replaced meanwhile, so there is a new head.
            if message["seq"] == revision:
                raise Corrupt(f"nats: a part of {key} in bucket {self.name} is missing")
            revision = message["seq"]
        raise Unavailable(f"nats: {key} was replaced {READS_MAX} times while it was read")

    async def write(self, key: str, record: bytes, expected: int) -> Stored | Conflict:
        """Store *record* if the stored revision is *expected*."""
        await self._declare()
        encoded = encode_record(record, await self.connection.payload_max())
        first = await self._write_chunks(key, encoded)
        written = await self._compare_and_set(key, encoded, expected)
        if isinstance(written, Conflict):
            if encoded.chunks:
                await self._purge(self._chunk_subject(key, encoded.token, None))
            return written
        await self._purge_old_chunks(key, encoded, first or written)
        return Stored(record, written)

    async def last(self) -> int:
        """Return the highest revision of any value."""
        await self._declare()
        info = await self.connection.call_api(f"STREAM.INFO.{self.stream}")
        return int(info["state"]["last_seq"])

    async def delete_all(self, key: str, before: int) -> None:
        """Delete the values of all keys that begin with *key*, up to *before* that revision."""
        await self._purge(f"$KV.{self.name}.{key}.>", before)
        await self._purge(f"$KV.{self.name}.parts.{key}.>", before)

    async def _read_record(self, key: str, head: Head) -> bytes | None:
        """Read the chunks of a record; None if one is missing."""
        if not head.chunks:
            return decode_record(head, head.data)
        self._remember_chunked(key)
        subjects = [self._chunk_subject(key, head.token, number) for number in range(head.chunks)]
        messages = await asyncio.gather(*map(self._last, subjects))
        chunks = [stored_body(message) for message in messages if message is not None]
        return decode_record(head, b"".join(chunks)) if len(chunks) == len(subjects) else None

    async def _declare(self) -> None:
        if self.stream in self.connection.declared:
            return
        await self.connection.client()
        async with self.connection.declaring:
            info = await self.connection.call_api(
                f"STREAM.INFO.{self.stream}", expected={NO_STREAM}
            )
            if "error" in info:
                # As `nats kv` creates it, but without direct reads, which followers answer.
                config = {
                    "name": self.stream,
                    "subjects": [f"$KV.{self.name}.>"],
                    "storage": self.storage,
                    "num_replicas": self.replicas,
                    "max_msgs_per_subject": 1,
                    "max_bytes": -1 if self.bytes_max is None else self.bytes_max,
                    "discard": "new",
                    "allow_rollup_hdrs": True,
                    "deny_delete": True,
                    "allow_direct": False,
                }
                call = f"STREAM.CREATE.{self.stream}"
                await self.connection.call_api(call, config, {NAME_IN_USE})
            self.connection.declared.add(self.stream)

    async def _compare_and_set(
        self, key: str, encoded: EncodedRecord, expected: int
    ) -> int | Conflict:
        """Set the head if the revision is *expected*, and return its new revision."""
        last = expected
        for _ in range(REFUSALS_MAX):
            revision = await self._set(key, encoded, last)
            if revision is not None:
                return revision
            message = await self._last(self._head_subject(key))
            last = 0 if message is None else message["seq"]
            # A key that an operator deleted has a marker, which is no value but has a revision.
            stored = 0 if message is None or _is_deleted(message) else last
            if stored != expected:
                return Conflict(stored)
            # A cluster refuses a write while another one is on its way to the replicas.
            await asyncio.sleep(PAUSE_SECONDS)
        raise Unavailable(f"nats: {key} was refused {REFUSALS_MAX} times without a change")

    async def _set(self, key: str, encoded: EncodedRecord, expected: int) -> int | None:
        """Set the head if its revision is *expected*; None if it is another."""
        headers = {**encoded.headers, EXPECTED_LAST: str(expected)}
        reply = await self.connection.request(self._head_subject(key), encoded.data, headers)
        content = self.connection.read_reply(reply, WRONG_SEQUENCE)
        return None if "error" in content else int(content["seq"])

    async def _write_chunks(self, key: str, encoded: EncodedRecord) -> int | None:
        """Write the chunks, which no head names yet, and return the lowest sequence of them."""
        replies = await asyncio.gather(
            *(
                self.connection.request(self._chunk_subject(key, encoded.token, number), chunk)
                for number, chunk in enumerate(encoded.chunks)
            )
        )
        sequences = [int(self.connection.read_reply(reply)["seq"]) for reply in replies]
        return min(sequences, default=None)

    async def _purge_old_chunks(self, key: str, encoded: EncodedRecord, before: int) -> None:
        """Delete the chunks of older values, and those that a crash has left.

        No value needs a chunk before those of this one: a concurrent writer that has written its
        chunks, but no head yet, expects the head that this write has replaced.
        """
        if not encoded.chunks and key not in self._chunked:
            return
        self._chunked.pop(key, None)
        if encoded.chunks:
            self._remember_chunked(key)
        await self._purge(self._chunk_subject(key, None, None), before)

    async def _purge(self, subject: str, before: int | None = None) -> None:
        request: Content = {"filter": subject}
        if before is not None:
            request["seq"] = before
        await self.connection.call_api(f"STREAM.PURGE.{self.stream}", request)

    async def _last(self, subject: str) -> Content | None:
        call = f"STREAM.MSG.GET.{self.stream}"
        reply = await self.connection.call_api(call, {"last_by_subj": subject}, {NO_MESSAGE})
        message: Content | None = reply.get("message")
        return message

    def _remember_chunked(self, key: str) -> None:
        self._chunked[key] = None
        if len(self._chunked) > CHUNKED_MAX:
            self._chunked.popitem(last=False)

    def _head_subject(self, key: str) -> str:
        return f"$KV.{self.name}.{key}"

    def _chunk_subject(self, key: str, token: str | None, number: int | None) -> str:
        if token is None:
            return f"$KV.{self.name}.parts.{key}.>"
        return f"$KV.{self.name}.parts.{key}.{token}.{'*' if number is None else number}"


def _is_deleted(message: Content) -> bool:
    headers = stored_headers(message)
    return any(marker in headers for marker in _MARKERS)
