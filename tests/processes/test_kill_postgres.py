"""Kills, on Postgres: workers and the server itself, at random moments, lose and double nothing."""

import os
import random
import signal
import time
from collections.abc import Iterator

import pytest

from tests import servers
from tests.processes.crew import begin, check, crew, repeat, wait_for_all


@pytest.fixture
def server() -> Iterator[servers.Server]:
    """A server of our own, as durable as it comes."""
    started = servers.postgres()
    started.start()
    yield started
    started.stop()


def killed(server: servers.Server, workflows: int, kills: int, restarts: int, seed: int) -> None:
    """Let workers carry workflows through, each begun three times; kill one of them now and then,
    restart the server, and send replies again.
    """
    chance = random.Random(seed)  # noqa: S311 - no secret, and the same in each run
    begin(server.url, range(workflows), copies=3)
    falls = [True] * restarts + [False] * kills
    chance.shuffle(falls)
    repeated = 0
    with crew(server.url, 2) as hired:
        for is_restart in falls:
            time.sleep(chance.uniform(0.0, 0.4))
            if is_restart:
                server.restart()
            else:
                hired.kill(chance.choice(hired.processes))
                hired.hire()
            start = chance.randrange(workflows - 20)
            repeated += repeat(server.url, range(start, start + 20))
        wait_for_all(server.url, workflows, patience=60 + workflows / 10)
        hired.dismiss()
    check(server.url, workflows)
    assert repeated > 0


def test_workers_and_a_server_that_are_killed_lose_and_double_nothing(
    server: servers.Server,
) -> None:
    """I1, I2: SIGKILL for workers, a crash for the server."""
    killed(server, workflows=300, kills=3, restarts=2, seed=1)


@pytest.mark.deep
def test_many_kills_and_restarts_lose_and_double_nothing(server: servers.Server) -> None:
    """The same for long."""
    killed(server, workflows=5_000, kills=60, restarts=15, seed=2)


def test_a_worker_that_was_stopped_past_its_lease_does_no_harm(server: servers.Server) -> None:
    """I6: SIGSTOP, somebody else takes over, SIGCONT: what it commits late is refused."""
    begin(server.url, range(200))
    with crew(server.url, 2) as hired:
        stopped = hired.processes[0]
        time.sleep(0.2)
        os.kill(stopped.pid, signal.SIGSTOP)
        wait_for_all(server.url, 200)
        os.kill(stopped.pid, signal.SIGCONT)
        time.sleep(0.5)
        hired.dismiss()
    check(server.url, 200)
