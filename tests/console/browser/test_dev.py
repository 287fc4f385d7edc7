"""Dev: the pages of `arvo dev` in a real browser."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, Final

import pytest
from playwright.sync_api import Browser, expect
from starlette.applications import Starlette

from arvo import Runtime
from arvo.console.app import extended_console
from arvo.console.dev.deliveries import Deliveries
from arvo.console.dev.observer import DeliveryObserver
from arvo.console.dev.pages import dev_extension
from arvo.console.requests.access import act, scope_user
from arvo.interpreters.delivery.clock import set_clock_ahead
from tests.console.browser import site
from tests.console.browser.axe import find_violations
from tests.console.browser.tab import NARROW, WIDE, Tab, opened
from tests.console.browser.test_every_page import OVERFLOW
from tests.console.stores import ORDERS, system


@pytest.fixture
def tab(browser: Browser, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tab]:
    """Open a tab on the console of a workflow that sleeps for an hour."""
    deliveries: Final = Deliveries()

    @asynccontextmanager
    async def sleeping() -> AsyncIterator[Runtime]:
        runtime = Runtime(system, "memory:")
        runtime.observe(DeliveryObserver(deliveries))
        async with runtime:
            await runtime.send(ORDERS["chart-1"])
            await runtime.drain(timeout=60)
            yield runtime

    def dev_console(runtime: Runtime, **_: Any) -> Starlette:
        extension = dev_extension(deliveries, set_clock_ahead)
        return extended_console(runtime, scope_user, act, "", "dev", extension)

    monkeypatch.setattr(site, "console", dev_console)
    with site.served(sleeping) as serving, opened(browser, serving.address) as tab:
        yield tab
    set_clock_ahead(timedelta())


def test_a_button_ends_the_sleep_of_a_workflow(tab: Tab) -> None:
    """The page of deliveries shows by itself what follows."""
    tab.go("/deliveries")
    rows = tab.page.locator("tbody tr")
    expect(rows).to_have_count(3)
    wrong = []
    for width in (NARROW, WIDE):
        tab.resize(width)
        wrong += [*tab.page.evaluate(OVERFLOW), *find_violations(tab.page)]

    tab.page.get_by_role("button", name="Skip to the next timer").click()

    expect(tab.page.get_by_text("The clock was set ahead")).to_be_visible()
    expect(rows).to_have_count(5)
    expect(rows.first).to_contain_text("arvo.orc.shop.chart.done")
    assert wrong == []
