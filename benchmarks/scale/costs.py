"""Costs: the CPU, disk, network and syncs that a workflow on Postgres takes of each process.

CPU time is the time that the system charges to a process, not elapsed time, so the figures hold on
a machine that other programs use as well. `python -m benchmarks.scale.costs` prints the rows that
`benchmarks.scale.measurements` stores as constants.
"""

import asyncio
import re
import subprocess
import time
from typing import Final, final

import asyncpg
import psutil
from attrs import fields, frozen

from arvo import Client
from benchmarks.shop import PlaceOrder, order, system
from benchmarks.workers import start_workers
from tests import servers

WORKFLOWS: Final = 4_000
SLOW_WORKFLOWS: Final = 500
SLOW_PER_SECOND: Final = 40
IN_FLIGHT: Final = 200
# Seldom, because each poll for the end costs the server something too.
POLL_SECONDS: Final = 0.1
# An idle Postgres backend updates its counters at most once a second.
COUNTERS_SECONDS: Final = 1.5


@final
@frozen(kw_only=True)
class Costs:
    """Sums since a server started, or between two moments: milliseconds, bytes and numbers."""

    worker_ms: float
    store_ms: float
    sender_ms: float
    transactions: float
    syncs: float
    sync_ms: float
    wal_bytes: float
    stored_bytes: float
    net_bytes: float

    def since(self, before: "Costs", workflows: int) -> "Costs":
        """Return the costs of each workflow since *before*."""
        names = [field.name for field in fields(Costs)]
        return Costs(**{n: (getattr(self, n) - getattr(before, n)) / workflows for n in names})


async def read_counters(
    server: servers.Server,
    connection: "asyncpg.Connection[asyncpg.Record]",
    workers: list[psutil.Process],
) -> Costs:
    """Read the counters of the server, its processes and its connections."""
    row = await connection.fetchrow(_COUNTERS)
    assert row is not None
    postmaster = psutil.Process(int((server.folder / "data/postmaster.pid").read_text().split()[0]))
    ended = postmaster.cpu_times()
    store = sum(map(_cpu_ms, (postmaster, *postmaster.children(recursive=True))))
    return Costs(
        worker_ms=sum(map(_cpu_ms, workers)),
        store_ms=store + 1000 * (ended.children_user + ended.children_system),
        sender_ms=_cpu_ms(psutil.Process()),
        transactions=row["transactions"],
        syncs=row["syncs"],
        sync_ms=row["sync_ms"],
        wal_bytes=float(row["wal_bytes"]),
        stored_bytes=row["stored_bytes"],
        net_bytes=_net_bytes(server),
    )


_COUNTERS: Final = """
select (select xact_commit from pg_stat_database where datname = current_database())
        as transactions,
    (select sum(fsyncs) from pg_stat_io where object = 'wal') as syncs,
    (select sum(fsync_time) from pg_stat_io where object = 'wal') as sync_ms,
    pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0') as wal_bytes,
    pg_database_size(current_database()) as stored_bytes
"""


def _cpu_ms(process: psutil.Process) -> float:
    times = process.cpu_times()
    return 1000 * float(times.user + times.system)


def _busy_ms() -> float:
    times = psutil.cpu_times()
    return 1000 * float(sum(times) - times.idle - times.iowait)


def _net_bytes(server: servers.Server) -> float:
    """Return the bytes that clients have sent to the server and received, as the kernel counts."""
    port = server.url.rpartition(":")[2].partition("/")[0]
    command = ["ss", "-tinH", f"dport = :{port}"]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return sum(map(float, re.findall(r"bytes_(?:sent|received):(\d+)", output)))


@final
@frozen(kw_only=True)
class Result:
    """One measurement: workflows a second, cores that others used, and costs of a workflow."""

    rate: float
    other_cores: float
    costs: Costs


async def measure(
    server: servers.Server,
    url: str,
    workers: list[psutil.Process],
    number: int,
    rate: float | None,
) -> Result:
    """Send *number* workflows, *rate* a second or with None as fast as possible."""
    connection = await asyncpg.connect(server.url)
    schema = url.partition("schema=")[2]
    pending = f"select exists (select from {schema}.delivery)"  # noqa: S608

    async def wait_until_idle() -> None:
        while await connection.fetchval(pending):
            await asyncio.sleep(POLL_SECONDS)

    async with Client(system, url) as client:
        await _send_all(client, "first ", IN_FLIGHT, None)
        await wait_until_idle()
        await asyncio.sleep(COUNTERS_SECONDS)
        before = await read_counters(server, connection, workers)
        start, busy = time.perf_counter(), _busy_ms()
        await _send_all(client, "", number, rate)
        await wait_until_idle()
        seconds, busy = time.perf_counter() - start, _busy_ms() - busy
        await asyncio.sleep(COUNTERS_SECONDS)
        after = await read_counters(server, connection, workers)
    await connection.close()
    costs = after.since(before, number)
    own_ms = number * (costs.worker_ms + costs.store_ms + costs.sender_ms)
    other_cores = (busy - own_ms) / seconds / 1000
    return Result(rate=number / seconds, other_cores=other_cores, costs=costs)


async def _send_all(client: Client, prefix: str, number: int, rate: float | None) -> None:
    limit = asyncio.Semaphore(IN_FLIGHT)

    async def send(position: int) -> None:
        async with limit:
            payload = PlaceOrder(f"{prefix}{position}", 1.0)
            await client.send(order["1.0.0"].init(payload, source="com.shop.web"))

    if rate is None:
        await asyncio.gather(*(send(position) for position in range(number)))
        return
    start = time.perf_counter()
    for position in range(number):
        await send(position)
        await asyncio.sleep(max(0.0, start + position / rate - time.perf_counter()))


def main() -> None:
    """Print the costs of a workflow: on an idle system, and under load with 1, 2 and 4 workers."""
    server = servers.postgres("track_wal_io_timing=on")
    server.start()
    try:
        names = [field.name for field in fields(Costs)]
        print(
            f"{'each workflow':24} {'a second':>9} {'others':>7}",
            *(f"{name:>12}" for name in names),
        )
        for workers, rate in ((1, SLOW_PER_SECOND), (1, None), (2, None), (4, None)):
            name = f"{workers} workers, {'idle' if rate else 'under load'}"
            url = f"{server.url}?schema=costs_{workers}{'_idle' if rate else ''}"
            number = SLOW_WORKFLOWS if rate else WORKFLOWS
            with start_workers([("benchmarks.workers", url)] * workers) as processes:
                measured = [psutil.Process(process.pid) for process in processes]
                result = asyncio.run(measure(server, url, measured, number, rate))
            print(
                f"{name:24} {result.rate:9.0f} {result.other_cores:7.2f}",
                *(f"{getattr(result.costs, name):12.3f}" for name in names),
                flush=True,
            )
    finally:
        server.stop()


if __name__ == "__main__":
    main()
