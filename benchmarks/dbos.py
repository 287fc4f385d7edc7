"""Dbos: the workflow of `benchmarks.postgres` with DBOS, on the same kind of server."""

import asyncio
import signal
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from statistics import median
from typing import Final

import asyncpg
from dbos import DBOS, DBOSClient, DBOSConfig

from benchmarks.shop import CardCharged, ChargeCard, OrderPaid, PlaceOrder
from benchmarks.workers import start_workers
from tests import servers

WORKFLOWS: Final = 1_000
ROUNDS: Final = 3
QUEUE: Final = "orders"
# The fastest of 16, 64, 256 and no limit, with polls every 0.01, 0.05 and 0.2 seconds, and of
# functions and coroutines. The default poll of one second would limit a worker to IN_FLIGHT a
# second.
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


def work(url: str, name: str) -> None:
    """Run a worker until it gets SIGTERM."""
    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    config: DBOSConfig = {
        "name": "bench",
        "system_database_url": url,
        # A limit for each process needs an id for each process.
        "executor_id": name,
        "log_level": "ERROR",
    }
    DBOS(config=config)
    DBOS.launch()
    DBOS.register_queue(QUEUE, worker_concurrency=IN_FLIGHT, polling_interval_sec=POLL_SECONDS)
    print("ready", flush=True)
    stopped.wait()
    DBOS.destroy()


async def measure_seconds(client: DBOSClient, url: str, number: int, base: str) -> float:
    """Send *number* workflows, and return the seconds until the last one has finished."""
    connection = await asyncpg.connect(url)
    done = "select count(*) from dbos.workflow_status where status = 'SUCCESS'"
    loop = asyncio.get_running_loop()

    def send(name: str) -> None:
        client.enqueue({"queue_name": QUEUE, "workflow_name": "fulfil"}, name, 1.0)

    before = await connection.fetchval(done)
    await asyncio.to_thread(send, f"{base} first")
    while await connection.fetchval(done) < before + 1:
        await asyncio.sleep(0.01)
    start = time.perf_counter()
    with ThreadPoolExecutor(SENDERS) as senders:
        names = (f"{base} {position}" for position in range(number))
        await asyncio.gather(*(loop.run_in_executor(senders, send, name) for name in names))
    while await connection.fetchval(done) < before + 1 + number:
        await asyncio.sleep(0.01)
    seconds = time.perf_counter() - start
    await connection.close()
    return seconds


def rate(server: servers.Server, workers: int, number: int) -> float:
    """Return workflows a second with *workers* processes: the median of ROUNDS."""
    url = f"{server.url.rpartition('/')[0]}/dbos_{workers}"
    asyncio.run(_create_database(server.url, f"dbos_{workers}"))
    with start_workers(("benchmarks.dbos", url, f"worker {n}") for n in range(workers)):
        client = DBOSClient(system_database_url=url, application_name="bench")
        rates = [
            number / asyncio.run(measure_seconds(client, url, number, f"round {n}"))
            for n in range(ROUNDS)
        ]
        client.destroy()
    return median(rates)


async def _create_database(url: str, name: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute(f"create database {name}")
    await connection.close()


def main(server: servers.Server) -> None:
    """Print the throughput of DBOS on the server that Arvo was measured on."""
    for workers in (1, 2):
        measured = rate(server, workers, WORKFLOWS)
        print(f"{f'DBOS, worker processes: {workers}':40} {measured:10.0f}", flush=True)


if __name__ == "__main__":
    work(*sys.argv[1:])
