"""Kills on NATS: workers by SIGKILL, the server by restart, and every event sent three times."""

import random
import time

import pytest

from tests.processes.workers import begin, check, start_workers, wait_for_all
from tests.servers import nats

# As short as a worker under load can renew a delivery in.
ACK_WAIT_SECONDS = 2


def kill_at_random(
    workflows: int, number: int, *, kills: int, restarts: int, timeout: float
) -> None:
    """Run workflows, and kill one of the workers or the server now and then."""
    chance = random.Random(workflows)  # noqa: S311 - no secret, and the same in each run
    targets = ["worker"] * kills + ["server"] * restarts
    chance.shuffle(targets)
    server = nats()
    server.start()
    url = f"{server.url}?prefix=kill&ack_wait={ACK_WAIT_SECONDS}"
    try:
        with start_workers(url, number) as workers:
            # Not before there are workers: a full queue makes senders wait.
            begin(url, range(workflows), copies=3)
            for target in targets:
                time.sleep(chance.uniform(0.0, 0.5))
                if target == "server":
                    server.restart()
                else:
                    workers.kill(chance.choice(workers.processes))
                    workers.start()
            wait_for_all(url, workflows, timeout)
            workers.stop()
        check(url, workflows)
    finally:
        server.stop()


@pytest.mark.promise("I1", "I2", "I6")
def test_kills_of_workers_and_of_the_server_lose_and_double_nothing() -> None:
    """I1, I2, I6: each workflow takes each of its turns once, wherever a process dies."""
    kill_at_random(150, 2, kills=2, restarts=2, timeout=180)


@pytest.mark.deep
def test_five_thousand_workflows_survive_many_kills() -> None:
    """The same for long."""
    kill_at_random(5_000, 3, kills=40, restarts=15, timeout=1_800)
