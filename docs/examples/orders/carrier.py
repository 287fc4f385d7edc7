"""Carrier: a simulated external service that answers late and sometimes not at all.

This is the only file of the example that does I/O. A real one would use HTTP.
"""

import asyncio
from collections import Counter
from typing import Final
from zlib import crc32

# The carrier is down in these countries, and returns no tracking number above this weight.
DOWN: Final = frozenset({"IS"})
HEAVY_GRAMS: Final = 12_000

_tries: Counter[str] = Counter()


class CarrierError(Exception):
    """The carrier refused the shipment."""


def tracking_for(order_id: str, country: str, grams: int) -> str:
    """Return the carrier's final answer, a tracking number; tests use it for `request_tracking`."""
    if country in DOWN:
        raise CarrierError(f"503: no shipments to {country} today")
    if grams > HEAVY_GRAMS:
        return ""
    return f"{country}{crc32(order_id.encode()) % 100_000_000:08}"


async def request_tracking(order_id: str, country: str, grams: int) -> str:
    """Request a tracking number: always slow, and for some orders busy or hanging at first."""
    _tries[order_id] += 1
    await asyncio.sleep(0.01)
    chance = crc32(order_id.encode()) % 100
    if _tries[order_id] == 1:
        if chance < 10:
            raise CarrierError("503: busy, try again")
        if chance == 99:
            await asyncio.sleep(3600)
    return tracking_for(order_id, country, grams)
