"""Shop: places every order at once, and says what became of each."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from attrs import frozen

from arvo import Client, DeadLetter, Event, System, Trace, run
from arvo.core.record import Status
from docs.examples.orders import carrier
from docs.examples.orders.contracts import OrderClosed, PlaceOrder, order
from docs.examples.orders.systems import SYSTEMS
from docs.examples.orders.worker import Worker

SOURCE: Final = "com.shop.web"
WATCH_SECONDS: Final = 0.1

FAILED: Final = "failed"
REFUSED: Final = "refused"


@frozen
class Fate:
    """What became of an order: an outcome of its contract, `failed` or `refused`, and why.

    *letter* is the event of it that nobody could take, where there is one. *outcomes*: how many it
    had; one, or none where it was refused.
    """

    order_id: str
    outcome: str
    note: str
    letter: DeadLetter | None = None
    outcomes: int = 1


@frozen
class Day:
    """What became of all orders, in their order; *stray* are the dead letters of no order, *kills*
    how often the worker process was killed on the way.
    """

    fates: tuple[Fate, ...]
    stray: tuple[DeadLetter, ...]
    kills: int


def place(placed: PlaceOrder) -> Event[PlaceOrder]:
    return order["1.0.0"].init(placed, source=SOURCE, id=placed.order_id)


async def fulfil_all(
    form: str, orders: Sequence[PlaceOrder], settled: Callable[[int], None]
) -> Day:
    """Carry all orders through, for real; *settled* hears how many are.

    The work is done by another process, on a file that both have open. It is killed now and then,
    and a new one goes on. An order in which a promise is broken has no outcome: its event waits as
    a dead letter for an operator, who may mend the cause and `retry` it.
    """
    events = [place(each) for each in orders]
    with TemporaryDirectory() as folder:
        url = f"sqlite:///{Path(folder) / 'shop.db'}"
        async with Client(SYSTEMS[form], url) as desk:
            await asyncio.gather(*map(desk.send, events))
            ended: set[str] = set()
            with Worker.for_day(form, url, len(events)) as worker:
                while (await desk.depth()).total:
                    through = await _ended(desk, ended)
                    settled(through)
                    worker.watch(through)
                    await asyncio.sleep(WATCH_SECONDS)
            dead_letters = {
                dead_letter.event.subject: dead_letter for dead_letter in await desk.dead_letters()
            }
            fates = [await _fate(desk, event, dead_letters) for event in events]
            known = {event.subject for event in events}
            stray = tuple(
                dead_letter for subject, dead_letter in dead_letters.items() if subject not in known
            )
            return Day(tuple(fates), stray, worker.kills)


async def _ended(desk: Client, known: set[str]) -> int:
    """Count the orders that have ended, by looking at those that did so since the last time."""
    ends: tuple[Status, ...] = ("done", "failed")
    for status in ends:
        page = await desk.workflows(status=status)
        while page:
            fresh = {kept.record.subject for kept in page} - known
            known |= fresh
            if len(fresh) < len(page):
                break
            page = await desk.workflows(status=status, after=page[-1])
    return len(known)


def rehearse(system: System, placed: PlaceOrder) -> Trace:
    """Carry one order through as a pure function, with the carrier's answers played."""
    return run(system, place(placed), effects={carrier.ask: carrier.answer})


async def _fate(
    desk: Client, event: Event[PlaceOrder], dead_letters: Mapping[str, DeadLetter]
) -> Fate:
    """Read an order's history: what it came to, and how often."""
    id_, dead_letter = event.data.order_id, dead_letters.get(event.subject)
    ends = (order["1.0.0"].complete_type, order.system_error_type)
    outcomes: list[Event[Any]] = [
        entry.event
        for entry in await desk.history(event.subject)
        if entry.kind == "produced" and entry.event is not None and entry.event.type in ends
    ]
    if not outcomes:
        note = "not answered" if dead_letter is None else dead_letter.reason
        return Fate(id_, REFUSED, note, dead_letter, 0)
    data = order["1.0.0"].completed.read(outcomes[0].raw)
    match data:
        case OrderClosed(outcome=outcome, note=note):
            return Fate(id_, outcome, note, dead_letter, len(outcomes))
        case _:
            message = outcomes[0].raw["errorMessage"]
            return Fate(id_, FAILED, message, dead_letter, len(outcomes))
