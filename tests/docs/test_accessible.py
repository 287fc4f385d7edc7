"""Accessible: the pages by the rules of WCAG 2.2 AA, in both schemes."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from tests.browser import run_chromium
from tests.console.browser.axe import EVERY_RULE, VISUAL_RULES, find_violations

# Of each kind one page; `make test-deep` opens all. Colours and widths are those of the theme.
SAMPLE = ("index", "reference-compose")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    yield from run_chromium()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    opened = browser.new_page(viewport={"width": 1280, "height": 900})
    # As a reader without a network has it.
    opened.route(
        "**/*", lambda route: route.abort() if is_outside(route.request.url) else route.continue_()
    )
    yield opened
    opened.close()


def is_outside(url: str) -> bool:
    return not url.startswith(("file:", "data:"))


@pytest.mark.parametrize("name", SAMPLE)
def test_a_page_is_accessible_in_both_schemes(page: Page, site: Path, name: str) -> None:
    """Without a network, so that a font or a script from elsewhere would be missed."""
    page.emulate_media(color_scheme="light", reduced_motion="reduce")
    page.goto((site / f"{name}.html").as_uri())
    found = find_violations(page, EVERY_RULE)
    page.emulate_media(color_scheme="dark", reduced_motion="reduce")
    found += find_violations(page, VISUAL_RULES)

    assert found == []


@pytest.mark.deep
def test_every_page_is_accessible(page: Page, site: Path) -> None:
    """The others have headings, tables and links of their own."""
    found: list[str] = []
    for path in sorted(site.rglob("*.html")):
        page.goto(path.as_uri())
        found += [f"{path.name}: {it}" for it in find_violations(page, EVERY_RULE)]

    assert found == []
