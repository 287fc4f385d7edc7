"""Every page in a real browser: on a phone and a desktop, light and dark, by the rules of WCAG."""

from collections import Counter
from collections.abc import Iterator
from itertools import product
from typing import Final, Literal
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.console.browser.axe import find_violations
from tests.console.browser.tab import NARROW, WIDE, Scheme, Tab

# What shows each kind of page, beside those to which links lead.
STARTS: Final = ("/", "/send?contract=%23%2Fcontracts%2Fcharge%2F1.0.0")
SCHEMES: Final[tuple[Scheme, ...]] = ("light", "dark")
CHECKED: Final = tuple(zip((NARROW, WIDE), SCHEMES, strict=True))
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


def test_pages_of_every_kind_fit_a_phone_and_are_accessible(tab: Tab) -> None:
    """An operator may use large letters, a screen reader, a keyboard alone, or a phone at night.

    A window of 1,280 px has 320 at a zoom of 400 %.
    """
    wrong, kinds = [], 0
    for path, is_first in crawl(tab, of_kind_max=2):
        kinds += is_first
        for width, scheme in CHECKED:
            tab.resize(width)
            tab.page.emulate_media(color_scheme=scheme)
            found = tab.page.evaluate(OVERFLOW)
            # One of each: the check takes longer than the rest together.
            found += find_violations(tab.page) if is_first else []
            wrong += [f"{path} at {width} px, {scheme}: {it}" for it in found]

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
def test_every_page_fits_a_phone_and_is_accessible(tab: Tab) -> None:
    """Also what differs from the pages of the same kind, in each width and colour."""
    wrong, number = [], 0
    for path, _ in crawl(tab, of_kind_max=1_000):
        number += 1
        for width, scheme in product((NARROW, WIDE), SCHEMES):
            tab.resize(width)
            tab.page.emulate_media(color_scheme=scheme)
            found = tab.page.evaluate(OVERFLOW)
            # Once for each width and each colour: the check takes longer than the rest together.
            found += find_violations(tab.page) if (width, scheme) in CHECKED else []
            wrong += [f"{path} at {width} px, {scheme}: {it}" for it in found]

    assert wrong == []
    assert number > 100
