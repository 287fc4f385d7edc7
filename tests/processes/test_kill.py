"""Kills: real processes, killed and stopped at random moments, lose and double nothing."""

import os
import random
import signal
import sqlite3
import subprocess
import time
from collections import Counter
from pathlib import Path

import orjson
import pytest

from tests.processes.crew import PATIENCE_SECONDS, begin, crew
from tests.processes.shift import expected, sums


def url_of(path: Path) -> str:
    return f"sqlite:///{path}"


def wait_for_all(path: Path, number: int, patience: float = PATIENCE_SECONDS) -> None:
    """Wait until every workflow is done and nothing is under way."""
    connection = sqlite3.connect(path, timeout=30)
    deadline = time.monotonic() + patience
    try:
        while True:
            done, under_way = connection.execute(
                "select (select count(*) from workflow where status = 'done'),"
                " (select count(*) from delivery)"
            ).fetchone()
            if done == number and not under_way:
                return
            assert time.monotonic() < deadline, f"{done} of {number} done, {under_way} under way"
            time.sleep(0.05)
    finally:
        connection.close()


def check(path: Path, number: int) -> None:
    """Nothing lost, nothing doubled: one right completion each, each event consumed once."""
    connection = sqlite3.connect(path)
    rows = connection.execute(
        "select subject, kind, event from history join workflow on workflow = workflow.id"
    ).fetchall()
    dead_letters = connection.execute("select count(*) from letter").fetchone()[0]
    connection.close()
    events = [(subject, kind, orjson.loads(event)) for subject, kind, event in rows]
    completed = [
        (event["parentid"], event["data"]["total"])
        for _, kind, event in events
        if kind == "produced" and event["type"] == f"{sums.type}.done"
    ]
    assert sorted(completed) == sorted((f"begin-{n}", expected(n)) for n in range(number))
    twice = [
        key
        for key, times in Counter(
            (subject, kind, event["source"], event["id"]) for subject, kind, event in events
        ).items()
        if times > 1
    ]
    assert twice == []
    assert dead_letters == 0


def killed(path: Path, workflows: int, workers: int, kills: int, seed: int) -> None:
    """Let workers carry workflows through, and kill one of them now and then."""
    chance = random.Random(seed)  # noqa: S311 - no secret, and the same in each run
    begin(url_of(path), range(workflows))
    with crew(url_of(path), workers) as hired:
        for _ in range(kills):
            time.sleep(chance.uniform(0.0, 0.25))
            hired.kill(chance.choice(hired.processes))
            hired.hire()
        wait_for_all(path, workflows)
        hired.dismiss()
    check(path, workflows)


def stop_between_writes(path: Path, process: "subprocess.Popen[str]") -> None:
    """Stop a process, but not in the middle of a write: SQLite's lock would be stopped with it."""
    connection = sqlite3.connect(path, timeout=0.1, isolation_level=None)
    while True:
        time.sleep(0.05)
        os.kill(process.pid, signal.SIGSTOP)
        # A thread that is asking the kernel for SQLite's lock now is given it, and stops then.
        _, status = os.waitpid(process.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status)
        try:
            connection.execute("begin immediate")
        except sqlite3.OperationalError:
            os.kill(process.pid, signal.SIGCONT)
            continue
        connection.execute("rollback")
        connection.close()
        return


def test_workers_that_are_killed_lose_and_double_nothing(tmp_path: Path) -> None:
    """I1, I2: SIGKILL at random moments."""
    killed(tmp_path / "a.db", workflows=800, workers=2, kills=5, seed=1)


@pytest.mark.deep
def test_two_hundred_kills_lose_and_double_nothing(tmp_path: Path) -> None:
    """The same for long."""
    killed(tmp_path / "a.db", workflows=6_000, workers=3, kills=200, seed=2)


def test_a_worker_that_was_stopped_past_its_lease_does_no_harm(tmp_path: Path) -> None:
    """I6: SIGSTOP, somebody else takes over, SIGCONT: what it commits late is refused."""
    path, workflows = tmp_path / "a.db", 200
    begin(url_of(path), range(workflows))
    with crew(url_of(path), 2) as hired:
        stopped = hired.processes[0]
        stop_between_writes(path, stopped)
        wait_for_all(path, workflows)
        os.kill(stopped.pid, signal.SIGCONT)
        time.sleep(0.5)
        hired.dismiss()
    check(path, workflows)


@pytest.mark.deep
def test_eight_workers_carry_ten_thousand_workflows_through(tmp_path: Path) -> None:
    """Concurrency: each event sent three times, in any order."""
    path, workflows = tmp_path / "a.db", 10_000
    begin(url_of(path), range(workflows), copies=3)
    with crew(url_of(path), 8) as hired:
        wait_for_all(path, workflows, patience=600)
        hired.dismiss()
    check(path, workflows)
