"""Supervisor: worker processes on one backend, restarted when they die."""

import asyncio
import json
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
from urllib.parse import urlsplit

import httpx
import pytest

from arvo import Client, Runtime, SqliteBackend, System
from arvo.cli import main
from arvo.cli.process.listen import listen
from arvo.cli.process.supervisor import Supervisor
from tests.interpreters.postgres.schemas import schema_url
from tests.shop import fulfilment, payment_handler, payments, shop

ROOT = Path(__file__).parents[2]
# Generous: a loaded machine is slow, and only a failure waits for it.
SECONDS_MAX = 150.0
STOP_SECONDS = 60.0


@contextmanager
def supervised(
    url: str, *options: str, system: str = "tests.shop:shop", folder: Path = ROOT
) -> Iterator["Watched"]:
    """Run `arvo run` in a process."""
    process = subprocess.Popen(
        [sys.executable, "-m", "arvo.cli", "run", system, "--backend", url, *options],
        cwd=folder,
        stderr=subprocess.PIPE,
        text=True,
    )
    # A supervisor that never prints the awaited line fails the test instead of blocking it.
    timer = threading.Timer(SECONDS_MAX, process.kill)
    timer.start()
    try:
        yield Watched(process)
    finally:
        timer.cancel()
        process.kill()
        process.communicate()


class Watched:
    """A supervisor process and the lines that it has printed."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        self.lines: list[str] = []

    def wait_for(self, words: str) -> str:
        """Read until a line holds *words*, and return it."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append(line)
            if words in line:
                return line
        raise AssertionError(f"never printed {words!r}: {self.lines}")

    def signal(self, number: int) -> None:
        """Send a signal."""
        self.process.send_signal(number)


def wait_until_done(url: str, capsys: pytest.CaptureFixture[str], expected: int) -> None:
    """Wait until *expected* workflows are done."""
    deadline = time.monotonic() + SECONDS_MAX
    while time.monotonic() < deadline:
        capsys.readouterr()
        assert main(["workflows", "--backend", url, "--status", "done"]) == 0
        if capsys.readouterr().out.count("done") == expected:
            return
        time.sleep(0.05)
    raise TimeoutError


def send(url: str, folder: Path, number: int) -> None:
    """Send *number* orders."""
    file = folder / "orders.jsonl"
    file.write_text('{"order_id": "o1"}\n' * number)
    order = "arvo.orc.order.fulfil"
    assert main(["send", "tests.shop:shop", str(file), "--type", order, "--backend", url]) == 0


def test_workers_share_a_backend_and_one_that_dies_is_started_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An operator need not act because one process was killed."""
    url = f"sqlite:///{tmp_path / 'arvo.db'}"
    with supervised(url, "--workers", "2") as watched:
        first = watched.wait_for("worker 1 started")
        watched.wait_for("worker 2 started") if "2 started" not in "".join(watched.lines) else None
        send(url, tmp_path, 20)
        wait_until_done(url, capsys, 20)
        os.kill(int(re.findall(r"process (\d+)", first)[0]), signal.SIGKILL)
        assert "killed by signal 9" in watched.wait_for("worker 1 ended")
        watched.wait_for("worker 1 started")
        send(url, tmp_path, 5)
        wait_until_done(url, capsys, 25)
        watched.signal(signal.SIGTERM)
        watched.wait_for("finishing events in progress")
        watched.wait_for("stopped")

        assert watched.process.wait(STOP_SECONDS) == 0


def test_the_log_of_all_processes_is_json_where_a_program_reads_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A line that is no JSON would end in the collector's own dead letters."""
    url = f"sqlite:///{tmp_path / 'arvo.db'}"
    file = tmp_path / "order.json"
    file.write_text('{"order_id": "o1", "amount": 5000.0}')
    order = "arvo.orc.order.fulfil"
    with supervised(url, "--log-format", "json", "--log-level", "warning") as watched:
        watched.wait_for("worker 1 started")
        assert main(["send", "tests.shop:shop", str(file), "--type", order, "--backend", url]) == 0
        failed = json.loads(watched.wait_for("a workflow failed"))
        watched.signal(signal.SIGTERM)
        watched.wait_for('"stopped"')

    assert failed["arvo_reason"] == "payment declined: limit"
    assert failed["arvo_handler"] == order
    lines = [json.loads(line) for line in watched.lines]
    assert {line["logger"] for line in lines} == {"arvo.run", "arvo.worker"}


def test_a_worker_that_cannot_run_is_not_restarted(tmp_path: Path) -> None:
    """A restart does not mend a wrong name; an operator has to."""
    url = f"sqlite:///{tmp_path / 'arvo.db'}"
    with supervised(url, system="tests.cli.test_supervisor:only_here") as watched:
        watched.wait_for("expected a System")
        watched.wait_for("cannot run")

        assert watched.process.wait(STOP_SECONDS) == 2


def only_here(backend: str) -> object:
    """Return a runtime in the supervisor, and None in its workers."""
    from tests.cli.test_app import runtime_on

    return None if "worker" in sys.argv[0] else runtime_on(backend)


def test_workers_do_not_outlive_their_supervisor(tmp_path: Path) -> None:
    """A killed supervisor would leave processes behind that no tool knows of."""
    url = f"sqlite:///{tmp_path / 'arvo.db'}"
    with supervised(url) as watched:
        pid = int(re.findall(r"process (\d+)", watched.wait_for("started"))[0])
        time.sleep(1)
        watched.process.kill()

        deadline = time.monotonic() + STOP_SECONDS
        while alive(pid) and time.monotonic() < deadline:
            time.sleep(0.05)

    assert not alive(pid)


def alive(pid: int) -> bool:
    """Return True if a process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def probe(url: str, path: str) -> tuple[int, Any]:
    """Get the status and body of a probe."""
    answer = httpx.get(f"{url}/{path}", timeout=STOP_SECONDS)
    return answer.status_code, answer.json()


def until(url: str, path: str, fits: Callable[[int, Any], bool]) -> Any:
    """Poll a probe until *fits* holds for its answer."""
    deadline = time.monotonic() + SECONDS_MAX
    while time.monotonic() < deadline:
        code, body = probe(url, path)
        if fits(code, body):
            return body
        time.sleep(0.05)
    raise AssertionError(f"{path} answers {code}: {body}")


def health_url(watched: Watched) -> str:
    """Return the URL at which a supervisor answers probes."""
    [port] = re.findall(r"health on port (\d+)", watched.wait_for("health on port"))
    return f"http://127.0.0.1:{port}"


async def processes(url: str) -> set[tuple[int, int, int, str]]:
    """Return the pid, the number, the starts and the build of each worker on a SQLite file."""
    async with Client(System(()), url) as client:
        assert isinstance(client.backend, SqliteBackend)
        found = [it.process for it in await client.backend.services.list()]
    return {(it.pid, it.number, it.starts, it.build) for it in found if it is not None}


def test_a_supervisor_reports_liveness_and_readiness(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A deployment waits for readiness; a killed worker makes the process unready for a while."""
    monkeypatch.setenv("ARVO_BUILD", "commit 1")
    url = f"sqlite:///{tmp_path / 'arvo.db'}"
    closed = tmp_path / "closed"
    with supervised(
        url,
        *("--workers", "2", "--health", "127.0.0.1:0"),
        system="tests.cli.test_supervisor:gated",
    ) as watched:
        health = health_url(watched)
        early, _ = probe(health, "live")
        ready = until(health, "ready", lambda code, _: code == 200)
        killed = ready["workers"][0]["process"]
        closed.touch()
        os.kill(killed, signal.SIGKILL)
        gone = until(health, "ready", lambda code, _: code == 503)
        closed.unlink()
        restarted = until(health, "ready", lambda code, _: code == 200)
        registered = asyncio.run(processes(url))
        watched.signal(signal.SIGTERM)
        watched.wait_for("stopped")
        code = watched.process.wait(STOP_SECONDS)

    assert early == 200
    assert ready["ready"] is True
    assert [worker["ready"] for worker in ready["workers"]] == [True, True]
    assert [worker["starts"] for worker in ready["workers"]] == [1, 1]
    assert [worker["ready"] for worker in gone["workers"]] == [False, True]
    assert [worker["starts"] for worker in restarted["workers"]] == [2, 1]
    assert restarted["workers"][0]["process"] != killed
    # The console of another process shows the same, by the backend.
    assert registered == {
        (worker["process"], worker["worker"], worker["starts"], "commit 1")
        for worker in restarted["workers"]
    }
    assert code == 0


def gated(backend: str) -> Runtime:
    """Let no worker start while a file is there: a probe may come late on a loaded machine."""
    closed = Path(urlsplit(backend).path).with_name("closed")
    while "worker" in sys.argv[0] and closed.exists():
        time.sleep(0.05)
    return Runtime(shop, backend)


def test_a_worker_that_hangs_is_killed_and_restarted(tmp_path: Path) -> None:
    """It would hold its deliveries for ever."""
    url = f"sqlite:///{tmp_path / 'arvo.db'}"
    with supervised(url, "--health", "127.0.0.1:0", "--hang-timeout", "5") as watched:
        health = health_url(watched)
        ready = until(health, "ready", lambda code, _: code == 200)
        os.kill(ready["workers"][0]["process"], signal.SIGSTOP)
        watched.wait_for("worker 1 hangs: no heartbeat for 5 s, killing it")
        assert "killed by signal 9" in watched.wait_for("worker 1 ended")
        restarted = until(health, "ready", lambda code, _: code == 200)

    # A worker that needs so long to start on a loaded machine hangs, too.
    assert restarted["workers"][0]["starts"] > ready["workers"][0]["starts"]


def test_a_worker_that_blocks_at_shutdown_is_killed_in_time(
    tmp_path: Path,
) -> None:
    """A service manager kills the supervisor after its own stop timeout."""
    url = f"sqlite:///{tmp_path / 'arvo.db'}"
    with supervised(
        url, "--shutdown-timeout", "0", system="tests.cli.test_supervisor:blocked"
    ) as watched:
        file = tmp_path / "orders.jsonl"
        file.write_text('{"order_id": "o1", "amount": 1.0}\n')
        kind = ("--type", "com.payment.charge")
        assert main(["send", "tests.shop:shop", str(file), *kind, "--backend", url]) == 0
        watched.wait_for("blocked")
        watched.signal(signal.SIGTERM)
        watched.wait_for("stopped")

        assert watched.process.wait(STOP_SECONDS) == 0


def _block(_: object) -> None:
    sys.stderr.write("blocked\n")
    sys.stderr.flush()
    time.sleep(60)


blocked = System([payment_handler(_block)])


@pytest.mark.parametrize(
    ("address", "error"),
    [
        ("8080", "--health: expected HOST:PORT or :PORT, got '8080'"),
        (":http", "--health: expected HOST:PORT or :PORT, got ':http'"),
        (":99999", "--health: expected HOST:PORT or :PORT, got ':99999'"),
        ("256.0.0.1:0", "--health: 256.0.0.1:0 cannot be listened on: "),
    ],
)
def test_an_address_that_cannot_be_listened_on_is_refused_before_any_worker_starts(
    address: str, error: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A probe without an answer looks like a supervisor that died."""
    url = f"sqlite:///{tmp_path / 'arvo.db'}"

    code = main(["run", "tests.shop:shop", "--backend", url, "--health", address])

    assert code == 2
    assert error in capsys.readouterr().err


def test_health_without_its_extra_names_the_extra(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The command line alone needs no web server."""
    monkeypatch.delitem(sys.modules, "arvo.cli.process.health")
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    url = f"sqlite:///{tmp_path / 'arvo.db'}"

    code = main(["run", "tests.shop:shop", "--backend", url, "--health", ":0"])

    assert code == 2
    expected = "--health needs the extra 'http': run `pip install 'arvo-events[http]'`"
    assert expected in capsys.readouterr().err


@pytest.mark.parametrize("address", [":0", "[::1]:0", "127.0.0.1:0"])
def test_a_port_alone_listens_on_all_addresses(address: str) -> None:
    """A container is reached by its external address."""
    with listen(address) as listening:
        host, port = listening.getsockname()[:2]

    assert port > 0
    assert host == {":0": "::", "[::1]:0": "::1", "127.0.0.1:0": "127.0.0.1"}[address]


def test_a_supervisor_that_was_stopped_itself_kills_no_worker(tmp_path: Path) -> None:
    """While it was stopped it read no heartbeats; its workers are well."""
    url = f"sqlite:///{tmp_path / 'arvo.db'}"
    with supervised(url, "--health", "127.0.0.1:0", "--hang-timeout", "5") as watched:
        health = health_url(watched)
        before = until(health, "ready", lambda code, _: code == 200)
        watched.signal(signal.SIGSTOP)
        time.sleep(7)
        watched.signal(signal.SIGCONT)
        after = until(health, "ready", lambda code, _: code == 200)
        time.sleep(2)
        later = until(health, "ready", lambda code, _: code == 200)

    processes = [worker["process"] for each in (before, after, later) for worker in each["workers"]]
    assert processes == processes[:1] * 3


def test_a_worker_whose_children_live_on_is_restarted(tmp_path: Path) -> None:
    """A child holds the pipes of its dead parent open, as if heartbeats could still come."""
    url = f"sqlite:///{tmp_path / 'arvo.db'}"
    with supervised(
        url, "--health", "127.0.0.1:0", system="tests.cli.test_supervisor:forking"
    ) as watched:
        health = health_url(watched)
        ready = until(health, "ready", lambda code, _: code == 200)
        os.kill(ready["workers"][0]["process"], signal.SIGKILL)
        watched.wait_for("worker 1 ended (killed by signal 9)")
        restarted = until(health, "ready", lambda code, _: code == 200)

    assert restarted["workers"][0]["starts"] == 2


def forking(backend: str) -> Runtime:
    """Fork a child in each worker that outlives the test."""
    if "worker" in sys.argv[0] and os.fork() == 0:
        # The test reads these two to their end.
        os.close(1)
        os.close(2)
        time.sleep(60)
        os._exit(0)
    return Runtime(shop, backend)


SLOW_SYSTEM = """
import sys, time
from arvo import System
if "{loads_slowly}" in " ".join(sys.orig_argv):
    print("loading", file=sys.stderr, flush=True)
    time.sleep(60)
system = System([])
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("loads_slowly", ["arvo.cli run", "arvo.cli.process.worker"])
def test_a_signal_while_the_system_is_loaded_ends_orderly(
    tmp_path: Path, loads_slowly: str, number: signal.Signals
) -> None:
    """A service manager that stops what it has just started must not see a failure."""
    (tmp_path / "slow_system.py").write_text(SLOW_SYSTEM.format(loads_slowly=loads_slowly))
    url = f"sqlite:///{tmp_path / 'arvo.db'}"
    with supervised(url, system="slow_system:system", folder=tmp_path) as watched:
        watched.wait_for("loading")
        watched.signal(number)

        assert watched.process.wait(STOP_SECONDS) == 0
        assert watched.process.stderr is not None
        assert "Traceback" not in watched.process.stderr.read()


def test_the_login_of_the_backend_is_in_no_line_and_no_list_of_processes(tmp_path: Path) -> None:
    """Every user of the machine can list the arguments of a process, and many read its log."""
    url = schema_url(tmp_path).replace("//postgres@", "//postgres:s%2Fecret@")
    with supervised(url) as watched:
        first = watched.wait_for("worker 1 started")
        pid = re.findall(r"process (\d+)", first)[0]
        listed = subprocess.run(
            ["ps", "-o", "args=", "-p", pid],  # noqa: S607 - wherever it lies
            check=True,
            capture_output=True,
            text=True,
        )
        watched.signal(signal.SIGTERM)
        watched.wait_for("stopped")

    assert "arvo.cli.process.worker" in listed.stdout
    assert "secret" not in listed.stdout + "".join(watched.lines)
    assert "shop on postgresql://127.0.0.1:" in watched.lines[0]


def test_a_function_of_the_user_receives_no_url_that_cannot_be_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its own parser would raise an error that shows a part of the password."""
    url = "postgresql://ann:pa/secret@db/shop"

    code = main(["run", "tests.cli.test_supervisor:parse_url", "--backend", url])
    err = capsys.readouterr().err

    assert code == 2
    assert "%2F for /" in err
    assert "secret" not in err


def parse_url(backend: str) -> Runtime:
    """Parse the URL as many programs do."""
    return Runtime(shop, f"memory:?{urlsplit(backend).port}")


# A workflow of which nothing here answers a request.
incomplete = System([fulfilment, payments])


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_findings_in_the_wiring_are_reported_before_a_worker_starts(
    log_format: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Otherwise the first event finds them, as a dead letter."""

    async def work(_: Supervisor) -> int:
        return 0

    monkeypatch.setattr(Supervisor, "work", work)
    system = "tests.cli.test_supervisor:incomplete"

    assert main(["run", system, "--backend", "memory:", "--log-format", log_format]) == 0

    [line] = capsys.readouterr().err.splitlines()
    finding = "check: arvo.orc.order.fulfil calls com.shipping.book: expected a handler here"
    if log_format == "text":
        assert finding in line
    else:
        content = json.loads(line)
        assert (content["logger"], content["level"]) == ("arvo.run", "warning")
        assert content["message"].startswith(finding)
