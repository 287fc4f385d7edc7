"""Sweeps: deletes the blobs of a backend that are no longer referred to, from time to time."""

import asyncio
from collections.abc import Coroutine
from typing import Any, Final

from arvo.interpreters.codecs.offloaded import Offloaded
from arvo.interpreters.codecs.sweep import claim_blobs, sweep_blobs
from arvo.interpreters.delivery.log import fields, get_logger
from arvo.interpreters.ports.backend import Backend, HoldsReferences
from arvo.interpreters.ports.errors import Unavailable

logger: Final = get_logger("worker")

# Each sweep lists the old blobs, for which a cloud asks a price: some cents for a million.
SWEEP_SECONDS: Final = 3_600.0
# The pause before a store that was unavailable is asked again.
RETRY_SECONDS: Final = 30.0


def sweeps_of(backend: Backend) -> Coroutine[Any, Any, None] | None:
    """Return the work of `sweep_regularly`; None if *backend* has no blobs, or does not know to
    which of them it refers.
    """
    codec = getattr(backend, "codec", None)
    if isinstance(codec, Offloaded) and isinstance(backend, HoldsReferences):
        return sweep_regularly(codec, backend)
    return None


async def sweep_regularly(codec: Offloaded, backend: HoldsReferences) -> None:
    """Sweep until cancelled. Raises `Violated` where the blobs are those of another backend."""
    is_claimed = False
    while True:
        pause = SWEEP_SECONDS
        try:
            if not is_claimed:
                await claim_blobs(codec, await backend.blob_owner())
                is_claimed = True
            if number := await sweep_blobs(codec, backend.referenced):
                logger.info("unreferenced blobs were deleted", extra=fields(number=number))
        except Unavailable:
            # Not logged: what has blobs meets the same outage.
            pause = RETRY_SECONDS
        await asyncio.sleep(pause)
