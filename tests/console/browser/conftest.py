"""Conftest: one Chromium for the tests of a module, and a page that must make no fault."""

from collections.abc import Iterator
from typing import Final

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.console.browser.site import Site, served
from tests.console.browser.tab import Tab, opened
from tests.console.stores import filled
from tests.servers import chromium, has_chromium

# Without a sandbox, which a container has not; and nothing that leaves this machine.
FLAGS: Final = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Run a Chromium. Not for the whole session: its driver has the event loop of this thread."""
    if not has_chromium():
        pytest.skip("neither ARVO_TEST_CHROMIUM nor chromium is available")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        yield running
        running.close()


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
