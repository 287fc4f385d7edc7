"""Waiting: encodes and decodes outside of the event loop where a codec waits for a blob store."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from arvo.interpreters.codecs.codec import Codec
from arvo.interpreters.codecs.offloaded import NotUploaded, Offloaded

T = TypeVar("T")


async def decoding(codec: Codec | None, work: Callable[[], T]) -> T:
    """Call *work*, which decodes: in a thread if the codec may wait for a blob."""
    if isinstance(codec, Offloaded):
        return await asyncio.get_running_loop().run_in_executor(codec.threads, work)
    return work()


async def encoding(codec: Codec | None, work: Callable[[], T]) -> T:
    """Call *work*, which encodes, until each large content in it is a blob.

    Raises `BlobUnavailable`.
    """
    while True:
        try:
            return work()
        except NotUploaded as missing:
            await _upload(codec, missing)


async def writing(codec: Codec | None, attempt: Callable[[], Awaitable[T]]) -> T:
    """Make an attempt to write, again after each large content in it that was no blob yet.

    An attempt that raises `NotUploaded` has written nothing. Raises `BlobUnavailable`.
    """
    while True:
        try:
            return await attempt()
        except NotUploaded as missing:
            await _upload(codec, missing)


async def _upload(codec: Codec | None, missing: NotUploaded) -> None:
    assert isinstance(codec, Offloaded)
    await asyncio.get_running_loop().run_in_executor(codec.threads, missing.upload)
