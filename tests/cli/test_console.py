"""Console: the command that serves the pages."""

import re
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from arvo.cli import main
from arvo.cli.process.listen import is_loopback, listen
from tests.cli.test_app import run_orders
from tests.shop import shop

ROOT = Path(__file__).parents[2]
# Generous: a loaded machine is slow, and only a failure waits for it.
SECONDS_MAX = 150.0


def test_the_console_serves_the_workflows_of_a_backend(tmp_path: Path) -> None:
    """One command shows them in a browser, and a signal ends it."""
    url = f"sqlite:///{tmp_path / 'arvo.db'}"
    run_orders(url, shop, "one")
    command = [sys.executable, "-m", "arvo.cli", "console", "tests.shop:shop", "--backend", url]
    with subprocess.Popen(
        [*command, "--listen", "127.0.0.1:0", "--label", "prod"],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        try:
            line = process.stderr.readline()
            found = re.search(r"console on port (\d+)", line)
            assert found is not None, line
            address = f"http://127.0.0.1:{found[1]}/"
            with httpx.Client(base_url=address, timeout=SECONDS_MAX) as browser:
                listed = browser.get("workflows")
                strange = browser.get("workflows", headers={"host": "evil.example"})
                asset = browser.get("assets/console.css")
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(SECONDS_MAX)

    assert listed.status_code == 200
    assert "arvo.orc.order.fulfil" in listed.text
    assert '<span class="environment">prod</span>' in listed.text
    assert strange.status_code == 403
    assert asset.headers["content-type"].startswith("text/css")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--listen", "0.0.0.0:0"], "--listen: 0.0.0.0:0 is reached by other machines"),
        (["--listen", ":0"], "--listen: :0 is reached by other machines"),
        (["--listen", "here"], "--listen: expected HOST:PORT or :PORT, got 'here'"),
        (["--allow", "all"], "allow"),
        (["--trace-url", "http://jaeger/"], "--trace-url: expected an http address with"),
    ],
)
def test_an_address_that_others_reach_needs_a_source_of_users(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The pages show what customers have ordered."""
    url = f"sqlite:///{tmp_path / 'arvo.db'}"
    run_orders(url, shop, "one")

    code = main(["console", "--backend", url, *arguments])

    assert code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("memory:", "mount arvo.console.console(client) in the application"),
        ("sqlite:///nothing.db", "there is no file nothing.db"),
    ],
)
def test_a_backend_that_holds_nothing_is_refused(
    url: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """An empty page would look like a system that does nothing."""
    assert main(["console", "--backend", url, "--listen", "127.0.0.1:0"]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("address", "expected"), [("127.0.0.1:0", True), ("[::1]:0", True), ("0.0.0.0:0", False)]
)
def test_a_loopback_address_is_known(address: str, expected: bool) -> None:
    """By the socket itself: a name may lead anywhere."""
    with listen(address) as listening:
        assert is_loopback(listening) is expected
