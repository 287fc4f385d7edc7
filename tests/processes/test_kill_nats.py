"""Kills on NATS: workers by SIGKILL, the server by restart, and every event sent three times."""

import random
import time

import pytest

from tests.processes.crew import begin, check, crew, wait_for_all
from tests.servers import nats

# As short as workers under load can give signs of life in.
ACK_WAIT_SECONDS = 2


def killed(workflows: int, workers: int, kills: int, restarts: int, patience: float) -> None:
    """Let workers carry workflows through, and kill one of them or the server now and then."""
    chance = random.Random(workflows)  # noqa: S311 - no secret, and the same in each run
    ends = ["worker"] * kills + ["server"] * restarts
    chance.shuffle(ends)
    server = nats()
    server.start()
    url = f"{server.url}?prefix=kill&ack_wait={ACK_WAIT_SECONDS}"
    try:
        with crew(url, workers) as hired:
            # Not before there are workers: a full queue makes senders wait.
            begin(url, range(workflows), copies=3)
            for end in ends:
                time.sleep(chance.uniform(0.0, 0.5))
                if end == "server":
                    server.restart()
                else:
                    hired.kill(chance.choice(hired.processes))
                    hired.hire()
            wait_for_all(url, workflows, patience)
            hired.dismiss()
        check(url, workflows)
    finally:
        server.stop()


def test_kills_of_workers_and_of_the_server_lose_and_double_nothing() -> None:
    """I1, I2, I6: whatever dies in the middle, each workflow takes each of its turns once."""
    killed(workflows=150, workers=2, kills=2, restarts=2, patience=60)


@pytest.mark.deep
def test_five_thousand_workflows_survive_many_kills() -> None:
    """The same for long."""
    killed(workflows=5_000, workers=3, kills=40, restarts=15, patience=900)
