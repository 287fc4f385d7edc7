"""Shop: places every order at once, and says what became of each."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final

from attrs import frozen

from arvo import DeadLetter, Event, Runtime, System, SystemFault, Trace, Unanswered, Violated, run
from docs.examples.orders import carrier
from docs.examples.orders.contracts import OrderClosed, PlaceOrder, order

SOURCE: Final = "com.shop.web"
TIMEOUT_SECONDS: Final = 300.0

FAILED: Final = "failed"
REFUSED: Final = "refused"


@frozen
class Fate:
    """What became of an order: an outcome of its contract, `failed` or `refused`, and why.

    *letter* is the event of it that nobody could take, where there is one.
    """

    order_id: str
    outcome: str
    note: str
    letter: DeadLetter | None = None


@frozen
class Day:
    """What became of all orders, in their order; *stray* are the dead letters of no order."""

    fates: tuple[Fate, ...]
    stray: tuple[DeadLetter, ...]


def place(placed: PlaceOrder) -> Event[PlaceOrder]:
    return order["1.0.0"].init(placed, source=SOURCE, id=placed.order_id)


async def fulfil_all(
    system: System, orders: Sequence[PlaceOrder], settled: Callable[[], None]
) -> Day:
    """Carry all orders through, for real, and call *settled* whenever one is.

    An order in which a promise is broken is never answered: its event waits as a dead letter for
    an operator, who may mend the cause and `Runtime.retry` it.
    """

    async def answer_to(event: Event[PlaceOrder]) -> Event[Any] | None:
        try:
            answer = await runtime.request(event, timeout=TIMEOUT_SECONDS)
        except (Unanswered, Violated):
            return None
        settled()
        return answer

    events = [place(each) for each in orders]
    async with Runtime(system, "memory:") as runtime:
        waiting = [asyncio.create_task(answer_to(event)) for event in events]
        await runtime.drain()
        letters = {letter.event.subject: letter for letter in await runtime.dead_letters()}
    # What is not answered now will not be: the runtime has stopped, and told who waits.
    answers = await asyncio.gather(*waiting)
    fates: list[Fate] = []
    for event, answer in zip(events, answers, strict=True):
        if answer is None:
            settled()
        fates.append(_fate(event.data.order_id, answer, letters.pop(event.subject, None)))
    return Day(tuple(fates), tuple(letters.values()))


def rehearse(system: System, placed: PlaceOrder) -> Trace:
    """Carry one order through as a pure function, with the carrier's answers played."""
    return run(system, place(placed), effects={carrier.ask: carrier.answer})


def _fate(order_id: str, answer: Event[Any] | None, letter: DeadLetter | None) -> Fate:
    if answer is None:
        return Fate(order_id, REFUSED, "not answered" if letter is None else letter.reason, letter)
    match answer.data:
        case OrderClosed(outcome=outcome, note=note):
            return Fate(order_id, outcome, note, letter)
        case SystemFault(message=message):
            return Fate(order_id, FAILED, message, letter)
        case other:
            return Fate(order_id, FAILED, f"an answer that nobody expects: {other!r}", letter)
