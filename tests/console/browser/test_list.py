"""List: the workflows in a real browser, more than one page of them."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
from playwright.sync_api import expect

from arvo import Runtime
from arvo.interpreters.ports.results import PAGE_MAX
from tests.console.browser.site import Site, served
from tests.console.browser.tab import NARROW, Tab
from tests.console.browser.test_every_page import OVERFLOW
from tests.console.stores import Order, begin, system, turns


@asynccontextmanager
async def two_pages() -> AsyncIterator[Runtime]:
    """Open a runtime with workflows for two pages."""
    async with Runtime(system, "memory:") as runtime:
        for number in range(PAGE_MAX + 20):
            await runtime.send(begin(turns, f"order-{number}", Order(500, "many")))
        await runtime.drain(timeout=100)
        yield runtime


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    """Serve a console over them."""
    with served(two_pages) as serving:
        yield serving


def test_more_rows_are_appended_below_the_others(tab: Tab) -> None:
    """By keys, with the focus on the first of them."""
    tab.go("/workflows")
    rows, more = tab.page.locator("#rows tr"), tab.page.get_by_role("link", name="Load more")
    more.focus()
    tab.press("Enter")

    expect(rows).to_have_count(PAGE_MAX + 20)
    expect(more).to_have_count(0)
    expect(rows.nth(PAGE_MAX).locator("a").first).to_be_focused()
    # The cells of the header stay where they are, above the row in focus.
    expect(tab.page.get_by_role("columnheader", name="Status")).to_be_in_viewport()
    assert tab.page.evaluate(OVERFLOW) == []


def test_a_count_takes_the_place_of_the_estimate(tab: Tab) -> None:
    """The rows stay, and so does the focus."""
    tab.go("/workflows")
    tab.page.evaluate("window.wasLoaded = true")
    tab.page.get_by_role("link", name="count").focus()
    tab.press("Enter")

    expect(tab.page.locator("#number")).to_contain_text(f"{PAGE_MAX + 20} workflows")
    expect(tab.page.get_by_role("link", name="count again")).to_be_focused()
    assert tab.page.evaluate("window.wasLoaded")


def test_a_phone_shows_the_list_within_its_width(tab: Tab) -> None:
    """The table scrolls in its box, and the page does not."""
    tab.resize(NARROW)
    tab.go("/workflows")

    expect(tab.page.get_by_role("button", name="Copy the id of order-1").first).to_be_attached()
    assert tab.page.evaluate(OVERFLOW) == []
