"""Releases: counts how often a message was released, because a broker counts each delivery."""

import asyncio
import random
from hashlib import blake2b
from typing import Final, final

import orjson
from attrs import define, evolve

from arvo.interpreters.paired.documents.document import FORMAT, decode_value
from arvo.interpreters.ports.machine_memory import MachineMemory, Stored
from arvo.interpreters.ports.messages import Delivery, Message, queue_of

# A fixed number of pages: enough that concurrent writers seldom meet.
PAGES: Final = 64
# Messages on one page, for a value must not grow without bound: those that were not released for
# longest are dropped. A dropped message has used up the attempts of its releases.
PAGE_MESSAGES_MAX: Final = 256
# The longest pause before a page that another worker has changed meanwhile is written again.
PAUSE_SECONDS: Final = 0.005
DIGEST_BYTES: Final = 12


@final
@define(eq=False)
class ReleaseCounts:
    """How often each message was released, in a memory under subjects that no workflow has."""

    memory: MachineMemory

    async def add(self, message: Message) -> None:
        """Count a release."""
        digest = _digest(message)
        while True:
            counts, revision = await self._read(digest)
            # At the end: the first ones are dropped.
            counts[digest] = counts.pop(digest, 0) + 1
            newest = dict(list(counts.items())[-PAGE_MESSAGES_MAX:])
            content = orjson.dumps({"arvo": FORMAT, "releases": newest})
            if isinstance(await self.memory.write(_subject(digest), content, revision), Stored):
                return
            spread = random.random()  # noqa: S311 - writers should not meet again, not a secret
            await asyncio.sleep(PAUSE_SECONDS * spread)

    async def without(self, delivery: Delivery) -> Delivery:
        """Return a delivery whose *attempt* does not count the releases."""
        if delivery.attempt == 1:
            return delivery
        digest = _digest(delivery.message)
        counts, _ = await self._read(digest)
        return evolve(delivery, attempt=max(1, delivery.attempt - counts.get(digest, 0)))

    async def _read(self, digest: str) -> tuple[dict[str, int], int]:
        """Return the counts of the page of a message, and its revision."""
        stored = await self.memory.read(_subject(digest))
        if stored is None:
            return {}, 0
        return decode_value(stored, "releases")["releases"], stored.revision


def _subject(digest: str) -> str:
    # The subject of a workflow is base64, which has no parentheses.
    return f"(releases) {int(digest[:4], 16) % PAGES}"


def _digest(message: Message) -> str:
    event = message.event
    identity = queue_of(message.to), event.source, event.id, event.subject
    text = repr(identity).encode(errors="surrogatepass")
    return blake2b(text, digest_size=DIGEST_BYTES).hexdigest()
