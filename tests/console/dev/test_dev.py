"""Dev: the pages that the console has in `arvo dev` alone."""

import re
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import httpx
import pytest
from starlette.applications import Starlette

from arvo import Runtime
from arvo.console.app import extended_console
from arvo.console.changes import Changes
from arvo.console.dev.deliveries import DELIVERIES_MAX, Deliveries, HandledDelivery
from arvo.console.dev.observer import DeliveryObserver
from arvo.console.dev.pages import AHEAD_MAX, dev_extension, next_timer
from arvo.console.requests.access import act, scope_user
from arvo.console.views.data import digest_of
from arvo.interpreters.delivery.clock import clock_ahead, set_clock_ahead, utc_now
from tests.console.pages import read_page
from tests.console.stores import ORDERS, browse, system
from tests.interpreters.within import within

T = TypeVar("T")
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _clock() -> Iterator[None]:
    """Let no other test run ahead of the host's clock."""
    yield
    set_clock_ahead(timedelta())


def with_dev(
    use: Callable[[httpx.AsyncClient, Runtime], Awaitable[T]], *keys: str, moves: bool = True
) -> T:
    """Use a console of `arvo dev` over some of the orders, with nothing under way."""

    async def go() -> T:
        deliveries = Deliveries()
        runtime = Runtime(system, "memory:")
        runtime.observe(DeliveryObserver(deliveries))
        extension = dev_extension(deliveries, set_clock_ahead if moves else None)
        app: Starlette = extended_console(runtime, scope_user, act, "", "dev", extension)
        async with runtime, browse(app) as browser:
            for key in keys:
                await runtime.send(ORDERS[key])
            await runtime.drain(timeout=60)
            return await use(browser, runtime)

    return within(go(), 150)


async def skip(browser: httpx.AsyncClient, back: str = "/timers") -> httpx.Response:
    """Press the button."""
    await browser.get("/")
    form = {"token": browser.cookies["arvo_console"], "back": back}
    return await browser.post("/skip", data=form)


# The events of an order, as they are handled.
HANDLED = (
    "arvo.orc.shop.turns done-1 arvo.orc.shop.turns handled",
    "com.bank.charge done-1 com.bank.charge handled",
    "evt.bank.charged done-1 arvo.orc.shop.turns handled",
    "arvo.orc.shop.turns.done done-1 com.shop.web unclaimed",
)


def test_each_delivery_is_on_the_page() -> None:
    """What happened to an event is seen without a search in a log."""

    async def use(browser: httpx.AsyncClient, _: Runtime) -> httpx.Response:
        return await browser.get("/deliveries")

    page = read_page(with_dev(use, "done-1").text)

    cells = [it.text for it in page.elements if it.tag in ("td", "th")][6:]
    rows = [cells[first + 1 : first + 5] for first in range(0, len(cells), 6)]
    assert [" ".join(row) for row in reversed(rows)] == [*HANDLED]
    assert "The newest 4 of 4 deliveries" in page.text_of("caption")
    assert "/deliveries" in page.links


def delivery(number: int) -> HandledDelivery:
    """Make a delivery of an event of no workflow."""
    return HandledDelivery(
        at=NOW,
        type="com.a.b",
        subject=f"s{number}",
        to="com.a.b",
        attempt=1,
        outcome="handled",
        seconds=0.1,
    )


def test_deliveries_have_a_limit() -> None:
    """A worker that runs for a week handles more than a page shows."""
    printed: list[HandledDelivery] = []
    deliveries = Deliveries(printed.append)

    for number in range(DELIVERIES_MAX + 2):
        deliveries.add(delivery(number))

    assert len(deliveries.newest) == DELIVERIES_MAX
    assert (deliveries.newest[0].name, deliveries.newest[-1].name) == (
        f"s{DELIVERIES_MAX + 1}",
        "s2",
    )
    assert deliveries.number == len(printed) == DELIVERIES_MAX + 2


def test_open_pages_learn_of_deliveries() -> None:
    """Also of events that change no workflow."""
    deliveries = Deliveries()

    async def go() -> tuple[str, ...]:
        changes = Changes(Runtime(system, "memory:"), handled=deliveries.changed)
        changes.compare(())
        deliveries.add(delivery(1))
        changes.compare((), deliveries.changed())
        deliveries.add(delivery(2))
        changes.compare((), deliveries.changed())
        changes.compare((), deliveries.changed())
        return tuple(it for change in changes._remembered for it in change.workflows)

    assert within(go()) == (digest_of("s1"), digest_of("s2"))


def test_a_button_skips_to_the_next_timer() -> None:
    """A developer does not wait for an hour to see what follows."""

    async def use(browser: httpx.AsyncClient, runtime: Runtime) -> list[httpx.Response]:
        timer = await next_timer(runtime, utc_now())
        first = await skip(browser, "/workflows?status=done&done=send")
        assert timer is not None
        assert utc_now() >= timer.due
        while await runtime.timers():
            await runtime.drain(timeout=60)
        await runtime.drain(timeout=60)
        listed = await browser.get("/workflows?status=done")
        return [first, listed, await skip(browser)]

    first, listed, second = with_dev(use, "chart-1")

    assert first.headers["location"] == "/workflows?status=done&done=skip"
    assert "chart-1" in listed.text
    assert re.search(r"The clock is \d:\d\d:\d\d ahead", listed.text)
    assert second.headers["location"] == "/timers?done=skip-none"
    assert timedelta() < clock_ahead() <= timedelta(hours=1)


def test_the_button_needs_a_clock_of_its_own() -> None:
    """The timers of a server go by the clock of the server."""

    async def use(browser: httpx.AsyncClient, _: Runtime) -> list[httpx.Response]:
        return [await browser.get("/timers"), await skip(browser)]

    page, skipped = with_dev(use, "chart-1", moves=False)

    assert "Skip to the next timer" not in page.text
    assert skipped.status_code in (404, 405)
    assert clock_ahead() == timedelta()


def test_a_timer_beyond_the_calendar_is_not_skipped_to() -> None:
    """The time of the next lease would have no name."""

    async def use(browser: httpx.AsyncClient, _: Runtime) -> httpx.Response:
        set_clock_ahead(AHEAD_MAX)
        return await skip(browser)

    async def begin(browser: httpx.AsyncClient, runtime: Runtime) -> httpx.Response:
        set_clock_ahead(AHEAD_MAX)
        await runtime.send(ORDERS["chart-1"])
        await runtime.drain(timeout=60)
        return await use(browser, runtime)

    answer = with_dev(begin)

    assert answer.status_code == 422
    assert "over 100 years from now" in answer.text
    assert clock_ahead() == AHEAD_MAX


@pytest.mark.parametrize("back", ["", "https://evil.example/", "//evil.example/", "/\\evil", "x"])
def test_the_button_leads_back_to_a_page_of_the_console(back: str) -> None:
    """A form may have been changed on its way."""

    async def use(browser: httpx.AsyncClient, _: Runtime) -> httpx.Response:
        return await skip(browser, back)

    assert with_dev(use).headers["location"] == "/timers?done=skip-none"
