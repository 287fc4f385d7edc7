"""Carrier: the world outside, played: it answers late, now and then not at all.

This is the only file of the example that waits. A real one would speak HTTP.
"""

import asyncio
from collections import Counter
from typing import Final
from zlib import crc32

# Where the carrier is down for the day, and from what weight on it forgets the tracking number.
DOWN: Final = frozenset({"IS"})
HEAVY_GRAMS: Final = 12_000

_tries: Counter[str] = Counter()


class CarrierError(Exception):
    """The carrier did not take the parcel."""


def answer(order_id: str, country: str, grams: int) -> str:
    """Say what the carrier says in the end: a tracking number. It stands in for `ask` in tests."""
    if country in DOWN:
        raise CarrierError(f"503: no parcels to {country} today")
    if grams > HEAVY_GRAMS:
        return ""
    return f"{country}{crc32(order_id.encode()) % 100_000_000:08}"


async def ask(order_id: str, country: str, grams: int) -> str:
    """Ask over the wire: slow always, and busy or silent when first asked about some orders."""
    _tries[order_id] += 1
    await asyncio.sleep(0.01)
    chance = crc32(order_id.encode()) % 100
    if _tries[order_id] == 1:
        if chance < 10:
            raise CarrierError("503: busy, ask again")
        if chance == 99:
            await asyncio.sleep(3600)
    return answer(order_id, country, grams)
