"""Scale: what the measured costs come to on machines that we do not have, by a simulation.

It first says what it makes of this machine, beside what was measured there: so far is it to be
trusted. Then it plans one partition (a store and its workers), and multiplies.
"""

import math
from random import Random
from statistics import median, quantiles
from typing import Final

from benchmarks.measured import ALONE, CROWDS, Measured
from benchmarks.queueing import (
    STAGES,
    Found,
    Machine,
    Prices,
    Process,
    Store,
    Time,
    Worker,
    Writer,
)

IN_FLIGHT: Final = 200
WORKFLOWS: Final = 4_000
# How full a partition is meant to be: what is above is for peaks, and for the loss of a machine.
FILL: Final = 0.6
# What the simulation promises, over what was measured, where it is furthest off (see `here`).
TRUST: Final = 1.5
# Of the transactions, one of each workflow only reads: its record, before its first turn.
READS: Final = 1
# Those that write, of a workflow that is alone: it is sent, claimed, and taken through its stages.
# What is counted beside them is the looking around of processes that have little to do.
WRITES_ALONE: Final = STAGES + 2
# A way there and back: over loopback here, to another machine of a data centre in the plan.
HERE_TRIP_MS: Final = 0.05
TRIP_MS: Final = 0.3
# What the plan buys: cores as fast as these here, a disk that syncs as quickly.
STORE_CORES: Final = 8
MACHINE_CORES: Final = 16
CORES_HERE: Final = 2


def prices(alone: Measured, crowd: Measured, trip_ms: float) -> Prices:
    """Tell the price of a unit from that of a transaction, by two rows that differ in how many
    units share one.
    """
    writes = crowd.transactions - READS
    fewer = WRITES_ALONE - writes
    store = (alone.store_ms - crowd.store_ms) / fewer
    # One of those that a workflow takes when it is alone is the sender's.
    worker = (alone.worker_ms - crowd.worker_ms) / (fewer - 1)
    return Prices(
        worker_unit=(crowd.worker_ms - worker * writes) / STAGES,
        worker_transaction=worker,
        sender_unit=crowd.sender_ms,
        store_unit=(crowd.store_ms - store * writes) / (STAGES + 1),
        store_transaction=store,
        sync_ms=crowd.sync_ms,
        trip_ms=trip_ms,
    )


def simulate(
    prices: Prices,
    *,
    workers: int,
    cores: int,
    speed: float = 1.0,
    store_cores: int | None = None,
    senders: int = 1,
    a_second: float | None = None,
    number: int = WORKFLOWS,
) -> Found:
    """Take workflows through workers and one store.

    *speed*: what others leave of each core. *store_cores*: None where the store is on the
    workers' own machine. *a_second*: how many come, by chance; None: each sender has IN_FLIGHT of
    them on their way into the store, and sends another when one is in.
    """
    time, chance = Time(), Random(0)
    machine = Machine(time, cores, speed)
    store = Store(machine if store_cores is None else Machine(time, store_cores), prices)
    taken: list[float] = []
    crew = [
        Worker(Process(machine), store, lambda began: taken.append(time.now - began))
        for _ in range(workers)
    ]
    sending = [Process(Machine(time, 1) if store_cores else machine) for _ in range(senders)]
    writers = [Writer(process, store, notifies=True) for process in sending]
    left = number

    def send(sender: int) -> None:
        nonlocal left
        if not left:
            return
        left -= 1
        began = time.now

        def sent() -> None:
            store.queue.append(began)
            # Whoever hears it first is not always the same.
            for worker in chance.sample(crew, len(crew)):
                worker.news()
            if a_second is None:
                send(sender)

        unit = prices.sender_unit
        sending[sender].burst(unit, lambda: writers[sender].write(sent))

    def arrive() -> None:
        if left and a_second is not None:
            send(chance.randrange(senders))
            time.after(chance.expovariate(a_second / 1000), arrive)

    if a_second is None:
        for each in range(IN_FLIGHT * senders):
            send(each % senders)
    else:
        arrive()
    time.run(lambda: len(taken) == number)
    return Found(
        a_second=1000 * number / time.now,
        transactions=store.transactions / number,
        store_cores=store.machine.busy_ms / time.now,
        median_ms=median(taken),
        late_ms=quantiles(taken, n=100)[98],
    )


def here() -> None:
    """Print what the simulation makes of this machine, beside what was measured."""
    print(f"{'here: workflows a second':40} {'measured':>10} {'simulated':>10}", end="")
    print(f" {'transactions each: measured':>30} {'simulated':>10}")
    priced = prices(ALONE, CROWDS[0], HERE_TRIP_MS)
    for row in CROWDS:
        left = 1 - row.others / CORES_HERE
        found = simulate(priced, workers=row.workers, cores=CORES_HERE, speed=left)
        name = f"{row.workers} workers, {CORES_HERE - row.others:.1f} cores left by others"
        print(f"{name:40} {row.a_second:10.0f} {found.a_second:10.0f}", end="")
        print(f" {row.transactions:30.2f} {READS + found.transactions:10.2f}")


def partition() -> tuple[int, Found]:
    """Give the workers that one store of STORE_CORES feeds, and what comes of it at the most."""
    priced = prices(ALONE, CROWDS[-1], TRIP_MS)
    print(f"\n{f'one store of {STORE_CORES} cores':30} {'a second':>10} {'cores of it in use':>20}")
    workers, best = 0, None
    for many in (1, 2, 4, 8, 12, 16, 24, 32):
        found = simulate(
            priced,
            workers=many,
            cores=many,
            store_cores=STORE_CORES,
            senders=max(1, many // 3),
            number=1_000 * many,
        )
        print(f"{f'{many} workers, a core each':30} {found.a_second:10.0f}", end="")
        print(f" {found.store_cores:20.1f}", flush=True)
        # Another worker is worth it where it brings at least half of what the first did.
        if best is None or found.a_second > best.a_second * (1 + (many / workers - 1) / 2):
            workers, best = many, found
    assert best is not None
    return workers, best


def plan(target: int, workers: int, most: Found) -> None:
    """Print what so many workflows a second take."""
    each = FILL * most.a_second / TRUST
    partitions = math.ceil(target / each)
    load = target / partitions
    priced = prices(ALONE, CROWDS[-1], TRIP_MS)
    found = simulate(
        priced,
        workers=workers,
        cores=workers,
        store_cores=STORE_CORES,
        senders=max(1, workers // 3),
        a_second=load,
        number=math.ceil(4 * load),
    )
    row = CROWDS[-1]
    print(f"\n{target:,} workflows a second, partitions {FILL:.0%} full of 1/{TRUST} of that")
    for what, value in (
        ("partitions (a store each)", f"{partitions:,}"),
        ("  workflows a second in each", f"{load:,.0f}"),
        (f"  its cores in use, of {STORE_CORES}", f"{found.store_cores:.1f}"),
        ("  its log, MB a second", f"{load * row.wal_bytes / 1e6:.1f}"),
        ("  its network, MB a second", f"{load * row.net_bytes / 1e6:.1f}"),
        ("  a workflow takes, ms: median", f"{found.median_ms:.0f}"),
        ("  and one of a hundred", f"{found.late_ms:.0f}"),
        ("worker processes (a core each)", f"{partitions * workers:,}"),
        (
            f"  machines of {MACHINE_CORES} cores",
            f"{math.ceil(partitions * workers / MACHINE_CORES):,}",
        ),
        ("senders' cores", f"{math.ceil(target * row.sender_ms / 1000 / FILL):,}"),
        ("kept in all, TB a day", f"{target * row.kept_bytes * 86_400 / 1e12:,.1f}"),
        ("log of all, MB a second", f"{target * row.wal_bytes / 1e6:,.0f}"),
        ("network of all, MB a second", f"{target * row.net_bytes / 1e6:,.0f}"),
    ):
        print(f"{what:40} {value:>12}")


def main() -> None:
    """Print how far the simulation is to be trusted, and the plan."""
    here()
    workers, most = partition()
    for target in (10_000, 1_000_000):
        plan(target, workers, most)


if __name__ == "__main__":
    main()
