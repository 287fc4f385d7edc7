"""Conftest: one Chromium for the tests of a module, and a page that must make no fault."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.browser import run_chromium
from tests.console.browser.site import Site, served
from tests.console.browser.tab import Tab, opened
from tests.console.stores import filled


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Run a Chromium. Not for the whole session: its driver has the event loop of this thread."""
    yield from run_chromium()


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    """Serve a console over workflows of every kind, in which everyone may act."""
    with served(filled) as serving:
        yield serving


@pytest.fixture
def tab(browser: Browser, site: Site) -> Iterator[Tab]:
    """Open a tab on that console."""
    with opened(browser, site.address) as tab:
        yield tab
