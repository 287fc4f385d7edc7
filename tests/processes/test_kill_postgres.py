"""Kills on Postgres: workers and the server itself, at random moments, lose and double nothing."""

import os
import random
import signal
import time
from collections.abc import Iterator

import pytest

from tests import servers
from tests.processes.workers import begin, check, repeat_replies, start_workers, wait_for_all
from tests.server_process import Server


@pytest.fixture
def server() -> Iterator[Server]:
    """A server of its own, with the default durability."""
    started = servers.postgres()
    started.start()
    yield started
    started.stop()


def kill_at_random(server: Server, workflows: int, kills: int, restarts: int, seed: int) -> None:
    """Run workflows, each begun three times; kill a worker now and then, restart the server, and
    send replies again.
    """
    chance = random.Random(seed)  # noqa: S311 - no secret, and the same in each run
    begin(server.url, range(workflows), copies=3)
    targets = ["server"] * restarts + ["worker"] * kills
    chance.shuffle(targets)
    repeated = 0
    with start_workers(server.url, 2) as workers:
        for target in targets:
            time.sleep(chance.uniform(0.0, 0.4))
            if target == "server":
                server.restart()
            else:
                workers.kill(chance.choice(workers.processes))
                workers.start()
            start = chance.randrange(workflows - 20)
            repeated += repeat_replies(server.url, range(start, start + 20))
        wait_for_all(server.url, workflows, timeout=180 + workflows / 5)
        workers.stop()
    check(server.url, workflows)
    assert repeated > 0


@pytest.mark.promise("I1", "I2")
def test_kills_of_workers_and_of_the_server_lose_and_double_nothing(server: Server) -> None:
    """I1, I2: SIGKILL for workers, a crash for the server."""
    kill_at_random(server, workflows=300, kills=3, restarts=2, seed=1)


@pytest.mark.deep
def test_many_kills_and_restarts_lose_and_double_nothing(server: Server) -> None:
    """The same for long."""
    kill_at_random(server, workflows=5_000, kills=60, restarts=15, seed=2)


@pytest.mark.promise("I6")
def test_a_worker_that_was_stopped_past_its_lease_does_no_harm(server: Server) -> None:
    """I6: SIGSTOP, another worker takes over, SIGCONT: what it commits late is refused."""
    begin(server.url, range(200))
    with start_workers(server.url, 2) as workers:
        stopped = workers.processes[0]
        time.sleep(0.2)
        os.kill(stopped.pid, signal.SIGSTOP)
        wait_for_all(server.url, 200)
        os.kill(stopped.pid, signal.SIGCONT)
        time.sleep(0.5)
        workers.stop()
    check(server.url, 200)
