"""Tab: a page in a real browser, with all that went wrong in it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Literal, final

from attrs import define, field
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, WebError, expect

# Generous: only a failure waits for it.
WAIT_MILLISECONDS: Final = 60_000
NARROW: Final = 320
WIDE: Final = 1_280
HEIGHT: Final = 800
Scheme = Literal["light", "dark"]
expect.set_options(timeout=WAIT_MILLISECONDS)


# Without slots: the driver stores a wrapper of each listener beside it.
@final
@define(eq=False, slots=False)
class Tab:
    """A *page* of a site at an *address*, and the *faults* that the browser has reported."""

    page: Page
    address: str
    faults: list[str] = field(factory=list)

    def go(self, path: str) -> None:
        """Open a page of the site."""
        self.page.goto(self.address + path)

    def resize(self, width: int) -> None:
        """Make the window as wide as a phone or a desktop, in CSS pixels."""
        self.page.set_viewport_size({"width": width, "height": HEIGHT})

    def press(self, *keys: str) -> None:
        """Press keys, one after the other."""
        for key in keys:
            self.page.keyboard.press(key)

    def on_console(self, message: ConsoleMessage) -> None:
        """Note what a script or the browser complains of: also violations of the policy."""
        if message.type in ("error", "warning"):
            self.faults.append(f"{self.page.url}: {message.text}")

    def on_error(self, error: WebError) -> None:
        """Note an exception that no script has caught."""
        self.faults.append(f"{self.page.url}: {error.error}")

    def on_request(self, request: Request) -> None:
        """Note a request that leaves for another host."""
        if not request.url.startswith((f"{self.address}/", "data:")):
            self.faults.append(f"{self.page.url}: asks for {request.url}")


@contextmanager
def opened(
    browser: Browser, address: str, *, width: int = WIDE, scheme: Scheme = "light"
) -> Iterator[Tab]:
    """Open a tab in a window of its own. At the end it must have no faults."""
    context = browser.new_context(
        viewport={"width": width, "height": HEIGHT}, color_scheme=scheme, locale="en-GB"
    )
    context.set_default_timeout(WAIT_MILLISECONDS)
    tab = Tab(context.new_page(), address)
    context.on("console", tab.on_console)
    context.on("weberror", tab.on_error)
    context.on("request", tab.on_request)
    try:
        yield tab
    finally:
        context.close()
    assert tab.faults == []
