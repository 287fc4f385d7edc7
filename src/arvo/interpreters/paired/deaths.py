"""Deaths: counts the workers that die while they process a delivery of a pair."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from hashlib import blake2b
from typing import Final, final

import orjson
from attrs import define, evolve, field, frozen

from arvo.interpreters.delivery.brokers.headers import DUP
from arvo.interpreters.paired.documents.document import FORMAT, decode_value, digest_of
from arvo.interpreters.ports.broker import EncodedDelivery
from arvo.interpreters.ports.errors import Unavailable
from arvo.interpreters.ports.machine_memory import MachineMemory, Stored
from arvo.interpreters.ports.messages import DeadLetter, Delivery, queue_of

# A fixed number of pages, for a memory cannot delete: enough that writers seldom meet.
PAGES: Final = 64
# Events on one page. They stay until they are settled; the oldest are dropped, and count from 0.
PAGE_EVENTS_MAX: Final = 200
# Events with a count that this process may have received and not settled.
COUNTED_MAX: Final = 10_000
CLOSE_SECONDS: Final = 5.0


@final
@frozen
class Count:
    """The counts of one event: *failures* by `nack`, and *starts* that were not settled."""

    failures: int = 0
    starts: int = 0


@final
@define(eq=False)
class DeathCounter:
    """The counts of events that were delivered before, stored in a memory.

    A broker reports how many deliveries of an event ended without a settlement (`returns`), but not
    whether a worker had started them. So each start of such an event is written here first, and
    removed when it is settled. An event that is settled at its first delivery is never here. Each
    copy of an event has the deaths of all of them, so a message that may be a copy is looked up at
    its first delivery, too.

    *nacks_are_returns*: the broker counts a `nack` among the returns; then failures are written
    here, too.
    """

    memory: MachineMemory
    nacks_are_returns: bool
    # The events with a count, and those that this process has started and not settled.
    _counted: dict[str, None] = field(factory=dict, init=False)
    _started: set[str] = field(factory=set, init=False)

    async def count(self, delivery: Delivery) -> Delivery:
        """Return a delivery with its number of attempts and deaths."""
        encoded = delivery.token
        assert isinstance(encoded, EncodedDelivery)
        if encoded.attempt == 1 and DUP not in encoded.message.headers:
            return delivery
        digest = _digest(delivery)
        counts, _ = await self._read(_page(digest))
        count = counts.get(digest, Count())
        if digest in counts:
            self._counted[digest] = None
            if len(self._counted) > COUNTED_MAX:
                del self._counted[next(iter(self._counted))]
        starts = count.starts - (digest in self._started)
        # One return that no count explains: a worker that died, or had only fetched the event.
        deaths = starts + (encoded.returns > count.failures + starts)
        attempt = encoded.attempt - encoded.returns + count.failures + deaths
        return evolve(delivery, attempt=attempt, deaths=deaths)

    async def mark_started(self, delivery: Delivery) -> None:
        """Write that this process starts a delivery."""
        digest = _digest(delivery)
        if digest not in self._started:
            await self._change(digest, lambda count: evolve(count, starts=count.starts + 1))
            self._started.add(digest)

    async def on_nack(self, delivery: Delivery, *, is_returned: bool = True) -> None:
        """Remove the start of a delivery that failed, and write the failure if the broker cannot.

        *is_returned*: False where this process keeps the delivery. An unavailable memory is
        ignored: it is probably the reason of the failure, and the delivery has to be returned all
        the same.
        """
        digest = _digest(delivery)
        is_started = digest in self._started
        failed = int(is_returned and self.nacks_are_returns)
        if is_started or failed:
            with suppress(Unavailable):
                await self._change(
                    digest,
                    lambda count: Count(count.failures + failed, count.starts - is_started),
                )
                self._started.discard(digest)

    async def on_settled(self, delivery: Delivery) -> None:
        """Remove the count of an event that needs none any more."""
        digest = _digest(delivery)
        if digest in self._started or digest in self._counted:
            self._started.discard(digest)
            self._counted.pop(digest, None)
            with suppress(Unavailable):
                await self._change(digest, lambda _: Count())

    async def on_dead_letter(self, delivery: Delivery) -> None:
        """Remove the count of a dead letter, unless deaths are its reason: then keep the deaths.

        A process that died may have left more copies of the event, and they must not end as many
        workers again.
        """
        digest, deaths = _digest(delivery), delivery.deaths
        if not deaths or digest in self._started:
            await self.on_settled(delivery)
            return
        with suppress(Unavailable):
            await self._change(digest, lambda count: evolve(count, starts=deaths))

    async def forget(self, dead_letter: DeadLetter) -> None:
        """Remove the count of an event that an operator sends again."""
        if dead_letter.to is not None:
            digest = digest_of(queue_of(dead_letter.to), dead_letter.event)
            await self._change(digest, lambda _: Count())

    async def close(self) -> None:
        """Remove the starts of this process: a worker that stops has not died.

        A memory that does not answer must not keep the process; then they count as deaths.
        """
        started, self._started = self._started, set()
        self._counted.clear()
        with suppress(Unavailable, TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                for digest in started:
                    await self._change(digest, lambda count: evolve(count, starts=count.starts - 1))

    async def _change(self, digest: str, change: Callable[[Count], Count]) -> None:
        while True:
            counts, revision = await self._read(_page(digest))
            before = counts.pop(digest, Count())
            after = change(before)
            if after == before:
                return
            if after != Count():
                # Last, because the first ones are dropped.
                counts[digest] = after
            content = {key: (each.failures, each.starts) for key, each in counts.items()}
            for key in list(content)[:-PAGE_EVENTS_MAX]:
                del content[key]
            value = orjson.dumps({"arvo": FORMAT, "deaths": content})
            written = await self.memory.write(_subject(_page(digest)), value, revision)
            if isinstance(written, Stored):
                return

    async def _read(self, page: int) -> tuple[dict[str, Count], int]:
        """Return the counts on a page by the digest of their events, and its revision."""
        stored = await self.memory.read(_subject(page))
        if stored is None:
            return {}, 0
        content: Mapping[str, tuple[int, int]] = decode_value(stored, "deaths")["deaths"]
        return {digest: Count(*numbers) for digest, numbers in content.items()}, stored.revision


def _digest(delivery: Delivery) -> str:
    return digest_of(queue_of(delivery.message.to), delivery.message.event)


def _page(digest: str) -> int:
    return blake2b(digest.encode(), digest_size=1).digest()[0] % PAGES


def _subject(page: int) -> str:
    # The subject of a workflow is base64, which has no parentheses.
    return f"(deaths) {page}"
