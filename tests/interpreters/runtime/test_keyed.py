"""Keyed: the events of a key in real stores, with several workers at once."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from attrs import frozen

from arvo import (
    Backend,
    Contract,
    Effects,
    Emit,
    Event,
    EventHandler,
    Retry,
    Runtime,
    System,
    Version,
    Violated,
    call,
)
from arvo.compose import batched
from tests.interpreters.until import until

SIZE, BATCHES = 4, 3
PAGES = ("home", "news")


@frozen
class View:
    page: str
    number: int


@frozen
class Views:
    items: tuple[View, ...]


@frozen
class Counted:
    count: int


count_views = Contract(
    uri="#/contracts/views",
    type="com.site.views.count",
    versions={"1.0.0": Version(accepts=Views, emits={"evt.site.counted": Counted})},
)


def make_system(seen: dict[str, tuple[View, ...]]) -> System:
    def store(id_: str, items: tuple[View, ...]) -> None:
        # A delivery may come twice; it is the same event then.
        seen[id_] = items

    def count(event: Event[Views]) -> Effects[Emit]:
        # An effect: a worker may call the handler for a batch whose commit is refused.
        yield from call(store, event.id, event.data.items)
        return Emit(Counted(len(event.data.items)))

    counting = EventHandler(count_views, {"1.0.0": count})
    # An hour: each batch is sent because it is full.
    views = batched(counting, View, Views, size=SIZE, within=3_600, key=lambda view: view.page)
    return System([counting, views])


def view(system: System, page: str, number: int) -> Event[Any]:
    [_, views] = system.handlers
    version: Any = views.contract["1.0.0"]
    event: Event[Any] = version.init(
        View(page, number), source=f"com.site.web{number % 3}", id=f"view-{page}-{number}"
    )
    return event


@pytest.mark.promise("I1", "I2")
def test_views_from_several_senders_are_counted_once_and_in_order(
    open_backend: Callable[[], Backend],
) -> None:
    """I1, I2: two workers, each event sent twice, and some while a batch closes."""
    seen: dict[str, tuple[View, ...]] = {}
    system, total = make_system(seen), SIZE * BATCHES

    async def send_all(runtime: Runtime, page: str) -> None:
        for number in range(total):
            await runtime.send(view(system, page, number))
            await runtime.send(view(system, page, number))

    async def go() -> None:
        retry = Retry(attempts=10, delay=0.02)
        async with (
            asyncio.timeout(120),
            Runtime(system, open_backend(), retry=retry) as one,
            Runtime(system, open_backend(), retry=retry) as two,
        ):
            await asyncio.gather(send_all(one, PAGES[0]), send_all(two, PAGES[1]))
            await until(lambda: len(seen) >= BATCHES * len(PAGES))
            await one.drain(timeout=60)
            await two.drain(timeout=60)

    asyncio.run(go())

    for page in PAGES:
        batches = [items for items in seen.values() if items[0].page == page]
        batches.sort(key=lambda items: items[0].number)
        counted = [item for items in batches for item in items]
        assert counted == [View(page, number) for number in range(total)]


def test_a_caller_cannot_wait_for_the_answer_of_a_shared_run() -> None:
    """It would wait for ever: the answer goes to none of the senders."""
    system = make_system({})

    async def go() -> None:
        async with Runtime(system) as runtime:
            with pytest.raises(Violated, match="without a key: use `send`"):
                await runtime.request(view(system, "home", 1), timeout=10)

    asyncio.run(go())
