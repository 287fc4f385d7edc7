"""Kills: real processes, killed and stopped at random moments, lose and double nothing."""

import os
import random
import signal
import sqlite3
import subprocess
import time
from collections import Counter
from contextlib import closing
from pathlib import Path

import orjson
import pytest

from tests.processes.worker import expected_total, sums
from tests.processes.workers import TIMEOUT_SECONDS, begin, start_workers


def sqlite_url(path: Path) -> str:
    return f"sqlite:///{path}"


def wait_for_all(path: Path, number: int, timeout: float = TIMEOUT_SECONDS) -> None:
    """Wait until every workflow is done and the queues are empty."""
    deadline = time.monotonic() + timeout
    with closing(sqlite3.connect(path, timeout=30)) as connection:
        while True:
            done, under_way = connection.execute(
                "select (select count(*) from workflow where status = 'done'),"
                " (select count(*) from delivery)"
            ).fetchone()
            if done == number and not under_way:
                return
            assert time.monotonic() < deadline, f"{done} of {number} done, {under_way} under way"
            time.sleep(0.05)


def check(path: Path, number: int) -> None:
    """Check that each workflow has one right completion, and consumed each event once."""
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute(
            "select subject, kind, event from history join workflow on workflow = workflow.id"
        ).fetchall()
        dead_letters = connection.execute("select count(*) from dead_letter").fetchone()[0]
    events = [(subject, kind, orjson.loads(event)) for subject, kind, event in rows]
    completions = [
        (event["parentid"], event["data"]["total"])
        for _, kind, event in events
        if kind == "produced" and event["type"] == f"{sums.type}.done"
    ]
    assert sorted(completions) == sorted((f"begin-{n}", expected_total(n)) for n in range(number))
    doubled = [
        key
        for key, times in Counter(
            (subject, kind, event["source"], event["id"]) for subject, kind, event in events
        ).items()
        if times > 1
    ]
    assert doubled == []
    assert dead_letters == 0


def kill_at_random(path: Path, workflows: int, number: int, kills: int, seed: int) -> None:
    """Run workflows, and kill one of the workers now and then."""
    chance = random.Random(seed)  # noqa: S311 - no secret, and the same in each run
    begin(sqlite_url(path), range(workflows))
    with start_workers(sqlite_url(path), number) as workers:
        for _ in range(kills):
            time.sleep(chance.uniform(0.0, 0.25))
            workers.kill(chance.choice(workers.processes))
            workers.start()
        wait_for_all(path, workflows)
        workers.stop()
    check(path, workflows)


def stop_between_writes(path: Path, process: "subprocess.Popen[str]") -> None:
    """Stop a process, but not in a write: it would keep SQLite's lock while it is stopped."""
    connection = sqlite3.connect(path, timeout=0.1, isolation_level=None)
    with closing(connection):
        while True:
            time.sleep(0.05)
            os.kill(process.pid, signal.SIGSTOP)
            # A thread that is asking the kernel for the lock gets it, and stops then.
            _, status = os.waitpid(process.pid, os.WUNTRACED)
            assert os.WIFSTOPPED(status)
            try:
                connection.execute("begin immediate")
            except sqlite3.OperationalError:
                os.kill(process.pid, signal.SIGCONT)
                continue
            connection.execute("rollback")
            return


@pytest.mark.promise("I1", "I2")
def test_kills_of_workers_lose_and_double_nothing(tmp_path: Path) -> None:
    """I1, I2: SIGKILL at random moments."""
    kill_at_random(tmp_path / "a.db", workflows=800, number=2, kills=5, seed=1)


@pytest.mark.deep
def test_two_hundred_kills_lose_and_double_nothing(tmp_path: Path) -> None:
    """The same for long."""
    kill_at_random(tmp_path / "a.db", workflows=6_000, number=3, kills=200, seed=2)


@pytest.mark.promise("I6")
def test_a_worker_that_was_stopped_past_its_lease_does_no_harm(tmp_path: Path) -> None:
    """I6: SIGSTOP, another worker takes over, SIGCONT: what it commits late is refused."""
    path, workflows = tmp_path / "a.db", 200
    begin(sqlite_url(path), range(workflows))
    with start_workers(sqlite_url(path), 2) as workers:
        stopped = workers.processes[0]
        stop_between_writes(path, stopped)
        wait_for_all(path, workflows)
        os.kill(stopped.pid, signal.SIGCONT)
        time.sleep(0.5)
        workers.stop()
    check(path, workflows)


@pytest.mark.deep
def test_eight_workers_complete_ten_thousand_workflows(tmp_path: Path) -> None:
    """Concurrency: each event sent three times, in random order."""
    path, workflows = tmp_path / "a.db", 10_000
    begin(sqlite_url(path), range(workflows), copies=3)
    with start_workers(sqlite_url(path), 8) as workers:
        wait_for_all(path, workflows, timeout=1_800)
        workers.stop()
    check(path, workflows)
