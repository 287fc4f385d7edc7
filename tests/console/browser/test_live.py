"""Live: open pages follow changes, and say when they cannot."""

from collections.abc import Iterator
from typing import Final

import pytest
from playwright.sync_api import Browser, expect

from arvo import Runtime
from tests.console.browser.site import Site, served
from tests.console.browser.tab import Tab, opened
from tests.console.stores import Order, begin, filled, turns

# What a browser does when a person looks at another tab, or comes back.
HIDE: Final = """isHidden => {
    Object.defineProperty(document, "hidden", { value: isHidden, configurable: true });
    document.dispatchEvent(new Event("visibilitychange"));
}"""


@pytest.fixture
def site() -> Iterator[Site]:
    """Serve a console of its own to each test: they change its workflows."""
    with served(filled) as serving:
        yield serving


def place(site: Site, key: str) -> None:
    """Begin a workflow and let it run to its end."""

    async def go(runtime: Runtime) -> None:
        await runtime.send(begin(turns, key, Order(10)))
        await runtime.drain(timeout=60)

    site.run(go)


def test_a_row_appears_without_a_reload(tab: Tab, site: Site) -> None:
    """An operator who waits for an order leaves the list open."""
    tab.go("/workflows")
    tab.page.evaluate("window.wasLoaded = true")
    place(site, "late-1")

    expect(tab.page.get_by_role("link", name="late-1")).to_be_visible()
    assert tab.page.evaluate("window.wasLoaded")


def test_a_tab_in_the_background_leaves_its_connection_and_misses_nothing(
    tab: Tab, site: Site
) -> None:
    """A browser has six connections to a server: a seventh open page would wait for ever."""
    tab.go("/workflows")
    site.wait_for_pages(1)
    tab.page.evaluate(HIDE, arg=True)
    site.wait_for_pages(0)
    place(site, "late-1")
    tab.page.evaluate(HIDE, arg=False)

    expect(tab.page.get_by_role("link", name="late-1")).to_be_visible()


def test_rows_do_not_move_under_the_eyes_of_a_reader(tab: Tab, site: Site) -> None:
    """Where the list is scrolled down, or a row has the focus, a button offers the changes."""
    late = tab.page.get_by_role("link", name="late-1")
    button = tab.page.get_by_role("button", name="changed, show")
    tab.go("/workflows")
    tab.page.set_viewport_size({"width": 1_280, "height": 300})
    tab.page.mouse.wheel(0, 200)
    tab.page.wait_for_function("scrollY > 50")
    place(site, "late-1")

    expect(button).to_be_visible()
    expect(button).to_be_in_viewport()
    expect(late).to_have_count(0)
    button.click()
    expect(late).to_be_visible()
    expect(button).to_have_count(0)


def test_a_page_says_when_the_server_is_gone_and_follows_again(tab: Tab, site: Site) -> None:
    """An operator who trusts a page that stands still misses what happens."""
    banner = tab.page.get_by_text("No news of changes since")
    tab.go("/workflows")
    site.stop()
    expect(banner).to_be_visible()
    place(site, "late-1")
    site.start()

    expect(banner).to_have_count(0)
    expect(tab.page.get_by_role("link", name="late-1")).to_be_visible()
    assert all("ERR_" in it for it in tab.faults)
    tab.faults.clear()


def test_a_page_asks_again_after_a_proxy_refused(browser: Browser, site: Site) -> None:
    """A browser does not by itself: for it, a 502 of a proxy is an answer."""
    with opened(browser, site.address) as tab:
        banner = tab.page.get_by_text("No news of changes since")
        tab.page.route("**/changes?*", lambda route: route.fulfill(status=502))
        tab.go("/workflows")
        expect(banner).to_be_visible()
        tab.page.unroute("**/changes?*")

        expect(banner).to_have_count(0)
        assert all("502" in it for it in tab.faults)
        tab.faults.clear()


def test_a_printed_page_has_all_of_a_report_and_no_controls(tab: Tab, site: Site) -> None:
    """A report of an incident is made of it."""
    tab.go("/dead-letters")
    tab.page.locator("#rows th a").first.click()
    tab.page.emulate_media(media="print")
    attributes = tab.page.locator("details table")

    expect(tab.page.locator(".rail")).to_be_hidden()
    expect(tab.page.locator(".actions")).to_be_hidden()
    expect(tab.page.locator("h1")).to_be_visible()
    assert attributes.evaluate("it => it.checkVisibility()")
