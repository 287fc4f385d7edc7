"""Shop: sends all orders at once and reports the outcome of each."""

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
class OrderResult:
    """The result of one order: an outcome of its contract, `failed` or `refused`, and the reason.

    *dead_letter*: its event that could not be handled, if any. *outcomes*: how many outcomes it
    had: one, or none if it was refused.
    """

    order_id: str
    outcome: str
    note: str
    dead_letter: DeadLetter | None = None
    outcomes: int = 1


@frozen
class RunResult:
    """The results of all orders, in input order.

    *unmatched*: dead letters that belong to no order. *kills*: how often the worker was killed.
    """

    results: tuple[OrderResult, ...]
    unmatched: tuple[DeadLetter, ...]
    kills: int


def order_event(placed: PlaceOrder) -> Event[PlaceOrder]:
    return order["1.0.0"].init(placed, source=SOURCE, id=placed.order_id)


async def fulfil_all(
    form: str,
    orders: Sequence[PlaceOrder],
    database: Path | None,
    on_progress: Callable[[int], None],
) -> RunResult:
    """Process all orders on a SQLite file; *on_progress* receives the number of completed ones.

    *database*: the file, which the console can show afterwards; None for one that is removed.

    A worker process that shares the file does the work. It is killed a few times, and a new one
    continues. An order that breaks a contract has no outcome: its event is a dead letter, which an
    operator can redrive once the cause is mended.
    """
    events = [order_event(placed) for placed in orders]
    with TemporaryDirectory() as folder:
        url = f"sqlite:///{database or Path(folder) / 'shop.db'}"
        async with Client(SYSTEMS[form], url) as client:
            await asyncio.gather(*map(client.send, events))
            known: set[str] = set()
            with Worker.for_orders(form, url, len(events)) as worker:
                while (await client.depth()).total:
                    completed = await _count_ended(client, known)
                    on_progress(completed)
                    worker.kill_if_due(completed)
                    await asyncio.sleep(WATCH_SECONDS)
            dead_letters = {
                dead_letter.event.subject: dead_letter
                for dead_letter in await client.dead_letters()
            }
            results = [await _result_of(client, event, dead_letters) for event in events]
            subjects = {event.subject for event in events}
            unmatched = tuple(
                dead_letter
                for subject, dead_letter in dead_letters.items()
                if subject not in subjects
            )
            return RunResult(tuple(results), unmatched, worker.kills)


async def _count_ended(client: Client, known: set[str]) -> int:
    """Count the orders that have ended; *known* holds those that earlier calls have counted."""
    ends: tuple[Status, ...] = ("done", "failed")
    for status in ends:
        page = await client.workflows(status=status)
        while page:
            fresh = {workflow.record.subject for workflow in page} - known
            known |= fresh
            if len(fresh) < len(page):
                break
            page = await client.workflows(status=status, after=page[-1])
    return len(known)


def run_purely(system: System, placed: PlaceOrder) -> Trace:
    """Process one order as a pure function, with a stub for the carrier."""
    return run(
        system, order_event(placed), effects={carrier.request_tracking: carrier.tracking_for}
    )


async def _result_of(
    client: Client, event: Event[PlaceOrder], dead_letters: Mapping[str, DeadLetter]
) -> OrderResult:
    """Read the outcomes of an order from its history."""
    id_, dead_letter = event.data.order_id, dead_letters.get(event.subject)
    ends = (order["1.0.0"].complete_type, order.system_error_type)
    outcomes: list[Event[Any]] = [
        entry.event
        for entry in await client.history(event.subject)
        if entry.kind == "produced" and entry.event is not None and entry.event.type in ends
    ]
    if not outcomes:
        note = "not answered" if dead_letter is None else dead_letter.reason
        return OrderResult(id_, REFUSED, note, dead_letter, 0)
    data = order["1.0.0"].completed.read(outcomes[0].raw)
    match data:
        case OrderClosed(outcome=outcome, note=note):
            return OrderResult(id_, outcome, note, dead_letter, len(outcomes))
        case _:
            message = outcomes[0].raw["errorMessage"]
            return OrderResult(id_, FAILED, message, dead_letter, len(outcomes))
