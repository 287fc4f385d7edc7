"""Limits: a handler whose effects find out when more of them run at once than its limits allow."""

import asyncio
import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

from attrs import frozen

from arvo import (
    Client,
    Contract,
    Effects,
    Emit,
    Event,
    EventHandler,
    Limit,
    System,
    Version,
    call,
)
from tests.processes.worker import open_backend, work

CONCURRENT: Final = 3
CUSTOMERS: Final = 4
# Long enough that several would run at once, and short beside the start of a process.
EFFECT_SECONDS: Final = 0.02
POLL_SECONDS: Final = 0.05


@frozen
class Ship:
    number: int
    customer: str
    folder: str


@frozen
class Shipped:
    number: int


ship = Contract(
    uri="#/processes/ship",
    type="com.processes.ship",
    versions={"1.0.0": Version(accepts=Ship, emits={"evt.processes.shipped": Shipped})},
)


def ship_shipment(event: Event[Ship]) -> Effects[Emit]:
    yield from call(load_shipment, event.data)
    return Emit(Shipped(event.data.number))


system = System(
    [
        EventHandler(
            ship,
            {"1.0.0": ship_shipment},
            limits=[
                Limit(concurrent=CONCURRENT),
                Limit(concurrent=1, per=lambda event: event.data.customer),
            ],
        )
    ]
)


async def load_shipment(shipment: Ship) -> None:
    """Take some time; note a shipment that was loaded, and one for which there was no room."""
    folder = Path(shipment.folder)
    with ExitStack() as stack:
        places = [f"any-{number}" for number in range(CONCURRENT)]
        has_room = any(stack.enter_context(_lock(folder / place)) for place in places)
        is_alone = stack.enter_context(_lock(folder / f"of-{shipment.customer}"))
        if not has_room or not is_alone:
            _note(folder / "exceeded", shipment)
        await asyncio.sleep(EFFECT_SECONDS)
        _note(folder / "loaded", shipment)


@contextmanager
def _lock(path: Path) -> Iterator[bool]:
    """Lock a file while the context lasts, if it is free. The lock ends with the process, too."""
    file = os.open(path, os.O_CREAT | os.O_RDWR)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield True
    except BlockingIOError:
        yield False
    finally:
        os.close(file)


def _note(path: Path, shipment: Ship) -> None:
    with path.open("a") as file:
        file.write(f"{shipment.number}\n")


def run_limited(url: str, report: Callable[[], None]) -> None:
    """Work on a backend until SIGTERM, as `run_worker` does."""
    asyncio.run(work(system, url, report))


async def send_shipments(url: str, folder: Path, numbers: range) -> None:
    """Send shipments of some customers."""
    async with Client(system, open_backend(url)) as client:
        for number in numbers:
            shipment = Ship(number, f"c{number % CUSTOMERS}", str(folder))
            event: Event[Any] = ship["1.0.0"].accepts(shipment, source="com.processes.test")
            await client.send(event)


async def wait_until_idle(url: str, timeout: float) -> None:
    """Wait until no process has a shipment, and none waits."""
    backend = open_backend(url)
    async with asyncio.timeout(timeout):
        while (await backend.depth()).total:  # noqa: ASYNC110 - other processes settle them
            await asyncio.sleep(POLL_SECONDS)
    await backend.close()


def notes(folder: Path, name: str) -> set[int]:
    """Return the numbers of the shipments that were *loaded*, or *exceeded* a limit."""
    path = folder / name
    return set(map(int, path.read_text().split())) if path.exists() else set()
