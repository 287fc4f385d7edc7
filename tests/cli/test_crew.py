"""Crew: several worker processes on one backend, kept alive until they shall stop."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from arvo.cli import main

ROOT = Path(__file__).parents[2]


@contextmanager
def crew(url: str, *options: str, system: str = "tests.shop:shop") -> Iterator["Watched"]:
    """Run `arvo run` as a process of its own."""
    process = subprocess.Popen(
        [sys.executable, "-m", "arvo.cli", "run", system, "--backend", url, *options],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
    )
    # A crew that never says what is waited for shall fail the test, not hang it.
    alarm = threading.Timer(30, process.kill)
    alarm.start()
    try:
        yield Watched(process)
    finally:
        alarm.cancel()
        process.kill()
        process.communicate()


class Watched:
    """A process, and what it has said so far."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        self.said: list[str] = []

    def hear(self, words: str) -> str:
        """Read on until a line has these words."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.said.append(line)
            if words in line:
                return line
        raise AssertionError(f"never said {words!r}: {self.said}")

    def tell(self, number: int) -> None:
        """Send a signal."""
        self.process.send_signal(number)


def done(url: str, capsys: pytest.CaptureFixture[str], wanted: int) -> None:
    """Wait until so many workflows are done."""
    for _ in range(200):
        capsys.readouterr()
        assert main(["workflows", "--backend", url, "--status", "done"]) == 0
        if capsys.readouterr().out.count("done") == wanted:
            return
        time.sleep(0.05)
    raise TimeoutError


def send(url: str, folder: Path, number: int) -> None:
    """Send so many orders."""
    file = folder / "orders.jsonl"
    file.write_text('{"order_id": "o1"}\n' * number)
    order = "arvo.orc.order.fulfil"
    assert main(["send", "tests.shop:shop", str(file), "--type", order, "--backend", url]) == 0


def test_workers_share_a_backend_and_one_that_dies_is_started_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nobody is called at night because one process was killed."""
    url = f"sqlite:///{tmp_path / 'arvo.db'}"
    with crew(url, "--workers", "2") as watched:
        first = watched.hear("worker 1 started")
        watched.hear("worker 2 started") if "2 started" not in "".join(watched.said) else None
        send(url, tmp_path, 20)
        done(url, capsys, 20)
        os.kill(int(re.findall(r"process (\d+)", first)[0]), signal.SIGKILL)
        assert "killed by signal 9" in watched.hear("worker 1 ended")
        watched.hear("worker 1 started")
        send(url, tmp_path, 5)
        done(url, capsys, 25)
        watched.tell(signal.SIGTERM)
        watched.hear("finishing what is in hand")
        watched.hear("stopped")

        assert watched.process.wait(10) == 0


def test_a_crew_that_cannot_work_is_not_started_again_and_again(tmp_path: Path) -> None:
    """What no waiting mends needs a person."""
    url = f"sqlite:///{tmp_path / 'arvo.db'}"
    with crew(url, system="tests.cli.test_crew:only_here") as watched:
        watched.hear("expected a System")
        watched.hear("cannot work")

        assert watched.process.wait(10) == 2


def only_here(backend: str) -> object:
    """Give a runtime in the process that starts the others, and nothing in those."""
    from tests.cli.test_app import runtime_on

    return None if "worker" in sys.argv[0] else runtime_on(backend)


def test_workers_do_not_outlive_whoever_started_them(tmp_path: Path) -> None:
    """A supervisor that was killed would leave processes that nobody knows of."""
    url = f"sqlite:///{tmp_path / 'arvo.db'}"
    with crew(url) as watched:
        pid = int(re.findall(r"process (\d+)", watched.hear("started"))[0])
        time.sleep(1)
        watched.process.kill()

        for _ in range(200):
            if not alive(pid):
                break
            time.sleep(0.05)

    assert not alive(pid)


def alive(pid: int) -> bool:
    """Tell whether a process runs; one that has ended and was not asked for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
