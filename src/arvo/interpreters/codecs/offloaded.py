"""Offloaded: the codec that puts large contents into a blob store (claim check pattern)."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from typing import Final, Protocol, TypeAlias, final

from attrs import define, field

from arvo.core.violations.issue import Issue, short_repr
from arvo.core.violations.violation import ConfigViolation, Violated
from arvo.interpreters.codecs.codec import Codec, Place, Undecodable
from arvo.interpreters.codecs.reference import HEAD, Reference, address_of
from arvo.interpreters.codecs.unreadable import UNREADABLE
from arvo.interpreters.ports.errors import TooLarge

OVER: Final = 256 * 1024
# A reference, and the attributes that an event has beside its data, must be much smaller; and an
# event whose data stays must be below the limit of events in base64.
OVER_MIN: Final = 1024
OVER_MAX: Final = 512 * 1024
# The largest blob, as what one text may decompress to.
BLOB_BYTES_MAX: Final = 256 * 1024 * 1024
# The largest payload of an event: it is in memory several times while it is read and checked.
PAYLOAD_BYTES_MAX: Final = 64 * 1024 * 1024
# Blobs that were written or read last: their contents need no second upload.
KNOWN_MAX: Final = 10_000
# Uploads and downloads at the same time, of one codec.
THREADS_MAX: Final = 16
# How many days a blob may be referred to once more after the day on which it was written; see
# `sweep_blobs`.
REUSE_DAYS: Final = 1

_Known: TypeAlias = tuple[bytes, Place | None]


class BlobStore(Protocol):
    """A store of blobs by key. All calls wait for it, and raise `BlobUnavailable`.

    *name*: for errors, such as `s3://bucket`.
    """

    @property
    def name(self) -> str:
        """Its name in errors."""
        ...

    def put(self, key: str, content: bytes) -> None:
        """Write a blob. On return it is durable."""
        ...

    def get(self, key: str, bytes_max: int) -> bytes:
        """Read a blob; raises `BlobMissing`, and ValueError for one above *bytes_max*."""
        ...

    def days(self) -> Sequence[date]:
        """Return the days on which its blobs were written."""
        ...

    def keys(self, day: date) -> Iterator[Sequence[str]]:
        """Yield the keys of a day, some at a time."""
        ...

    def delete(self, keys: Sequence[str]) -> None:
        """Delete blobs. One that is gone already is no error."""
        ...

    def delete_unfinished(self, day: date) -> int:
        """Delete what uploads of a day that never ended have left, if the store keeps such parts;
        return how many.
        """
        ...


class NotUploaded(Exception):
    """A content is to be a blob and is none yet: `upload` it, and encode it again.

    Not done by `encode`: it is called inside transactions, which must not wait for another store.
    """

    def __init__(self, codec: "Offloaded", content: bytes, known: _Known) -> None:
        super().__init__("a content was not uploaded before it was written")
        self._codec, self._content, self._known = codec, content, known

    def upload(self) -> None:
        """Write the blob, and wait for it; raises `BlobUnavailable`."""
        reference = Reference.of(self._content, self._codec.today())
        self._codec.store.put(reference.key, self._content)
        self._codec.remember(self._known, reference)


def utc_today() -> date:
    """Return the day in UTC."""
    return datetime.now(UTC).date()


@final
@define(eq=False)
class Offloaded:
    """Contents above *over* bytes, when *inner* has encoded them, as blobs in *store*."""

    store: BlobStore
    over: int = OVER
    inner: Codec | None = None
    today: Callable[[], date] = utc_today
    threads: ThreadPoolExecutor = field(init=False)
    _known: "OrderedDict[_Known, Reference]" = field(factory=OrderedDict, init=False)
    _lock: threading.Lock = field(factory=threading.Lock, init=False)

    def __attrs_post_init__(self) -> None:
        self.threads = ThreadPoolExecutor(THREADS_MAX, "arvo blobs")

    def encode(self, content: bytes, place: Place) -> bytes:
        """Return a reference to a large content; raises `NotUploaded` if it is no blob yet."""
        stays = _stays(place)
        known: _Known | None = None
        if len(content) > self.over and not stays:
            known = self._known_by(content, place)
            reference = self._find(known)
            if reference is not None:
                return HEAD + str(reference).encode()
        encoded = content if self.inner is None else self.inner.encode(content, place)
        # A text that looks like a reference has to be one.
        if (len(encoded) <= self.over or stays) and not encoded.startswith(HEAD):
            return encoded
        if len(encoded) > BLOB_BYTES_MAX:
            text = f"the {place.kind} of {place.subject} has {len(encoded)} bytes"
            raise TooLarge(f"{text}: at most {BLOB_BYTES_MAX}, so store parts of it elsewhere")
        known = known or self._known_by(content, place)
        reference = self._find(known)
        if reference is None:
            raise NotUploaded(self, encoded, known)
        return HEAD + str(reference).encode()

    def decode(self, content: bytes, place: Place) -> bytes:
        """Return the content, for a reference from the store; waits for it."""
        if not content.startswith(HEAD):
            return content if self.inner is None else self.inner.decode(content, place)
        try:
            reference = Reference.parse(content[1:].decode())
        except ValueError as error:
            raise Undecodable(f"the {place.kind} of {place.subject}: {error}") from error
        encoded = self._fetch(reference, place)
        decoded = encoded if self.inner is None else self.inner.decode(encoded, place)
        if self._is_fresh(reference):
            # The history of the turn that consumes an event has the same content.
            self.remember(self._known_by(decoded, place), reference)
        return decoded

    def _fetch(self, reference: Reference, place: Place) -> bytes:
        try:
            encoded = self.store.get(reference.key, BLOB_BYTES_MAX)
            is_same = address_of(encoded) == reference.address
        except ValueError:
            is_same = False
        if not is_same:
            name = f"the blob {reference.key} in {self.store.name}"
            remedy = "restore it from a backup"
            raise Undecodable(f"{name}, the {place.kind} of {place.subject}, was changed: {remedy}")
        return encoded

    def remember(self, known: _Known, reference: Reference) -> None:
        """Refer to a blob that exists instead of another upload."""
        with self._lock:
            self._known[known] = reference
            self._known.move_to_end(known)
            if len(self._known) > KNOWN_MAX:
                self._known.popitem(last=False)

    def _find(self, known: _Known) -> Reference | None:
        with self._lock:
            reference = self._known.get(known)
        return None if reference is None or not self._is_fresh(reference) else reference

    def _is_fresh(self, reference: Reference) -> bool:
        return abs(self.today() - reference.day) <= timedelta(days=REUSE_DAYS)

    def _known_by(self, content: bytes, place: Place) -> _Known:
        # Another codec may make other bytes of a content at another place.
        return sha256(content).digest(), None if self.inner is None else place


def _stays(place: Place) -> bool:
    """Return whether a content is no blob, whatever its size."""
    # A message that could not be read has to show the reference in it.
    if place.type == UNREADABLE:
        return True
    # All are small. A checkpoint is read when its delivery is claimed, and a cancellation by the
    # transaction of what it interrupts. No row that stays refers to a report.
    is_cancellation = place.type.startswith("sys.") and place.type.endswith(".cancel")
    return place.kind in ("progress", "report") or is_cancellation


def data_bytes_max(codec: Codec | None) -> int:
    """Return the largest data of an event with a codec; 0 if it counts towards the event's size."""
    return PAYLOAD_BYTES_MAX if isinstance(codec, Offloaded) else 0


def check_over(over: object) -> None:
    """Raise `Violated` for a threshold that is no whole number of bytes in the limits."""
    if type(over) is not int or not OVER_MIN <= over <= OVER_MAX:
        expected = f"a whole number of bytes from {OVER_MIN} to {OVER_MAX}"
        issue = Issue("over", expected, short_repr(over))
        raise Violated(ConfigViolation("offloaded() cannot have this threshold", issue))
