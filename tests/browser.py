"""Browser: a Chromium of the system, for the tests of pages."""

from collections.abc import Iterator
from typing import Final

import pytest
from playwright.sync_api import Browser, sync_playwright

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


def run_chromium() -> Iterator[Browser]:
    """Run a Chromium for a fixture, and close it; skip where there is none."""
    if not has_chromium():
        pytest.skip("neither ARVO_TEST_CHROMIUM nor chromium is available")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        yield running
        running.close()
