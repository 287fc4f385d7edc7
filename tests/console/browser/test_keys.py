"""Keys: an operator reaches all of the console with a keyboard alone."""

from typing import Final

from playwright.sync_api import Locator, expect

from arvo.interpreters.http.workflow_json import to_path
from tests.console.browser.tab import Tab
from tests.console.stores import ORDERS

# What has the focus: whether a person sees that, and whether it lies in the window.
FOCUS: Final = """() => {
    const it = document.activeElement, style = getComputedStyle(it);
    const box = it.getBoundingClientRect();
    return {
        text: it.outerHTML.slice(0, 100),
        isSeen: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2,
        isInWindow: box.bottom > 0 && box.top < innerHeight,
        isFirst: it.classList.contains("skip"),
        isBody: it === document.body,
    };
}"""
STOPS_MAX: Final = 200


def page_of(key: str, query: str = "") -> str:
    """Return the address of an order's page."""
    return f"/workflows/{to_path(ORDERS[key].subject)}{query}"


def rows(tab: Tab) -> Locator:
    """Return the links by which rows are opened."""
    return tab.page.locator("table.list tbody th a")


def test_keys_search_and_lead_to_pages(tab: Tab) -> None:
    """Who looks at many workflows in an hour does not want to reach for a mouse."""
    tab.go("/")
    tab.press("g", "w")
    tab.page.wait_for_url("**/workflows")
    tab.press("/")
    search = tab.page.locator("#search")
    expect(search).to_be_focused()
    # In an input they are letters.
    tab.press("g", "d", "?", "/")
    expect(search).to_have_value("gd?/")
    search.fill("chart-1")
    tab.press("Enter")

    tab.page.wait_for_url("**/workflows/*")
    expect(tab.page.locator("h1")).to_have_text("chart-1")


def test_keys_move_through_rows_and_open_one(tab: Tab) -> None:
    """They begin where the focus is, also where a pointer or Tab has put it."""
    tab.go("/workflows")
    tab.press("k")
    expect(rows(tab).nth(0)).to_be_focused()
    tab.press("j", "j", "k")
    expect(rows(tab).nth(1)).to_be_focused()
    rows(tab).nth(3).focus()
    tab.press("j")
    expect(rows(tab).nth(4)).to_be_focused()
    tab.press("x")
    expect(tab.page.locator("tbody input[type=checkbox]").nth(4)).to_be_checked()
    name = rows(tab).nth(4).inner_text()
    tab.press("Enter")

    expect(tab.page.locator("h1")).to_have_text(name)


def test_keys_step_through_revisions(tab: Tab) -> None:
    """Each revision has an address, so the way back works as well."""
    tab.go(page_of("done-1", "?tab=travel"))
    tab.press("[")
    tab.page.wait_for_url("**revision=1")
    tab.press("]")
    tab.page.wait_for_url("**revision=2")


def test_the_list_of_keys_returns_the_focus(tab: Tab) -> None:
    """A dialog that drops the focus makes an operator begin at the top of the page again."""
    tab.go("/workflows")
    tab.press("j", "?")
    expect(tab.page.locator("#keys")).to_be_visible()
    tab.press("Escape")

    expect(tab.page.locator("#keys")).to_be_hidden()
    expect(rows(tab).nth(0)).to_be_focused()


def test_a_form_to_act_opens_over_the_page_and_returns_the_focus(tab: Tab) -> None:
    """It is left by Escape or by its link, and nothing has been done."""
    tab.go(page_of("waits-1"))
    link = tab.page.get_by_role("link", name="Cancel…")
    form = tab.page.get_by_role("dialog")
    for leave in ("Escape", "Do nothing"):
        link.focus()
        tab.press("Enter")
        expect(form.get_by_label("Reason")).to_be_visible()
        if leave == "Escape":
            tab.press("Escape")
        else:
            form.get_by_role("link", name=leave).click()
        expect(form).to_be_hidden()
        expect(link).to_be_focused()

    assert "/workflows/" in tab.page.url


def test_each_stop_of_the_tab_key_is_seen(tab: Tab) -> None:
    """First comes the link that skips what is the same on each page."""
    tab.go("/workflows")
    tab.press("Tab")
    assert tab.page.evaluate(FOCUS)["isFirst"]
    stops = []
    for _ in range(STOPS_MAX):
        stop = tab.page.evaluate(FOCUS)
        if stop["isBody"]:
            break
        stops.append(stop)
        tab.press("Tab")

    assert [it["text"] for it in stops if not (it["isSeen"] and it["isInWindow"])] == []
    assert 30 < len(stops) < STOPS_MAX


def test_the_skip_link_leads_to_the_content(tab: Tab) -> None:
    """The next stop is the first one of the content."""
    tab.go("/workflows")
    tab.press("Tab", "Enter", "Tab")

    assert tab.page.evaluate("document.activeElement.closest('main') !== null")
