"""Order: the signals of each workflow arrive in order at several processes, through kills too."""

import asyncio
import random
import threading
from collections.abc import Callable

import pytest

from tests.processes.signals import Outcome, outcome, send_in_order
from tests.processes.workers import start_workers
from tests.server_process import Server
from tests.servers import nats, redis

WORKERS = 4
TIMEOUT_SECONDS = 240.0
# As short as a worker under load can renew a delivery in.
LEASE_SECONDS = 2


def nats_server() -> tuple[Server, str]:
    server = nats()
    return server, f"{server.url}?prefix=order&ack_wait={LEASE_SECONDS}"


def redis_server() -> tuple[Server, str]:
    server = redis("--appendfsync", "always")
    return server, server.url


SERVERS = [pytest.param(nats_server, id="nats"), pytest.param(redis_server, id="redis")]


def run_workflows(
    make: Callable[[], tuple[Server, str]], number: int, *, kills: int = 0, restarts: int = 0
) -> Outcome:
    """Run workflows of ordered signals with four workers; kill workers and the server meanwhile."""
    chance = random.Random(number)  # noqa: S311 - no secret, and the same in each run
    targets = ["worker"] * kills + ["server"] * restarts
    chance.shuffle(targets)
    server, url = make()
    server.start()
    try:
        with start_workers(url, WORKERS) as workers:
            ended = threading.Event()

            def harm() -> None:
                for target in targets:
                    ended.wait(chance.uniform(0.1, 1.0))
                    if target == "server":
                        server.restart()
                    else:
                        workers.kill(chance.choice(workers.processes))
                        workers.start()

            harming = threading.Thread(target=harm)
            harming.start()
            asyncio.run(send_in_order(url, range(number)))
            ended.set()
            harming.join()
            result = asyncio.run(outcome(url, range(number), TIMEOUT_SECONDS))
            workers.stop()
        return result
    finally:
        server.stop()


@pytest.mark.promise("I4", "I8")
@pytest.mark.parametrize("make", SERVERS)
def test_signals_arrive_in_order_at_four_workers(make: Callable[[], tuple[Server, str]]) -> None:
    """I4: a signal that overtakes its begin is a dead letter, and its workflow never ends."""
    assert run_workflows(make, 60) == Outcome()


@pytest.mark.promise("I1", "I4", "I8")
@pytest.mark.parametrize("make", SERVERS)
def test_signals_arrive_in_order_through_kills(make: Callable[[], tuple[Server, str]]) -> None:
    """I4: what a dead process had comes first again, and the server forgets no order."""
    assert run_workflows(make, 60, kills=1, restarts=1) == Outcome()


@pytest.mark.deep
@pytest.mark.parametrize("make", SERVERS)
@pytest.mark.parametrize(("kills", "restarts"), [(0, 0), (4, 0), (6, 3)])
def test_signals_of_five_hundred_workflows_arrive_in_order(
    make: Callable[[], tuple[Server, str]], kills: int, restarts: int
) -> None:
    """The same for long."""
    assert run_workflows(make, 500, kills=kills, restarts=restarts) == Outcome()
