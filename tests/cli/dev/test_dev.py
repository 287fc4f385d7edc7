"""Dev: the command that runs a system while its code is written."""

import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Empty, Queue
from typing import IO

import httpx
import pytest

from arvo.cli import main
from tests.console.pages import read_page

# Generous: a loaded machine is slow, and only a failure waits for it.
SECONDS_MAX = 150.0
COMMAND = [sys.executable, "-m", "arvo.cli", "dev", "orders:system", "--listen", "127.0.0.1:0"]
SYSTEM = """
from datetime import timedelta

from attrs import frozen
from arvo import *


@frozen
class Order:
    item: str


@frozen
class Done:
    text: str


contract = OrchestratorContract(
    uri="#/orchestrators/order",
    name="order",
    versions={"1.0.0": Workflow(init=Order, complete=Done)},
)


@flow(contract, "1.0.0")
def run_order(event):
    yield from sleep(timedelta(days=2))
    return Done("first text")


system = System([run_order])
"""


class Dev:
    """A running `arvo dev`: what it prints, and a browser of its pages."""

    def __init__(self, folder: Path, process: "subprocess.Popen[str]") -> None:
        self.folder = folder
        self.process = process
        self.lines: list[str] = []
        self._queue: Queue[str] = Queue()
        self._readers = [
            threading.Thread(target=self._read, args=(stream,), daemon=True)
            for stream in (process.stdout, process.stderr)
        ]
        for reader in self._readers:
            reader.start()

    def _read(self, stream: IO[str]) -> None:
        with stream:
            for line in stream:
                self._queue.put(line)

    def end(self) -> None:
        """Kill it, if it runs; the program that it has started ends with it."""
        self.process.kill()
        self.process.wait(SECONDS_MAX)
        for reader in self._readers:
            reader.join(SECONDS_MAX)

    def wait_for(self, words: str) -> str:
        """Read until a line holds *words*, and return it."""
        while True:
            try:
                line = self._queue.get(timeout=SECONDS_MAX)
            except Empty:
                raise AssertionError(f"never printed {words!r}: {self.lines}") from None
            self.lines.append(line)
            if words in line:
                return line

    def write(self, text: str) -> None:
        """Write the code of the system."""
        (self.folder / "orders.py").write_text(text)


@contextmanager
def running(folder: Path, *options: str) -> Iterator[Dev]:
    """Run `arvo dev` in a folder."""
    (folder / "orders.py").write_text(SYSTEM)
    process = subprocess.Popen(
        [*COMMAND, *options],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    dev = Dev(folder, process)
    try:
        yield dev
    finally:
        dev.end()


def browser_of(dev: Dev) -> httpx.Client:
    """Return a browser of the pages, when they are there."""
    found = re.search(r"console on (\S+)", dev.wait_for("console on"))
    assert found is not None
    return httpx.Client(base_url=found[1], timeout=SECONDS_MAX)


def post(browser: httpx.Client, path: str, **form: str) -> httpx.Response:
    """Send a form with the token of the session."""
    browser.get("/")
    token = browser.cookies["arvo_console"]
    return browser.post(path, data={"token": token, **form})


def test_a_change_of_code_is_loaded_and_the_records_stay(tmp_path: Path) -> None:
    """A developer writes, looks at the page, and writes again."""
    with running(tmp_path) as dev, browser_of(dev) as browser:
        contract = "#/orchestrators/order/1.0.0"
        sent = post(
            browser, "send", contract=contract, data='{"item": "lamp"}', workflow_id="order-1"
        )
        line = dev.wait_for("arvo.orc.order  order-1")
        skipped = post(browser, "skip", back="/timers")
        dev.wait_for("arvo.orc.order.done  order-1")
        post(browser, "send", contract=contract, data='{"item": "bed"}', workflow_id="order-2")
        dev.wait_for("order-2")

        dev.write(SYSTEM.replace("system = System", "system = Sistem"))
        dev.wait_for("orders.py changed: loading the code again")
        broken = dev.wait_for("orders:system cannot be loaded")
        dev.wait_for("waiting for a change")
        dev.write(SYSTEM.replace("first text", "second text"))
        dev.wait_for("console on")
        loaded = browser.get("workflows")
        again = post(browser, "skip", back="/workflows?status=done")
        dev.wait_for("arvo.orc.order.done  order-2")
        listed = browser.get("workflows?status=done")
        finished = browser.get("search", params={"q": "order-2"}, follow_redirects=True)
        history = browser.get(f"{finished.url}".replace("/workflows/", "/history/"))

        dev.process.send_signal(signal.SIGINT)
        dev.wait_for("stopped")
        assert dev.process.wait(SECONDS_MAX) == 0

    assert sent.status_code == 303
    assert re.fullmatch(r"\d\d:\d\d:\d\d\.\d{3}  arvo\.orc\.order  order-1  \w+  \S+ m?s\n", line)
    assert skipped.headers["location"] == "/timers?done=skip"
    assert broken.startswith("arvo: orders.py:31: orders:system cannot be loaded: NameError: ")
    assert "order-1" in loaded.text
    assert "order-2" in loaded.text
    assert again.headers["location"] == "/workflows?status=done&done=skip"
    assert read_page(listed.text).text_of("table").count("Copy the id of order-") == 2
    assert re.search(r"The clock is (3|4) days, \S+ ahead", listed.text)
    assert "second text" in history.text
    assert (tmp_path / ".arvo/.gitignore").read_text() == "*\n"


def test_a_program_that_ends_by_itself_is_reported(tmp_path: Path) -> None:
    """It is not started again and again: only a change of the code can help."""
    with running(tmp_path, "--backend", "memory:") as dev:
        dev.wait_for("what it holds in memory ends")
        dev.wait_for("console on")
        dev.write("import os\nos._exit(7)\n")
        assert "(exit code 7): waiting for a change" in dev.wait_for("ended")
        dev.write(SYSTEM.replace("sleep(timedelta(days=2))", "tell(event.data)"))
        assert "arvo.orc.order 1.0.0 tell: expected nothing" in dev.wait_for("check: ")
        dev.wait_for("console on")
        dev.process.send_signal(signal.SIGTERM)
        dev.wait_for("stopped")
        assert dev.process.wait(SECONDS_MAX) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--listen", "0.0.0.0:0"],
            "--listen: 0.0.0.0:0 is reached by other machines",
        ),
        (["--listen", "here"], "--listen: expected HOST:PORT or :PORT, got 'here'"),
        (["--listen", "127.0.0.1:0", "--backend", "nothing:"], "names no known backend"),
    ],
)
def test_arguments_that_cannot_be_used_end_it(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """No change of the code would help; and everyone who reaches the pages may act."""
    monkeypatch.chdir(tmp_path)

    code = main(["dev", "orders:system", *arguments])

    assert code == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / ".arvo").exists()
