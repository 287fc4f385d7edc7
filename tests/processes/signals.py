"""Signals: a workflow that records the order of its signals, its senders, and the outcome."""

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any

from attrs import evolve, frozen

from arvo import (
    Commands,
    Complete,
    Contract,
    Emit,
    Event,
    EventHandler,
    OrchestratorContract,
    Persist,
    Resumable,
    Stamp,
    Subject,
    Turn,
    Version,
    Workflow,
    stamping,
)
from arvo.engine.step.route import ToHandler
from arvo.interpreters.delivery.tasks import poll_until_idle
from arvo.interpreters.paired.backend import Pair
from arvo.interpreters.ports.backend import Backend
from arvo.interpreters.ports.broker import ReportsDepth
from arvo.interpreters.ports.errors import Unavailable
from arvo.interpreters.ports.messages import Message
from arvo.interpreters.runtime.backends import backend_from_url

SIGNALS = 5
SOURCE = "com.processes.test"
# Workflows whose events are sent at the same time.
CONCURRENCY = 50


@frozen
class Open:
    pass


@frozen
class Closed:
    pass


@frozen
class Check:
    pass


@frozen
class Checked:
    pass


@frozen
class Item:
    number: int


@frozen
class Items:
    numbers: tuple[int, ...] = ()
    is_checked: bool = False


check = Contract(
    uri="#/processes/check",
    type="com.processes.check",
    versions={"1.0.0": Version(accepts=Check, emits={"evt.processes.checked": Checked})},
)
item = Contract(
    uri="#/processes/item",
    type="com.processes.item",
    versions={"1.0.0": Version(accepts=Item, emits={})},
)
basket = OrchestratorContract(
    uri="#/processes/basket",
    name="processes.basket",
    versions={"1.0.0": Workflow(init=Open, complete=Closed)},
)


def collect(turn: Turn[Items]) -> Commands:
    """Append each item in the order of arrival, and end with the last one and the reply."""
    match turn.event.data:
        case Open():
            return Persist(Items()), Emit(Check())
        case Item(number=number):
            items = evolve(turn.state, numbers=(*turn.state.numbers, number))
        case Checked():
            items = evolve(turn.state, is_checked=True)
        case _:
            return None
    done = [Complete(Closed())] if items.is_checked and len(items.numbers) == SIGNALS else []
    return Persist(items), *done


handlers = (
    EventHandler(check, {"1.0.0": lambda _: Emit(Checked())}),
    Resumable(
        basket,
        {"1.0.0": collect},
        services=[check["1.0.0"]],
        signals=[item["1.0.0"]],
        state=Items,
    ),
)


@frozen
class Outcome:
    """What became of all workflows: none of these numbers should be above zero."""

    dead_letters: int = 0
    out_of_order: int = 0
    stuck: int = 0


def events_of(run: int) -> list[Event[Any]]:
    """Return the begin of a workflow and its signals, in order; always the same."""
    subject = Subject.new(basket.type, "1.0.0", initiator=SOURCE, id=f"run-{run}")
    time = "2026-01-02T03:04:05.000+00:00"
    with stamping(lambda: Stamp(f"open-{run}", time)):
        events: list[Event[Any]] = [basket["1.0.0"].init(Open(), source=SOURCE, subject=subject)]
    for number in range(1, SIGNALS + 1):
        with stamping(lambda number=number: Stamp(f"item-{run}-{number}", time)):  # type: ignore[misc]
            events.append(
                item["1.0.0"].accepts(
                    Item(number), source=SOURCE, to=basket.type, subject=events[0].subject
                )
            )
    return events


async def send_in_order(url: str, runs: Iterable[int]) -> None:
    """Send the events of each workflow, each when the one before was acknowledged."""
    backend, limit = backend_from_url(url), asyncio.Semaphore(CONCURRENCY)

    async def send(run: int) -> None:
        async with limit:
            for event in events_of(run):
                await _send_until_accepted(backend, event)

    await asyncio.gather(*map(send, runs))
    await backend.close()


async def outcome(url: str, runs: Iterable[int], timeout: float) -> Outcome:
    """Wait until no event is under way, and report what became of the workflows."""
    backend, runs = backend_from_url(url), list(runs)
    with suppress(TimeoutError):
        async with asyncio.timeout(timeout):
            await poll_until_idle(lambda: _is_busy(backend, runs))
    out_of_order = stuck = 0
    for run in runs:
        record = await backend.load(events_of(run)[0].subject)
        stuck += record is None or record.status != "done"
        state: Any = None if record is None else record.state
        numbers = list(state["numbers"]) if state else []
        out_of_order += numbers != sorted(numbers)
    dead_letters = len(await backend.dead_letters())
    await backend.close()
    return Outcome(dead_letters, out_of_order, stuck)


async def _send_until_accepted(backend: Backend, event: Event[Any]) -> None:
    while True:
        with suppress(Unavailable):
            return await backend.send(Message(event, ToHandler(basket.type, event.subject)))
        await asyncio.sleep(0.05)


async def _is_busy(backend: Backend, runs: Sequence[int]) -> bool:
    """Return whether events are under way: until all workflows have ended or one cannot.

    A server that is away counts as busy.
    """
    with suppress(Unavailable):
        if not (await _are_done(backend, runs) or await backend.dead_letters()):
            return True
        # Not every broker can count.
        can_count = not isinstance(backend, Pair) or isinstance(backend.broker, ReportsDepth)
        return can_count and bool((await backend.depth()).total)
    return True


async def _are_done(backend: Backend, runs: Sequence[int]) -> bool:
    for run in reversed(runs):
        record = await backend.load(events_of(run)[0].subject)
        if record is None or record.status != "done":
            return False
    return True
