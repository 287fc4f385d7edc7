"""Dbos: the workflow of `benchmarks.durable` with DBOS.

    python -m benchmarks.peers.dbos sqlite NUMBER IN_FLIGHT
    python -m benchmarks.peers.dbos postgres NUMBER WORKERS URL
    python -m benchmarks.peers.dbos work URL NAME          a worker process, for `postgres`

The settings are the fastest of those that were tried (16, 64 and 256 at once and no limit, a poll
every 0.01, 0.05 and 0.2 seconds, functions and coroutines), and the defaults otherwise.
"""

import asyncio
import signal
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from typing import Final

import asyncpg
from dbos import DBOS, DBOSClient, DBOSConfig

from benchmarks.measure import Figures, print_figures
from benchmarks.shop import CardCharged, ChargeCard, OrderPaid, PlaceOrder
from benchmarks.workers import start_workers

QUEUE: Final = "orders"
# The default poll of one second would limit a worker to IN_FLIGHT a second.
IN_FLIGHT: Final = 256
POLL_SECONDS: Final = 0.05
# Sending threads: one for each connection in the default pool of the client.
SENDERS: Final = 20


@DBOS.step()
def pay(request: ChargeCard) -> CardCharged:
    """Answer like the service of `benchmarks.shop`."""
    return CardCharged(f"r-{request.order_id}")


@DBOS.workflow()
def fulfil(order_id: str, amount: float) -> OrderPaid:
    """Call a service, and complete with its receipt."""
    placed = PlaceOrder(order_id, amount)
    return OrderPaid(pay(ChargeCard(placed.order_id, placed.amount)).receipt)


def sqlite(number: int, in_flight: int) -> Figures:
    """Measure on a new file, with one thread for each workflow in flight."""
    with tempfile.TemporaryDirectory() as folder:
        _launch(f"sqlite:///{Path(folder) / 'a.db'}", "bench")
        latencies = []

        def request(name: str) -> None:
            start = time.perf_counter()
            fulfil(name, 1.0)
            latencies.append(time.perf_counter() - start)

        request("first")
        latencies.clear()
        start = time.perf_counter()
        with ThreadPoolExecutor(in_flight) as threads:
            list(threads.map(request, (f"o-{position}" for position in range(number))))
        seconds = time.perf_counter() - start
        DBOS.destroy()
    return {"workflows/s": number / seconds, "ms p50": median(latencies) * 1e3}


def work(url: str, name: str) -> None:
    """Run a worker until it gets SIGTERM."""
    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    _launch(url, name)
    DBOS.register_queue(QUEUE, worker_concurrency=IN_FLIGHT, polling_interval_sec=POLL_SECONDS)
    print("ready", flush=True)
    stopped.wait()
    DBOS.destroy()


def _launch(url: str, name: str) -> None:
    config: DBOSConfig = {
        "name": "bench",
        "system_database_url": url,
        # A limit for each process needs an id for each process.
        "executor_id": name,
        "log_level": "ERROR",
    }
    DBOS(config=config)
    DBOS.launch()


def postgres(number: int, workers: int, url: str) -> Figures:
    """Measure worker processes on a server; a client in this process sends."""
    database = f"dbos_{workers}_{time.time_ns()}"
    asyncio.run(_create_database(url, database))
    url = f"{url.rpartition('/')[0]}/{database}"
    with start_workers(("benchmarks.peers.dbos", "work", url, f"{n}") for n in range(workers)):
        client = DBOSClient(system_database_url=url, application_name="bench")
        seconds = asyncio.run(_measure_seconds(client, url, number))
        client.destroy()
    return {"workflows/s": number / seconds}


async def _create_database(url: str, name: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute(f"create database {name}")
    await connection.close()


async def _measure_seconds(client: DBOSClient, url: str, number: int) -> float:
    """Send *number* workflows, and return the seconds until the last one has finished."""
    connection = await asyncpg.connect(url)
    done = "select count(*) from dbos.workflow_status where status = 'SUCCESS'"
    loop = asyncio.get_running_loop()

    def send(name: str) -> None:
        client.enqueue({"queue_name": QUEUE, "workflow_name": "fulfil"}, name, 1.0)

    await asyncio.to_thread(send, "first")
    while await connection.fetchval(done) < 1:
        await asyncio.sleep(0.01)
    start = time.perf_counter()
    with ThreadPoolExecutor(SENDERS) as senders:
        names = (f"{position}" for position in range(number))
        await asyncio.gather(*(loop.run_in_executor(senders, send, name) for name in names))
    while await connection.fetchval(done) < 1 + number:
        await asyncio.sleep(0.01)
    seconds = time.perf_counter() - start
    await connection.close()
    return seconds


def main(kind: str, *arguments: str) -> None:
    match kind, *arguments:
        case "sqlite", number, in_flight:
            print_figures(sqlite(int(number), int(in_flight)))
        case "postgres", number, workers, url:
            print_figures(postgres(int(number), int(workers), url))
        case "work", url, name:
            work(url, name)
        case _:
            raise SystemExit(__doc__)


if __name__ == "__main__":
    main(*sys.argv[1:])
