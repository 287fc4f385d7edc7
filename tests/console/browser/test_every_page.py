"""Every page in a real browser: on a phone and a desktop, light and dark, by the rules of WCAG."""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import product
from typing import Final, Literal
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import expect

from arvo.interpreters.http.workflow_json import to_path
from tests.console.browser.axe import EVERY_RULE, VISUAL_RULES, find_violations
from tests.console.browser.tab import NARROW, WIDE, Scheme, Tab
from tests.console.stores import ORDERS

# What shows each kind of page, beside those to which links lead.
STARTS: Final = ("/", "/send?contract=%23%2Fcontracts%2Fcharge%2F1.0.0")
SCHEMES: Final[tuple[Scheme, ...]] = ("light", "dark")
EVERY_WINDOW: Final = tuple(product((NARROW, WIDE), SCHEMES))
# Each width and each colour once.
WINDOWS: Final = ((NARROW, SCHEMES[0]), (WIDE, SCHEMES[1]))
# Addresses that lead a person, and not files to store.
LINKS: Final = """() => [...document.querySelectorAll("a[href]:not([download])")]
    .map(link => new URL(link.getAttribute("href"), document.baseURI))
    .filter(url => url.origin === location.origin)
    .map(url => url.pathname + url.search)"""
# The width that the page needs, and what is wider than the window where it needs more.
OVERFLOW: Final = """() => {
    const page = document.documentElement;
    if (page.scrollWidth <= page.clientWidth) return [];
    return [`needs ${page.scrollWidth} of ${page.clientWidth} px`,
        ...[...document.querySelectorAll("body *")]
            .filter(it => it.getBoundingClientRect().right > page.clientWidth)
            .map(it => it.outerHTML.slice(0, 100))];
}"""

MOTIONS: Final[tuple[Literal["no-preference", "reduce"], ...]] = ("no-preference", "reduce")
# Rules by which a page and what it generates would move.
MOVING: Final = """() => {
    const move = "animation: a 2s infinite; transition: opacity 2s; scroll-behavior: smooth";
    const sheet = document.styleSheets[document.styleSheets.length - 1];
    sheet.insertRule("@keyframes a { to { opacity: 0.5 } }", sheet.cssRules.length);
    sheet.insertRule(`main, main::before { content: ""; ${move} }`, sheet.cssRules.length);
}"""
MOTION: Final = """() => [null, "::before"].flatMap(pseudo => {
    const style = getComputedStyle(document.querySelector("main"), pseudo);
    return [style.animationName, style.transitionDuration, style.scrollBehavior];
})"""


def crawl(tab: Tab, of_kind_max: int) -> Iterator[tuple[str, bool]]:
    """Open pages to which links lead: yield each address, and whether its kind is new."""
    seen: set[str] = set()
    kinds: Counter[tuple[str, ...]] = Counter()
    found = list(STARTS)
    while found:
        path = found.pop(0)
        kind = kind_of(path)
        if path not in seen and kinds[kind] < of_kind_max:
            seen.add(path)
            kinds[kind] += 1
            tab.go(path)
            found += tab.page.evaluate(LINKS)
            yield path, kinds[kind] == 1


def kind_of(path: str) -> tuple[str, ...]:
    """Return what pages with the same template have in common."""
    parts = urlsplit(path)
    query = parse_qs(parts.query)
    page, *names = parts.path.removeprefix("/").split("/")
    # /act/cancel/SUBJECT and /act/revive/SUBJECT differ, /workflows/SUBJECT by its tab alone.
    kind = names[0] if page == "act" else str(bool(names))
    return (page, kind, *query.get("tab", ()), *query.get("verb", ()))


def find_faults(
    tab: Tab, path: str, windows: Sequence[tuple[int, Scheme]] = EVERY_WINDOW, *, deep: bool = True
) -> list[str]:
    """Return what is wrong with the open page in each width and colour.

    Every rule is checked in the first of them, and in the others those that may differ there.
    Without *deep* the width alone is: the rules take longer than the rest together.
    """
    wrong: list[str] = []
    rules: tuple[str, ...] = EVERY_RULE
    # No colour changes the width that a page needs.
    for width, scheme in windows if deep else windows[:1]:
        tab.resize(width)
        tab.page.emulate_media(color_scheme=scheme)
        found = tab.page.evaluate(OVERFLOW)
        found += find_violations(tab.page, rules) if deep else []
        wrong += [f"{path} at {width} px, {scheme}: {it}" for it in found]
        rules = VISUAL_RULES
    return wrong


@pytest.fixture
def drawn_tab(tab: Tab) -> Tab:
    """Open a tab when the chart of its workflow is drawn: a page that has it does not change."""
    tab.go(f"/workflows/{to_path(ORDERS['chart-1'].subject)}?tab=travel")
    expect(tab.page.locator(".picture svg")).to_be_visible()
    return tab


def test_pages_of_every_kind_fit_a_phone_and_are_accessible(drawn_tab: Tab) -> None:
    """An operator may use large letters, a screen reader, a keyboard alone, or a phone at night.

    A window of 1,280 px has 320 at a zoom of 400 %.
    """
    wrong, kinds = [], 0
    for path, is_first in crawl(drawn_tab, of_kind_max=2):
        kinds += is_first
        wrong += find_faults(drawn_tab, path, WINDOWS, deep=is_first)

    assert wrong == []
    assert kinds > 20


def test_nothing_moves_for_a_person_who_asks_for_less_motion(tab: Tab) -> None:
    """Not even what a later rule of the style sheet would let move."""
    tab.go("/workflows")
    tab.page.evaluate(MOVING)
    moving = {}
    for motion in MOTIONS:
        tab.page.emulate_media(reduced_motion=motion)
        moving[motion] = tab.page.evaluate(MOTION)

    assert moving == {
        "no-preference": ["a", "2s", "smooth"] * 2,
        "reduce": ["none", "0s", "auto"] * 2,
    }


@pytest.mark.deep
def test_every_page_fits_a_phone_and_is_accessible(drawn_tab: Tab) -> None:
    """Also what differs from the pages of the same kind."""
    wrong, number = [], 0
    for path, _ in crawl(drawn_tab, of_kind_max=1_000):
        number += 1
        wrong += find_faults(drawn_tab, path)

    assert wrong == []
    assert number > 100
