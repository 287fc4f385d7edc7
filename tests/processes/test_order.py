"""Order: the signals of each workflow arrive in order at several processes, through kills too."""

import asyncio
import random
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from typing import TypeAlias

import pytest

from tests.processes.signals import Outcome, outcome, send_in_order
from tests.processes.workers import start_workers
from tests.servers import MockKafka, has_rabbit, nats, postgres, rabbit, redis

WORKERS = 4
TIMEOUT_SECONDS = 240.0
# As short as a worker under load can renew a delivery in.
LEASE_SECONDS = 2

# The URL of a backend, and a function that kills its server and starts it again.
Running: TypeAlias = AbstractContextManager[tuple[str, Callable[[], None]]]
Start: TypeAlias = Callable[[], Running]


@contextmanager
def postgres_server() -> Iterator[tuple[str, Callable[[], None]]]:
    server = postgres()
    server.start()
    try:
        yield server.url, server.restart
    finally:
        server.stop()


@contextmanager
def nats_server() -> Iterator[tuple[str, Callable[[], None]]]:
    server = nats()
    server.start()
    try:
        yield f"{server.url}?prefix=order&ack_wait={LEASE_SECONDS}", server.restart
    finally:
        server.stop()


@contextmanager
def redis_server() -> Iterator[tuple[str, Callable[[], None]]]:
    server = redis("--appendfsync", "always")
    server.start()
    try:
        yield server.url, server.restart
    finally:
        server.stop()


@contextmanager
def rabbit_server() -> Iterator[tuple[str, Callable[[], None]]]:
    server = rabbit()
    server.start()
    try:
        with redis_server() as (memory, _):
            yield f"{memory} {server.url}", server.restart
    finally:
        server.stop()


@contextmanager
def kafka_server() -> Iterator[tuple[str, Callable[[], None]]]:
    """Start a cluster in this process, which cannot be killed and forgets all when it is."""
    cluster = MockKafka()
    # The shortest one that Kafka allows by default.
    settings = "session.timeout.ms=6000&heartbeat.interval.ms=1000"
    try:
        with redis_server() as (memory, restart_memory):
            yield f"{memory} kafka://{cluster.start()}?{settings}", restart_memory
    finally:
        cluster.stop()


NO_RABBIT = pytest.mark.skipif(not has_rabbit(), reason="no RabbitMQ on this machine")
SERVERS = [
    pytest.param(postgres_server, id="postgres"),
    pytest.param(nats_server, id="nats"),
    pytest.param(redis_server, id="redis"),
    pytest.param(rabbit_server, id="rabbit", marks=NO_RABBIT),
    pytest.param(kafka_server, id="kafka"),
]


def run_workflows(start: Start, number: int, *, kills: int = 0, restarts: int = 0) -> Outcome:
    """Run workflows of ordered signals with four workers; kill workers and the server meanwhile."""
    chance = random.Random(number)  # noqa: S311 - no secret, and the same in each run
    targets = ["worker"] * kills + ["server"] * restarts
    chance.shuffle(targets)
    with start() as (url, restart):
        with start_workers(url, WORKERS) as workers, ThreadPoolExecutor(1) as thread:
            ended = threading.Event()

            def harm() -> None:
                for target in targets:
                    ended.wait(chance.uniform(0.1, 1.0))
                    if target == "server":
                        restart()
                    else:
                        workers.kill(chance.choice(workers.processes))
                        workers.start()

            # With one workflow all queues are made: a kill may lose one that is new.
            asyncio.run(send_in_order(url, range(1)))
            assert asyncio.run(outcome(url, range(1), TIMEOUT_SECONDS)) == Outcome()
            harming = thread.submit(harm)
            asyncio.run(send_in_order(url, range(1, number)))
            ended.set()
            harming.result()
            result = asyncio.run(outcome(url, range(number), TIMEOUT_SECONDS))
            workers.stop()
        return result


@pytest.mark.promise("I4", "I8")
@pytest.mark.parametrize("start", SERVERS)
def test_signals_arrive_in_order_at_four_workers(start: Start) -> None:
    """I4: a signal that overtakes its begin is a dead letter, and its workflow never ends."""
    assert run_workflows(start, 60) == Outcome()


# Those that are back in a moment; `make test-deep` restarts all of them, and often.
QUICK_SERVERS = [it for it in SERVERS if it.id not in ("rabbit", "kafka")]


@pytest.mark.promise("I1", "I4", "I8")
@pytest.mark.parametrize("start", QUICK_SERVERS)
def test_signals_arrive_in_order_through_kills(start: Start) -> None:
    """I4: what a dead process had comes first again, and the server forgets no order."""
    assert run_workflows(start, 60, kills=1, restarts=1) == Outcome()


@pytest.mark.deep
@pytest.mark.parametrize("start", SERVERS)
@pytest.mark.parametrize(("kills", "restarts"), [(0, 0), (4, 0), (6, 3)])
def test_signals_of_five_hundred_workflows_arrive_in_order(
    start: Start, kills: int, restarts: int
) -> None:
    """The same for long."""
    assert run_workflows(start, 500, kills=kills, restarts=restarts) == Outcome()
