"""Schedules: an operator pauses one in a real browser, and sees that it is paused."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
from playwright.sync_api import Browser, expect

from arvo import Runtime
from tests.console.browser.site import served
from tests.console.browser.tab import Tab, opened
from tests.console.browser.test_every_page import find_faults
from tests.console.test_schedules import system


@asynccontextmanager
async def scheduled() -> AsyncIterator[Runtime]:
    """Open a runtime with a schedule."""
    async with Runtime(system, "memory:") as runtime:
        await runtime.drain(timeout=60)
        yield runtime


@pytest.fixture
def tab(browser: Browser) -> Iterator[Tab]:
    """Open a tab on its console."""
    with served(scheduled) as site, opened(browser, site.address) as tab:
        yield tab


def test_a_schedule_is_paused_from_the_list(tab: Tab) -> None:
    """The form lies over the list, and the page of the schedule says what became of it."""
    tab.go("/schedules")
    wrong = find_faults(tab, "/schedules")
    tab.page.get_by_role("link", name="Pause reports.daily").click()
    tab.page.get_by_label("Reason").fill("the printer burns")
    tab.page.get_by_role("button", name="Pause the schedule").click()
    expect(tab.page.get_by_role("status").first).to_contain_text("The signal to pause was sent.")
    tab.go("/schedules")

    expect(tab.page.locator("#rows td").first).to_contain_text("paused: the printer burns")
    assert wrong == []
