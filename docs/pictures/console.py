"""Console: pictures of the operator's pages over the orders of the demo.

    python -m docs.pictures.console

Runs the demo into a file, serves the console over it, and takes a picture of pages in the Chromium
that is on the path, or that ARVO_TEST_CHROMIUM names. The pictures are committed, as the pages that
show them are also read where nothing is built.
"""

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from playwright.sync_api import Page, ViewportSize, sync_playwright

FOLDER: Final = Path(__file__).parent
ROOT: Final = FOLDER.parents[1]
SYSTEM: Final = "docs.examples.orders.deployed:system"
SIZE: Final[ViewportSize] = {"width": 1_200, "height": 760}
# The name of each picture: a page, and the tab of its first workflow, if that is what it shows.
PICTURES: Final = {
    "console-overview": ("/", None),
    "console-workflows": ("/workflows?status=failed", None),
    "console-timeline": ("/workflows?status=failed", "Timeline"),
    "console-travel": ("/workflows?status=failed", "Time travel"),
}
FIRST_ROW: Final = "table.list tbody th a"
START_MILLISECONDS: Final = 30_000


def main() -> int:
    """Write all pictures."""
    with TemporaryDirectory() as folder, serve(Path(folder)) as address:
        take(address)
    return 0


@contextmanager
def serve(folder: Path) -> Iterator[str]:
    """Serve the console over the orders of the demo, and yield its address."""
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"}
    demo = [sys.executable, "-m", "docs.examples.orders", "--database", "demo.db"]
    subprocess.run(  # noqa: S603 - our own command
        demo, check=True, stdout=subprocess.DEVNULL, cwd=folder, env=environment
    )
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        place = f"127.0.0.1:{free.getsockname()[1]}"
    command = [
        sys.executable,
        "-m",
        "arvo.cli",
        "console",
        SYSTEM,
        "--backend",
        "sqlite:///demo.db",
    ]
    options = ["--listen", place, "--allow", "act", "--label", "demo"]
    serving = subprocess.Popen(  # noqa: S603 - our own command
        [*command, *options], cwd=folder, env=environment
    )
    try:
        yield f"http://{place}"
    finally:
        serving.terminate()
        serving.wait()


def take(address: str) -> None:
    """Take the pictures of the console at *address*."""
    chromium = os.environ.get("ARVO_TEST_CHROMIUM") or shutil.which("chromium")
    if chromium is None:
        raise FileNotFoundError("no chromium on the path: install it, or set ARVO_TEST_CHROMIUM")
    with sync_playwright() as playwright:
        flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        browser = playwright.chromium.launch(executable_path=chromium, args=flags)
        page = browser.new_page(viewport=SIZE, color_scheme="light", locale="en-GB")
        open_when_ready(page, address)
        for name, (path, tab) in PICTURES.items():
            page.goto(address + path)
            if tab is not None:
                page.locator(FIRST_ROW).first.click()
                page.get_by_role("link", name=tab).click()
                page.locator("[aria-current]", has_text=tab).scroll_into_view_if_needed()
                page.evaluate("document.querySelector('.head').scrollIntoView()")
            page.screenshot(path=FOLDER / f"{name}.png")
        browser.close()


def open_when_ready(page: Page, address: str) -> None:
    """Open the first page, again until the server answers."""
    host, port = address.removeprefix("http://").split(":")
    for _ in range(START_MILLISECONDS // 100):
        with socket.socket() as probe:
            if probe.connect_ex((host, int(port))) == 0:
                page.goto(address)
                return
        page.wait_for_timeout(100)
    raise TimeoutError(f"the console has not started at {address}")


if __name__ == "__main__":
    sys.exit(main())
