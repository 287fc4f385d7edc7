"""Costs: what a workflow takes of each process on Postgres, in CPU, disk, network and syncs.

CPU seconds are those that the system charges each process, not time that passes, so that they hold
on a machine that others use as well. `python -m benchmarks.costs` prints what `benchmarks.scale`
keeps as constants.
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
from benchmarks.crew import working
from benchmarks.shop import PlaceOrder, order, system
from tests import servers

WORKFLOWS: Final = 4_000
SLOW_WORKFLOWS: Final = 500
SLOW_PER_SECOND: Final = 40
IN_FLIGHT: Final = 200
# The answer is looked for rarely: looking costs the server something, too.
LOOK_SECONDS: Final = 0.1


@final
@frozen(kw_only=True)
class Costs:
    """Sums since a server began, or between two moments: milliseconds, bytes and numbers."""

    worker_ms: float
    store_ms: float
    sender_ms: float
    transactions: float
    syncs: float
    sync_ms: float
    wal_bytes: float
    kept_bytes: float
    net_bytes: float

    def since(self, before: "Costs", workflows: int) -> "Costs":
        """Give what each workflow took since *before*."""
        names = [each.name for each in fields(Costs)]
        return Costs(**{n: (getattr(self, n) - getattr(before, n)) / workflows for n in names})


async def looked(
    server: servers.Server, link: "asyncpg.Connection[asyncpg.Record]", crew: list[psutil.Process]
) -> Costs:
    """Read all counters."""
    row = await link.fetchrow(_COUNTERS)
    assert row is not None
    postmaster = psutil.Process(int((server.place / "data/postmaster.pid").read_text().split()[0]))
    ended = postmaster.cpu_times()
    store = sum(map(_cpu_ms, (postmaster, *postmaster.children(recursive=True))))
    return Costs(
        worker_ms=sum(map(_cpu_ms, crew)),
        store_ms=store + 1000 * (ended.children_user + ended.children_system),
        sender_ms=_cpu_ms(psutil.Process()),
        transactions=row["transactions"],
        syncs=row["syncs"],
        sync_ms=row["sync_ms"],
        wal_bytes=float(row["wal_bytes"]),
        kept_bytes=row["kept_bytes"],
        net_bytes=_net_bytes(server),
    )


_COUNTERS: Final = """
select (select xact_commit from pg_stat_database where datname = current_database())
        as transactions,
    (select sum(fsyncs) from pg_stat_io where object = 'wal') as syncs,
    (select sum(fsync_time) from pg_stat_io where object = 'wal') as sync_ms,
    pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0') as wal_bytes,
    pg_database_size(current_database()) as kept_bytes
"""


def _cpu_ms(process: psutil.Process) -> float:
    times = process.cpu_times()
    return 1000 * float(times.user + times.system)


def _busy_ms() -> float:
    times = psutil.cpu_times()
    return 1000 * float(sum(times) - times.idle - times.iowait)


def _net_bytes(server: servers.Server) -> float:
    """Sum what clients have sent to the server and had from it, as the kernel counts it."""
    port = server.url.rpartition(":")[2].partition("/")[0]
    asked = ["ss", "-tinH", f"dport = :{port}"]
    said = subprocess.run(asked, check=True, capture_output=True, text=True).stdout
    return sum(map(float, re.findall(r"bytes_(?:sent|received):(\d+)", said)))


async def took(
    server: servers.Server, url: str, crew: list[psutil.Process], number: int, pace: float | None
) -> tuple[float, float, Costs]:
    """Send workflows, *pace* a second or as fast as it goes; give how many a second were done, how
    many cores others used meanwhile, and what each took.
    """
    link = await asyncpg.connect(server.url)
    rest = f"select exists (select from {url.partition('schema=')[2]}.delivery)"  # noqa: S608
    room = asyncio.Semaphore(IN_FLIGHT)
    async with Client(system, url) as desk:

        async def send(name: str) -> None:
            async with room:
                event = order["1.0.0"].init(PlaceOrder(name, 1.0), source="com.shop.web")
                await desk.send(event)

        async def until_rest() -> None:
            while await link.fetchval(rest):
                await asyncio.sleep(LOOK_SECONDS)

        await asyncio.gather(*(send(f"first {each}") for each in range(IN_FLIGHT)))
        await until_rest()
        # A backend tells its counters when it is idle, and not more often than each second.
        await asyncio.sleep(1.5)
        before = await looked(server, link, crew)
        start, busy = time.perf_counter(), _busy_ms()
        if pace is None:
            await asyncio.gather(*(send(f"{each}") for each in range(number)))
        else:
            for each in range(number):
                await send(f"{each}")
                await asyncio.sleep(max(0.0, start + each / pace - time.perf_counter()))
        await until_rest()
        seconds, busy = time.perf_counter() - start, _busy_ms() - busy
        await asyncio.sleep(1.5)
        after = await looked(server, link, crew)
    await link.close()
    costs = after.since(before, number)
    ours = number * (costs.worker_ms + costs.store_ms + costs.sender_ms)
    return number / seconds, (busy - ours) / seconds / 1000, costs


def main() -> None:
    """Print what a workflow costs: alone, and in a crowd by one, two and four workers."""
    server = servers.postgres("track_wal_io_timing=on")
    server.start()
    try:
        names = [each.name for each in fields(Costs)]
        print(
            f"{'each workflow':24} {'a second':>9} {'others':>7}",
            *(f"{name:>12}" for name in names),
        )
        for workers, pace in ((1, SLOW_PER_SECOND), (1, None), (2, None), (4, None)):
            name = f"{workers} workers, {'alone' if pace else 'in a crowd'}"
            url = f"{server.url}?schema=costs_{workers}{'_alone' if pace else ''}"
            number = SLOW_WORKFLOWS if pace else WORKFLOWS
            with working([("benchmarks.crew", url)] * workers) as processes:
                crew = [psutil.Process(each.pid) for each in processes]
                rate, others, costs = asyncio.run(took(server, url, crew, number, pace))
            values = (getattr(costs, each) for each in names)
            print(
                f"{name:24} {rate:9.0f} {others:7.2f}",
                *(f"{each:12.3f}" for each in values),
                flush=True,
            )
    finally:
        server.stop()


if __name__ == "__main__":
    main()
