"""Memory: a JetStream key-value bucket as a memory: compare and set by revision."""

import asyncio
from base64 import b64decode
from collections import OrderedDict
from hashlib import blake2b
from typing import Final, final

from attrs import define, field

from arvo.interpreters.nats.chunks import Head, Value, head_of, packed, unpacked
from arvo.interpreters.nats.connection import (
    NAME_IN_USE,
    NO_MESSAGE,
    NO_STREAM,
    WRONG_SEQUENCE,
    Content,
    Link,
)
from arvo.interpreters.nats.settings import Storage, check
from arvo.interpreters.ports.backend import Conflict, Corrupt, Unavailable
from arvo.interpreters.ports.machine_memory import Stored

# Workflows that are remembered to be kept in parts; of one that was forgotten, the old parts lie
# there until it is written in parts again.
PARTED_MAX: Final = 10_000
# A value that is replaced again and again while it is read, part by part.
READS_MAX: Final = 20
# How often a write is refused though what it expects is held, and how long it then waits.
REFUSALS_MAX: Final = 100
PAUSE_SECONDS: Final = 0.01
_MARKERS: Final = ("KV-Operation", "Nats-Marker-Reason")


@final
@define(eq=False)
class NatsMemory:
    """A key-value bucket, for any number of processes.

    *servers*: `nats://host:4222`, or several with commas between them. *prefix*: the bucket's name.
    *replicas*, *storage*, *bytes_max*: of the bucket, where it is not there yet; a full one makes
    `write` raise `Unavailable`.

    Keys are hashes of subjects. It is read from the stream's leader, never from a follower, which
    may lag behind. It is opened at its first use, and at the first after `close`.
    """

    servers: str = field(repr=False)
    prefix: str = field(default="arvo", kw_only=True)
    replicas: int = field(default=1, kw_only=True)
    storage: Storage = field(default="file", kw_only=True)
    bytes_max: int | None = field(default=None, kw_only=True)
    _link: Link = field(init=False)
    _parted: "OrderedDict[str, None]" = field(factory=OrderedDict, init=False)

    def __attrs_post_init__(self) -> None:
        check(
            servers=self.servers,
            prefix=self.prefix,
            replicas=self.replicas,
            storage=self.storage,
            bytes_max=self.bytes_max,
        )
        self._link = Link(self.servers)

    @property
    def bucket(self) -> str:
        """The stream that the bucket is."""
        return f"KV_{self.prefix}"

    async def read(self, subject: str) -> Stored | None:
        """Give what is held for a subject."""
        await self._make()
        key = _key(subject)
        revision = 0
        for _ in range(READS_MAX):
            found = await self._last(self._at(key))
            if found is None or _is_deleted(found):
                return None
            record = await self._whole(key, head_of(_headers(found), _data(found)))
            if record is not None:
                return Stored(record, found["seq"])
            # A part is gone: the value was replaced while it was read, and so has a new head.
            if found["seq"] == revision:
                raise Corrupt(f"nats: a part of {key} in bucket {self.prefix} is missing")
            revision = found["seq"]
        raise Unavailable(f"nats: {key} was replaced {READS_MAX} times while it was read")

    async def write(self, subject: str, record: bytes, expected: int) -> Stored | Conflict:
        """Hold *record* if the revision that is held is *expected*."""
        await self._make()
        key = _key(subject)
        value = packed(record, await self._link.payload_max())
        first = await self._put_parts(key, value)
        written = await self._set_if(key, value, expected)
        if isinstance(written, Conflict):
            if value.parts:
                await self._purge(self._part(key, value.token, None))
            return written
        await self._clean(key, value, first or written)
        return Stored(record, written)

    async def close(self) -> None:
        """Let go of the connection."""
        await self._link.close()

    async def _whole(self, key: str, head: Head) -> bytes | None:
        """Put a value together; None where a part is gone."""
        if not head.parts:
            return unpacked(head, head.data)
        self._remember(key)
        names = [self._part(key, head.token, number) for number in range(head.parts)]
        parts = await asyncio.gather(*map(self._last, names))
        found = [_data(part) for part in parts if part is not None]
        return unpacked(head, b"".join(found)) if len(found) == len(names) else None

    async def _make(self) -> None:
        if self.bucket in self._link.made:
            return
        await self._link.client()
        async with self._link.making:
            info = await self._link.api(f"STREAM.INFO.{self.bucket}", expected={NO_STREAM})
            if "error" in info:
                # What `nats kv` makes as well, but for direct reads, which followers answer.
                config = {
                    "name": self.bucket,
                    "subjects": [f"$KV.{self.prefix}.>"],
                    "storage": self.storage,
                    "num_replicas": self.replicas,
                    "max_msgs_per_subject": 1,
                    "max_bytes": -1 if self.bytes_max is None else self.bytes_max,
                    "discard": "new",
                    "allow_rollup_hdrs": True,
                    "deny_delete": True,
                    "allow_direct": False,
                }
                await self._link.api(f"STREAM.CREATE.{self.bucket}", config, {NAME_IN_USE})
            self._link.made.add(self.bucket)

    async def _set_if(self, key: str, value: Value, expected: int) -> int | Conflict:
        """Set the head if *expected* is held, and give its revision."""
        last = expected
        for _ in range(REFUSALS_MAX):
            revision = await self._set(key, value, last)
            if revision is not None:
                return revision
            found = await self._last(self._at(key))
            last = 0 if found is None else found["seq"]
            # What an operator has deleted leaves a marker, which is nothing with a revision.
            held = 0 if found is None or _is_deleted(found) else last
            if held != expected:
                return Conflict(held)
            # A cluster refuses whoever comes while a rival's write is on its way to the replicas.
            await asyncio.sleep(PAUSE_SECONDS)
        raise Unavailable(f"nats: {key} was refused {REFUSALS_MAX} times, and nobody changed it")

    async def _set(self, key: str, value: Value, expected: int) -> int | None:
        """Set the head if its revision is *expected*; None where it is another."""
        headers = {**value.headers, "Nats-Expected-Last-Subject-Sequence": str(expected)}
        answer = await self._link.ask(self._at(key), value.data, headers)
        said = self._link.content(answer, WRONG_SEQUENCE)
        return None if "error" in said else int(said["seq"])

    async def _put_parts(self, key: str, value: Value) -> int | None:
        """Write the parts where nobody looks for them yet; give the place of the first."""
        answers = await asyncio.gather(
            *(
                self._link.ask(self._part(key, value.token, number), part)
                for number, part in enumerate(value.parts)
            )
        )
        places = [int(self._link.content(answer)["seq"]) for answer in answers]
        return min(places, default=None)

    async def _clean(self, key: str, value: Value, before: int) -> None:
        """Remove the parts of older values, also those that a crash has left.

        Whatever lies before our own parts is nobody's: a rival who has written parts, but not yet
        a head, expects a head that ours has replaced.
        """
        if not value.parts and key not in self._parted:
            return
        self._parted.pop(key, None)
        if value.parts:
            self._remember(key)
        await self._purge(self._part(key, None, None), before)

    async def _purge(self, subject: str, before: int | None = None) -> None:
        request: Content = {"filter": subject}
        if before is not None:
            request["seq"] = before
        await self._link.api(f"STREAM.PURGE.{self.bucket}", request)

    async def _last(self, subject: str) -> Content | None:
        call = f"STREAM.MSG.GET.{self.bucket}"
        found = await self._link.api(call, {"last_by_subj": subject}, {NO_MESSAGE})
        message: Content | None = found.get("message")
        return message

    def _remember(self, key: str) -> None:
        self._parted[key] = None
        if len(self._parted) > PARTED_MAX:
            self._parted.popitem(last=False)

    def _at(self, key: str) -> str:
        return f"$KV.{self.prefix}.{key}"

    def _part(self, key: str, token: str | None, number: int | None) -> str:
        if token is None:
            return f"$KV.{self.prefix}.parts.{key}.>"
        return f"$KV.{self.prefix}.parts.{key}.{token}.{'*' if number is None else number}"


def _key(subject: str) -> str:
    # A subject is longer than a key may be, and of any characters.
    return blake2b(subject.encode(errors="surrogatepass"), digest_size=20).hexdigest()


def _is_deleted(found: Content) -> bool:
    headers = _headers(found)
    return any(marker in headers for marker in _MARKERS)


def _headers(found: Content) -> dict[str, str]:
    said = b64decode(found.get("hdrs", "")).decode(errors="replace").split("\r\n")
    return {name: text.strip() for name, colon, text in (x.partition(":") for x in said) if colon}


def _data(found: Content) -> bytes:
    return b64decode(found.get("data", ""))
