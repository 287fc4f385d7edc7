"""Blobs: a store of blobs by obstore: local files, S3, Google Cloud Storage, Azure."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import date, timedelta
from pathlib import Path
from typing import Final, final

from attrs import frozen

from arvo.core.violations.issue import Issue, short_repr
from arvo.core.violations.violation import ConfigViolation, Violated
from arvo.extras import needs_extra
from arvo.interpreters.codecs.codec import Codec
from arvo.interpreters.codecs.offloaded import OVER, Offloaded, check_over
from arvo.interpreters.codecs.reference import is_key
from arvo.interpreters.ports.errors import BlobMissing, BlobUnavailable

with needs_extra("offloaded"):
    import obstore
    from obstore.exceptions import BaseError
    from obstore.store import LocalStore, ObjectStore, from_url

# A read or a write of the largest blob on a slow line; with one that hangs, as long until the
# event is tried again.
REQUEST_SECONDS: Final = 30
CONNECT_SECONDS: Final = 5
RETRIES_MAX: Final = 2
# Keys that are compared with a backend in one query, and deleted in one request.
PAGE_KEYS: Final = 500
_ERRORS: Final = (BaseError, OSError)


def offloaded(store: "str | ObjectStore", *, over: int = OVER) -> Codec:
    """Make a codec that stores large contents as blobs, and a reference in their place.

    *store*: the URL of a folder or a bucket, `file:///var/lib/arvo/blobs`, `s3://bucket/prefix`,
    `gs://…` or `az://…`, or a store of obstore with its credentials and limits. Each file or
    database has a folder or prefix of its own, as `sweep_blobs` deletes what it does not refer to.
    *over*: the bytes, as the codecs before this one have encoded them, above which a content
    becomes a blob; from 1 KiB to 512 KiB.

    In `composed` it is the last codec: the store then has what the others have encoded. Raises
    `Violated` for a bad threshold, and for a URL that names no store.
    """
    check_over(over)
    return Offloaded(ObstoreBlobs(_open(store) if isinstance(store, str) else store), over)


@final
@frozen
class ObstoreBlobs:
    """The blobs in a store of obstore, by their keys."""

    store: "ObjectStore"

    @property
    def name(self) -> str:
        """The kind of the store with its place, without credentials."""
        text = repr(self.store)
        return type(self.store).__name__ if text.startswith("<") else text

    def put(self, key: str, content: bytes) -> None:
        """Write a blob. On return it is durable."""
        with self._translated(key, "written"):
            obstore.put(self.store, key, content)
            if isinstance(self.store, LocalStore):
                _sync(Path(self.store.prefix or "/") / key)

    def get(self, key: str, bytes_max: int) -> bytes:
        """Read a blob; raises `BlobMissing`, and ValueError for one above *bytes_max*."""
        with self._translated(key, "read"):
            found = obstore.get(self.store, key)
            if found.meta["size"] > bytes_max:
                raise ValueError(f"the blob {key} has {found.meta['size']} bytes")
            return found.bytes().to_bytes()

    def days(self) -> Sequence[date]:
        """Return the days on which its blobs were written."""
        with self._translated("(all)", "listed"):
            listed = obstore.list_with_delimiter(self.store)
        days: list[date] = []
        for folder in listed["common_prefixes"]:
            # Another program may have put a folder there.
            with suppress(ValueError):
                days.append(date.fromisoformat(folder))
        return days

    def keys(self, day: date) -> Iterator[Sequence[str]]:
        """Yield the keys of a day, some at a time."""
        with self._translated(day.isoformat(), "listed"):
            for page in obstore.list(self.store, day.isoformat(), chunk_size=PAGE_KEYS):
                yield [entry["path"] for entry in page]

    def delete(self, keys: Sequence[str]) -> None:
        """Delete blobs. One that is gone already is no error."""
        with self._translated(keys[0], "deleted"):
            try:
                obstore.delete(self.store, keys)
            except FileNotFoundError:
                # Another process sweeps as well; which of them are left is not known.
                for key in keys:
                    with suppress(FileNotFoundError):
                        obstore.delete(self.store, key)

    def delete_unfinished(self, day: date) -> int:
        """Delete what uploads of a day that never ended have left in a folder; return how many.

        A process that dies while it writes a blob leaves a file beside the blob's, `KEY#1`, which
        the store neither lists nor deletes. A bucket has a blob whole or not at all.
        """
        if not isinstance(self.store, LocalStore):
            return 0
        with self._translated(day.isoformat(), "deleted"):
            folder = Path(self.store.prefix or "/") / day.isoformat()
            parts = [path for path in folder.glob("*#*") if _is_unfinished(path)]
            for path in parts:
                path.unlink(missing_ok=True)
            return len(parts)

    @contextmanager
    def _translated(self, key: str, done: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError as error:
            remedy = "restore it under this key, or give the store that has it"
            raise BlobMissing(f"the blob {key} is not in {self.name}: {remedy}") from error
        except _ERRORS as error:
            reason = str(error).partition("\n")[0]
            remedy = "check that it can be reached, and the rights of this process"
            text = f"the blob {key} cannot be {done} in {self.name} ({reason}): {remedy}"
            raise BlobUnavailable(text) from error


def _open(url: str) -> "ObjectStore":
    try:
        if url.startswith("file:"):
            return LocalStore.from_url(url, mkdir=True, automatic_cleanup=True)
        return from_url(
            url,
            client_options={
                "connect_timeout": f"{CONNECT_SECONDS}s",
                "timeout": f"{REQUEST_SECONDS}s",
            },
            retry_config={
                "max_retries": RETRIES_MAX,
                "retry_timeout": timedelta(seconds=REQUEST_SECONDS),
            },
        )
    except (*_ERRORS, ValueError):
        expected = (
            "file:///folder, s3://bucket/prefix, gs://bucket/prefix or az://account/container"
        )
        # Neither the URL nor the text of the error: they may hold credentials.
        issue = Issue("store", expected, short_repr(url.partition(":")[0] + ":…"))
        raise Violated(ConfigViolation("this URL names no blob store", issue)) from None


def _is_unfinished(path: Path) -> bool:
    name, _, number = path.name.partition("#")
    return is_key(f"{path.parent.name}/{name}") and number.isdecimal()


def _sync(path: Path) -> None:
    """Write a file and its name to the disk: the commit that refers to it survives a power failure,
    so it must, too.
    """
    for each in (path, path.parent, path.parent.parent):
        descriptor = os.open(each, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
