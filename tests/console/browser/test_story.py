"""Story: an operator with ten thousand orders mends one, cancels many, and begins one anew."""

import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Final

import pytest
from playwright.sync_api import expect

from arvo import EventHandler, Runtime, System
from tests.console.browser.site import Site, served
from tests.console.browser.tab import Tab
from tests.console.stores import Order, begin, charge, resumable, take_payment, turns

ORDERS: Final = 10_000
# Those that wait for a warehouse which has burnt down.
LOST: Final = 500
system: Final = System(
    [EventHandler(charge, {"1.0.0": take_payment}, on_error="dead-letter"), resumable]
)


@asynccontextmanager
async def ten_thousand() -> AsyncIterator[Runtime]:
    """Open a runtime with orders that wait for a payment, and one whose payment is a dead letter.

    They run in memory, at less than a millisecond each.
    """
    async with Runtime(system, "memory:") as runtime:
        for number in range(ORDERS - 1):
            note = "burnt" if number < LOST else "fine"
            await runtime.send(begin(turns, f"order-{number}", Order(500, note)))
        await runtime.send(begin(turns, "order-late", Order(13, "vip")))
        await runtime.drain(timeout=250)
        yield runtime


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    """Serve a console over them."""
    with served(ten_thousand) as serving:
        yield serving


def test_one_order_among_ten_thousand_is_mended(tab: Tab, site: Site) -> None:
    """By its label, by why it stands still, by other data for its dead letter, and live."""
    page = tab.page
    tab.go("/")
    tab.press("/")
    page.locator("#search").fill("note=vip")
    tab.press("Enter")
    page.get_by_role("link", name="order-late").click()
    page.wait_for_url("**/workflows/*")
    watching = page.context.new_page()
    watching.goto(page.url)
    expect(watching.locator(".head .status")).to_contain_text("active")
    stored = page.locator("table", has_text="Dead letters")
    stored.get_by_role("link", name="com.bank.charge").click()
    expect(page.locator(".wrong").first).to_contain_text("cannot charge")
    page.get_by_role("link", name="Redrive with other data…").click()
    data = page.locator("#data")
    data.fill(data.input_value().replace("13", "14"))
    page.get_by_label("Reason").fill("a wrong amount")
    page.get_by_role("button", name="Redrive").click()
    expect(page.locator(".notice")).to_be_visible()

    expect(watching.locator(".head .status")).to_contain_text("done")


def test_five_hundred_orders_are_cancelled_after_a_dry_run(tab: Tab, site: Site) -> None:
    """Not one by one, and not before the number is what the operator expects."""
    page = tab.page
    tab.go("/workflows?label=note%3Dburnt&status=active")
    page.get_by_label("all workflows that match the filters").check()
    page.get_by_role("button", name="Cancel…").click()
    counts = page.locator(".counts")
    expect(page.get_by_text("It is done")).to_be_visible()
    expect(counts.locator("dd").first).to_have_text(str(LOST))
    page.get_by_label("Reason").fill("the warehouse has burnt down")
    page.get_by_role("button", name=re.compile("Cancel")).click()
    expect(page.get_by_text("It is done")).to_be_visible()
    site.run(lambda runtime: runtime.drain(timeout=250))
    tab.go("/workflows?label=note%3Dburnt&status=active")

    expect(page.get_by_text("No workflow has all of these.")).to_be_visible()
    tab.go("/workflows?label=note%3Dfine&status=active")
    expect(page.locator("#rows tr").first).to_be_visible()


def test_an_order_begins_anew_from_one_of_its_turns(tab: Tab) -> None:
    """The first one goes on, and the new one says where it comes from."""
    page = tab.page
    tab.go("/")
    tab.press("/")
    page.locator("#search").fill("order-9000")
    tab.press("Enter")
    page.get_by_role("link", name="order-9000").first.click()
    page.get_by_role("link", name="Time travel").click()
    page.get_by_role("link", name="Fork from here…").click()
    page.get_by_label("Workflow id of the new one").fill("order-anew")
    page.get_by_label("Reason").fill("a customer wants the same again")
    page.get_by_role("button", name="Begin the new workflow").click()

    expect(page.get_by_role("heading", level=1)).to_contain_text("order-anew")
    expect(page.locator(".head")).to_contain_text("Forked from")
    expect(page.locator(".head").get_by_role("link", name="order-9000")).to_be_visible()
