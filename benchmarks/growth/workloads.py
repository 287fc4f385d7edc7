"""Workloads: what the measurements of growth send, and where."""

import asyncio
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from arvo import (
    Commands,
    Event,
    EventHandler,
    Resumable,
    Runtime,
    System,
    Turn,
)
from arvo.interpreters.ports.backend import Backend
from benchmarks.shop import (
    PlaceOrder,
    charge,
    order,
)

SENT_AT_ONCE: Final = 100
REQUESTS: Final = 200
LATER: Final = timedelta(days=30)
REQUEST_SECONDS: Final = 600


@contextmanager
def sqlite_file() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder) / "a.db"


def starts(number: int) -> list[Event[PlaceOrder]]:
    return [
        order["1.0.0"].init(PlaceOrder(f"o-{position}", 1.0), source="com.shop.web")
        for position in range(number)
    ]


def workflow(turn: Callable[[Turn[Any]], Commands], *others: EventHandler[Any]) -> System:
    services = [charge["1.0.0"]]
    return System([*others, Resumable(order, {"1.0.0": turn}, services=services)])


async def send_all(runtime: Runtime, backend: Backend, number: int) -> None:
    """Start *number* workflows, and wait until each has taken its turn."""
    limit = asyncio.Semaphore(SENT_AT_ONCE)

    async def send(event: Event[PlaceOrder]) -> None:
        async with limit:
            await runtime.send(event)

    await asyncio.gather(*map(send, starts(number)))
    await backend.wait_until_idle()
    # Until the event loop goes on, it refers to all tasks of `gather`.
    await asyncio.sleep(0)
