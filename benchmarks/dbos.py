"""Dbos: the workflow of `benchmarks.postgres` by DBOS, on the same kind of server."""

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

from benchmarks.crew import working
from benchmarks.shop import CardCharged, ChargeCard, OrderPaid, PlaceOrder
from tests import servers

WORKFLOWS: Final = 1_000
ROUNDS: Final = 3
QUEUE: Final = "orders"
# Of 16, 64, 256 and no bound, with polls each 0.01, 0.05 and 0.2 seconds, and of functions and
# coroutines, this was the quickest. The default of a second would bound a worker by AT_ONCE.
AT_ONCE: Final = 256
POLL_SECONDS: Final = 0.05
# Threads that send, one for each connection that the client's pool has by default.
SENDERS: Final = 20


@DBOS.step()
def pay(asked: ChargeCard) -> CardCharged:
    """Answer as the service of `benchmarks.shop` does."""
    return CardCharged(f"r-{asked.order_id}")


@DBOS.workflow()
def fulfil(order_id: str, amount: float) -> OrderPaid:
    """Ask a service, and complete with what it said."""
    placed = PlaceOrder(order_id, amount)
    return OrderPaid(pay(ChargeCard(placed.order_id, placed.amount)).receipt)


def work(url: str, name: str) -> None:
    """Work until told to stop."""
    told = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: told.set())
    config: DBOSConfig = {
        "name": "bench",
        "system_database_url": url,
        # A limit for each process wants a name for each process.
        "executor_id": name,
        "log_level": "ERROR",
    }
    DBOS(config=config)
    DBOS.launch()
    DBOS.register_queue(QUEUE, worker_concurrency=AT_ONCE, polling_interval_sec=POLL_SECONDS)
    print("working", flush=True)
    told.wait()
    DBOS.destroy()


async def through(client: DBOSClient, url: str, number: int, base: str) -> float:
    """Send so many workflows, and give the seconds until the last of them is finished."""
    watching = await asyncpg.connect(url)
    done = "select count(*) from dbos.workflow_status where status = 'SUCCESS'"
    loop = asyncio.get_running_loop()

    def send(name: str) -> None:
        client.enqueue({"queue_name": QUEUE, "workflow_name": "fulfil"}, name, 1.0)

    before = await watching.fetchval(done)
    await asyncio.to_thread(send, f"{base} first")
    while await watching.fetchval(done) < before + 1:
        await asyncio.sleep(0.01)
    start = time.perf_counter()
    with ThreadPoolExecutor(SENDERS) as senders:
        names = (f"{base} {each}" for each in range(number))
        await asyncio.gather(*(loop.run_in_executor(senders, send, name) for name in names))
    while await watching.fetchval(done) < before + 1 + number:
        await asyncio.sleep(0.01)
    took = time.perf_counter() - start
    await watching.close()
    return took


def rate(server: servers.Server, workers: int, number: int) -> float:
    """Give workflows a second by so many worker processes, the median of ROUNDS."""
    url = f"{server.url.rpartition('/')[0]}/dbos_{workers}"
    asyncio.run(_made(server.url, f"dbos_{workers}"))
    with working(("benchmarks.dbos", url, f"worker {each}") for each in range(workers)):
        client = DBOSClient(system_database_url=url, application_name="bench")
        rates = [
            number / asyncio.run(through(client, url, number, f"round {each}"))
            for each in range(ROUNDS)
        ]
        client.destroy()
    return median(rates)


async def _made(url: str, name: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute(f"create database {name}")
    await connection.close()


def main(server: servers.Server) -> None:
    """Print what DBOS does on a server where ours was measured just now."""
    for workers in (1, 2):
        found = rate(server, workers, WORKFLOWS)
        print(f"{f'DBOS, worker processes: {workers}':40} {found:10.0f}", flush=True)


if __name__ == "__main__":
    work(*sys.argv[1:])
