"""Crew: several worker processes on one backend, kept alive until they shall stop."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from arvo import Runtime, System
from arvo.cli import main
from arvo.cli.health import listen
from tests.shop import paying, shop

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
    timer = threading.Timer(30, process.kill)
    timer.start()
    try:
        yield Watched(process)
    finally:
        timer.cancel()
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
    with crew(url, system="tests.cli.test_supervisor:only_here") as watched:
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


def asked(url: str, question: str) -> tuple[int, Any]:
    """Ask a probe."""
    answer = httpx.get(f"{url}/{question}", timeout=10)
    return answer.status_code, answer.json()


def until(url: str, question: str, fits: Callable[[int, Any], bool]) -> Any:
    """Ask a probe until it says what fits."""
    for _ in range(400):
        code, said = asked(url, question)
        if fits(code, said):
            return said
        time.sleep(0.05)
    raise AssertionError(f"{question} says {code}: {said}")


def probed(watched: Watched) -> str:
    """Name the place where a crew answers probes."""
    [port] = re.findall(r"health on port (\d+)", watched.hear("health on port"))
    return f"http://127.0.0.1:{port}"


def test_a_crew_says_that_it_lives_and_when_it_is_ready(tmp_path: Path) -> None:
    """Whoever deploys it waits for that; a worker that was killed makes it unready for a while."""
    url = f"sqlite:///{tmp_path / 'arvo.db'}"
    with crew(url, "--workers", "2", "--health", "127.0.0.1:0") as watched:
        health = probed(watched)
        early, _ = asked(health, "live")
        ready = until(health, "ready", lambda code, _: code == 200)
        killed = ready["workers"][0]["process"]
        os.kill(killed, signal.SIGKILL)
        gone = until(health, "ready", lambda code, _: code == 503)
        again = until(health, "ready", lambda code, _: code == 200)
        watched.tell(signal.SIGTERM)
        watched.hear("stopped")
        code = watched.process.wait(10)

    assert early == 200
    assert ready["ready"] is True
    assert [each["ready"] for each in ready["workers"]] == [True, True]
    assert [each["starts"] for each in ready["workers"]] == [1, 1]
    assert [each["ready"] for each in gone["workers"]] == [False, True]
    assert [each["starts"] for each in again["workers"]] == [2, 1]
    assert again["workers"][0]["process"] != killed
    assert code == 0


def test_a_worker_that_hangs_is_killed_and_another_one_started(tmp_path: Path) -> None:
    """It holds what it has in hand, and would for ever."""
    url = f"sqlite:///{tmp_path / 'arvo.db'}"
    with crew(url, "--health", "127.0.0.1:0", "--hung", "5") as watched:
        health = probed(watched)
        ready = until(health, "ready", lambda code, _: code == 200)
        os.kill(ready["workers"][0]["process"], signal.SIGSTOP)
        watched.hear("worker 1 hangs: no heartbeat for 5 s, killing it")
        assert "killed by signal 9" in watched.hear("worker 1 ended")
        again = until(health, "ready", lambda code, _: code == 200)

    assert again["workers"][0]["starts"] == 2


def test_a_worker_that_blocks_at_the_end_is_not_waited_for(
    tmp_path: Path,
) -> None:
    """A service manager gives so many seconds, and kills the supervisor then."""
    url = f"sqlite:///{tmp_path / 'arvo.db'}"
    with crew(url, "--grace", "0", system="tests.cli.test_supervisor:blocked") as watched:
        file = tmp_path / "orders.jsonl"
        file.write_text('{"order_id": "o1", "amount": 1.0}\n')
        kind = ("--type", "com.payment.charge")
        assert main(["send", "tests.shop:shop", str(file), *kind, "--backend", url]) == 0
        watched.hear("blocked")
        watched.tell(signal.SIGTERM)
        watched.hear("stopped")

        assert watched.process.wait(10) == 0


def _block(_: object) -> None:
    sys.stderr.write("blocked\n")
    sys.stderr.flush()
    time.sleep(60)


blocked = System([paying(_block)])


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("8080", "--health: expected HOST:PORT or :PORT, got '8080'"),
        (":http", "--health: expected HOST:PORT or :PORT, got ':http'"),
        (":99999", "--health: expected HOST:PORT or :PORT, got ':99999'"),
        ("256.0.0.1:0", "--health: 256.0.0.1:0 cannot be listened on: "),
    ],
)
def test_an_address_that_cannot_be_listened_on_is_refused_before_any_worker_starts(
    address: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A probe that nobody answers looks like a crew that died."""
    url = f"sqlite:///{tmp_path / 'arvo.db'}"

    code = main(["run", "tests.shop:shop", "--backend", url, "--health", address])

    assert code == 2
    assert said in capsys.readouterr().err


def test_health_without_its_extra_says_how_to_get_it(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The command line alone needs no web server."""
    monkeypatch.delitem(sys.modules, "arvo.cli.health")
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    url = f"sqlite:///{tmp_path / 'arvo.db'}"

    code = main(["run", "tests.shop:shop", "--backend", url, "--health", ":0"])

    assert code == 2
    assert "pip install 'arvo[http]'" in capsys.readouterr().err


@pytest.mark.parametrize("address", [":0", "[::1]:0", "127.0.0.1:0"])
def test_all_addresses_are_meant_where_none_is_named(address: str) -> None:
    """Inside a container that is the one that others reach."""
    with listen(address) as listening:
        host, port = listening.getsockname()[:2]

    assert port > 0
    assert host == {":0": "::", "[::1]:0": "::1", "127.0.0.1:0": "127.0.0.1"}[address]


def test_a_supervisor_that_was_stopped_itself_kills_nobody(tmp_path: Path) -> None:
    """All others were silent to it, for it did not listen."""
    url = f"sqlite:///{tmp_path / 'arvo.db'}"
    with crew(url, "--health", "127.0.0.1:0", "--hung", "5") as watched:
        health = probed(watched)
        until(health, "ready", lambda code, _: code == 200)
        watched.tell(signal.SIGSTOP)
        time.sleep(7)
        watched.tell(signal.SIGCONT)
        after = until(health, "ready", lambda code, _: code == 200)
        time.sleep(2)
        later = until(health, "ready", lambda code, _: code == 200)

    assert [each["starts"] for each in (*after["workers"], *later["workers"])] == [1, 1]


def test_a_worker_whose_children_live_on_is_replaced_all_the_same(tmp_path: Path) -> None:
    """What it has forked holds its pipes open: as if it still had something to say."""
    url = f"sqlite:///{tmp_path / 'arvo.db'}"
    with crew(
        url, "--health", "127.0.0.1:0", system="tests.cli.test_supervisor:forking"
    ) as watched:
        health = probed(watched)
        ready = until(health, "ready", lambda code, _: code == 200)
        os.kill(ready["workers"][0]["process"], signal.SIGKILL)
        watched.hear("worker 1 ended (killed by signal 9)")
        again = until(health, "ready", lambda code, _: code == 200)

    assert again["workers"][0]["starts"] == 2


def forking(backend: str) -> Runtime:
    """Leave a child behind in each worker, longer than any test may take."""
    if "worker" in sys.argv[0] and os.fork() == 0:
        # The test reads these two to their end.
        os.close(1)
        os.close(2)
        time.sleep(60)
        os._exit(0)
    return Runtime(shop, backend)
