"""Sweep: deletes the blobs to which nothing refers any more (mark and sweep)."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from functools import partial
from typing import Final, TypeAlias

from arvo.core.violations.issue import Issue
from arvo.core.violations.violation import ConfigViolation, Violated
from arvo.interpreters.codecs.offloaded import REUSE_DAYS, Offloaded
from arvo.interpreters.codecs.reference import is_key
from arvo.interpreters.codecs.waiting import decoding
from arvo.interpreters.ports.errors import BlobMissing

# A new reference to a blob is decided on within REUSE_DAYS of the day on which it was written, and
# is committed within another day, whatever delays it and however clocks differ.
SPARED_DAYS: Final = REUSE_DAYS + 2
# The blob that names the store to which the others belong.
OWNER: Final = "owner"
OWNER_BYTES_MAX: Final = 1_000

References: TypeAlias = Callable[[Sequence[str]], Awaitable[frozenset[str]]]


async def sweep_blobs(codec: Offloaded, referenced: References) -> int:
    """Delete the blobs that were written SPARED_DAYS ago or earlier and that nothing refers to,
    and what uploads of that time have left half-way; return how many.

    *referenced* returns those of some keys that are referred to, as of one moment. Raises
    `BlobUnavailable`, and what *referenced* raises.

    No blob is lost. A blob that is old enough gets no new reference but a copy of one that is
    stored: an encoder that meets its content again writes another blob, of its own day. So if
    nothing refers to it at one moment, nothing will. A crash between the blob and the commit, or
    between the end of the last reference and this call, leaves a blob that a later call deletes.
    """
    deleted, store = 0, codec.store
    for day in await decoding(codec, store.days):
        if codec.today() - day < timedelta(days=SPARED_DAYS):
            continue
        deleted += await decoding(codec, partial(store.delete_unfinished, day))
        pages = store.keys(day)
        while (page := await decoding(codec, partial(next, pages, None))) is not None:
            keys = [key for key in page if is_key(key)]
            live = await referenced(keys)
            garbage = [key for key in keys if key not in live]
            if garbage:
                await decoding(codec, partial(store.delete, garbage))
            deleted += len(garbage)
    return deleted


async def claim_blobs(codec: Offloaded, owner: str) -> None:
    """Name the store to which the blobs belong; raises `Violated` if they belong to another one.

    Two that share them would delete each other's.
    """
    store = codec.store
    try:
        content = await decoding(codec, partial(store.get, OWNER, OWNER_BYTES_MAX))
    except BlobMissing:
        await decoding(codec, partial(store.put, OWNER, owner.encode()))
        content = await decoding(codec, partial(store.get, OWNER, OWNER_BYTES_MAX))
    if content != owner.encode():
        expected = "a folder or a prefix of its own for each database"
        issue = Issue("offloaded", expected, f"{store.name}, which another one uses")
        raise Violated(ConfigViolation("two databases would delete each other's blobs", issue))
