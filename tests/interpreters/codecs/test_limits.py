"""Limits: of a handler whose events are encrypted and wait in a blob store."""

import asyncio
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest
from attrs import define, field

from arvo import (
    Backend,
    Client,
    Effects,
    Emit,
    Event,
    EventHandler,
    Limit,
    PostgresBackend,
    Retry,
    Runtime,
    SqliteBackend,
    System,
    call,
)
from arvo.codecs import Codec, composed, encrypted
from arvo.interpreters.codecs.offloaded import Offloaded
from tests.interpreters.codecs.documents import (
    SOURCE,
    TIMEOUT,
    DictBlobs,
    Scan,
    Scanned,
    scan,
)
from tests.interpreters.postgres.schemas import schema_url
from tests.interpreters.until import until

Open = Callable[[Path, Codec], Backend]


def on_sqlite(folder: Path, codec: Codec) -> Backend:
    return SqliteBackend(str(folder / "arvo.db"), codec=codec)


def on_postgres(folder: Path, codec: Codec) -> Backend:
    return PostgresBackend(schema_url(folder), codec=codec)


DATABASES: Final = pytest.mark.parametrize("open_it", [on_postgres, on_sqlite])
RETRY: Final = Retry(delay=0.01, longest=0.01)


def customer_of(event: Event[Scan]) -> str:
    return event.data.text.split()[0]


def priority_of(event: Event[Scan]) -> int:
    return int(event.data.text.split()[1])


def large(customer: str, priority: int) -> Event[Any]:
    text = f"{customer} {priority} " + "page " * 1_000
    return scan["1.0.0"].accepts(Scan(text), source=SOURCE)


def store_in(blobs: DictBlobs) -> Codec:
    return composed(encrypted({"2026": bytes(32)}), Offloaded(blobs, over=1024))


@define
class Scanner:
    """An effect that ends when it is told to, and knows how many of each customer run."""

    began: list[str] = field(factory=list)
    running: Counter[str] = field(factory=Counter)
    most: Counter[str] = field(factory=Counter)
    may_end: asyncio.Event = field(factory=asyncio.Event)

    async def read(self, text: str) -> str:
        customer, priority = text.split()[:2]
        self.began.append(f"{customer} {priority}")
        self.running[customer] += 1
        self.most[customer] = max(self.most[customer], self.running[customer])
        await self.may_end.wait()
        self.running[customer] -= 1
        return customer

    def system(self, limit: Limit) -> System:
        def scan_text(event: Event[Scan]) -> Effects[Emit]:
            customer = yield from call(self.read, event.data.text)
            return Emit(Scanned(customer))

        return System([EventHandler(scan, {"1.0.0": scan_text}, limits=[limit])])


@DATABASES
def test_a_limit_reads_what_is_encrypted_in_a_blob_store(tmp_path: Path, open_it: Open) -> None:
    """An event is claimed without its data, which has its key, its priority and its group."""
    blobs, scanner = DictBlobs(), Scanner()
    backend = open_it(tmp_path, store_in(blobs))
    limit = Limit(concurrent=1, per=customer_of, priority=priority_of, fairness_key=customer_of)
    system = scanner.system(limit)

    async def scenario() -> int:
        async with Client(system, backend) as client:
            for priority in (0, 0, 0, 9):
                for customer in ("ann", "bob"):
                    await client.send(large(customer, priority))
        async with Runtime(system, backend) as runtime, asyncio.timeout(TIMEOUT):

            async def are_parked() -> bool:
                return (await runtime.depth()).delayed == 6

            await until(are_parked)
            scanner.may_end.set()
            await runtime.drain(TIMEOUT)
            return len(await runtime.dead_letters())

    dead = asyncio.run(scenario())
    assert dead == 0
    assert scanner.most == {"ann": 1, "bob": 1}
    for customer in ("ann", "bob"):
        began = [each for each in scanner.began if each.startswith(customer)]
        assert len(began) == 4
        # It was sent last, and would come last without its priority.
        assert began.index(f"{customer} 9") < 3
    assert blobs.blobs
    assert not any(b"page" in blob for blob in blobs.blobs.values())


@DATABASES
def test_an_event_whose_data_cannot_be_fetched_takes_no_place(
    tmp_path: Path, open_it: Open
) -> None:
    """An outage of the blob store holds up none of the events that need no blob."""
    blobs, scanner = DictBlobs(), Scanner()
    scanner.may_end.set()
    backend = open_it(tmp_path, store_in(blobs))
    system = scanner.system(Limit(concurrent=1, priority=priority_of))

    async def scenario() -> tuple[str, int]:
        async with Client(system, backend) as client:
            await client.send(large("ann", 9))
        blobs.is_down = True
        async with Runtime(system, backend, retry=RETRY) as runtime, asyncio.timeout(TIMEOUT):
            await until(lambda: runtime.stats().retried > 2)
            small = scan["1.0.0"].accepts(Scan("bob 0"), source=SOURCE)
            answer = await runtime.request(small, TIMEOUT)
            blobs.is_down = False
            await runtime.drain(TIMEOUT)
            return answer.data.text, len(await runtime.dead_letters())

    assert asyncio.run(scenario()) == ("bob", 0)
    assert scanner.began == ["bob 0", "ann 9"]
