"""Plan: the deployment that a throughput needs, by a simulation with the measured costs.

It first prints the throughput that it predicts for this machine, next to the measured one; the
ratio shows how far to trust it. Then it plans one partition (a store and its workers) and
multiplies.
"""

import math
from typing import Final

from benchmarks.scale.measurements import IDLE, LOADED, Measurement
from benchmarks.scale.queueing import STAGES, Prices
from benchmarks.scale.simulate import Deployment, Forecast, simulate

# The utilisation that a partition is planned for. The rest is for peaks, and for the loss of a
# machine.
UTILISATION: Final = 0.6
# Predicted throughput over measured throughput, where the prediction is worst (see
# `print_comparison`).
OPTIMISM: Final = 1.5
# Transactions of a workflow that only read: one reads its record before the first turn.
READS: Final = 1
# Transactions that write for a workflow on an idle system: it is sent, claimed, and taken through
# its stages. All others are the polling of processes that have little to do.
IDLE_WRITES: Final = STAGES + 2
# Milliseconds of a round trip: over loopback here, to another machine of a data centre in the plan.
LOOPBACK_MS: Final = 0.05
NETWORK_MS: Final = 0.3
# The planned machines: cores as fast as the measured ones, and a disk that syncs as fast.
STORE_CORES: Final = 8
MACHINE_CORES: Final = 16
CORES_HERE: Final = 2


def derive_prices(idle: Measurement, loaded: Measurement, trip_ms: float) -> Prices:
    """Separate the cost of a unit from that of a transaction.

    The two measurements differ in the number of units that share a transaction.
    """
    writes = loaded.transactions - READS
    fewer = IDLE_WRITES - writes
    store = (idle.store_ms - loaded.store_ms) / fewer
    # On an idle system one transaction of each workflow is the sender's.
    worker = (idle.worker_ms - loaded.worker_ms) / (fewer - 1)
    return Prices(
        worker_unit=(loaded.worker_ms - worker * writes) / STAGES,
        worker_transaction=worker,
        sender_unit=loaded.sender_ms,
        store_unit=(loaded.store_ms - store * writes) / (STAGES + 1),
        store_transaction=store,
        sync_ms=loaded.sync_ms,
        trip_ms=trip_ms,
    )


def print_comparison() -> None:
    """Print the predicted throughput of the measured machine next to the measured one."""
    print(f"{'here: workflows a second':40} {'measured':>10} {'simulated':>10}", end="")
    print(f" {'transactions each: measured':>30} {'simulated':>10}")
    prices = derive_prices(IDLE, LOADED[0], LOOPBACK_MS)
    for row in LOADED:
        speed = 1 - row.other_cores / CORES_HERE
        forecast = simulate(prices, Deployment(workers=row.workers, cores=CORES_HERE, speed=speed))
        name = f"{row.workers} workers, {CORES_HERE - row.other_cores:.1f} cores left by others"
        print(f"{name:40} {row.rate:10.0f} {forecast.rate:10.0f}", end="")
        print(f" {row.transactions:30.2f} {READS + forecast.transactions:10.2f}")


def plan_partition() -> tuple[int, Forecast]:
    """Return the number of workers that one store can feed, and the forecast at its maximum."""
    prices = derive_prices(IDLE, LOADED[-1], NETWORK_MS)
    print(f"\n{f'one store of {STORE_CORES} cores':30} {'a second':>10} {'cores of it in use':>20}")
    workers, best = 0, None
    for number in (1, 2, 4, 8, 12, 16, 24, 32):
        forecast = simulate(prices, _partition(number), number=1_000 * number)
        print(f"{f'{number} workers, a core each':30} {forecast.rate:10.0f}", end="")
        print(f" {forecast.store_cores:20.1f}", flush=True)
        # More workers are worth it while each adds at least half of what the first ones did.
        if best is None or forecast.rate > best.rate * (1 + (number / workers - 1) / 2):
            workers, best = number, forecast
    assert best is not None
    return workers, best


def _partition(workers: int) -> Deployment:
    return Deployment(
        workers=workers, cores=workers, store_cores=STORE_CORES, senders=max(1, workers // 3)
    )


def print_plan(target: int, workers: int, maximum: Forecast) -> None:
    """Print the deployment for *target* workflows a second."""
    partitions = math.ceil(target / (UTILISATION * maximum.rate / OPTIMISM))
    load = target / partitions
    prices = derive_prices(IDLE, LOADED[-1], NETWORK_MS)
    forecast = simulate(prices, _partition(workers), rate=load, number=math.ceil(4 * load))
    row = LOADED[-1]
    header = f"{target:,} workflows a second, partitions {UTILISATION:.0%} full of 1/{OPTIMISM}"
    print(f"\n{header} of that")
    for name, value in (
        ("partitions (a store each)", f"{partitions:,}"),
        ("  workflows a second in each", f"{load:,.0f}"),
        (f"  its cores in use, of {STORE_CORES}", f"{forecast.store_cores:.1f}"),
        ("  its log, MB a second", f"{load * row.wal_bytes / 1e6:.1f}"),
        ("  its network, MB a second", f"{load * row.net_bytes / 1e6:.1f}"),
        ("  a workflow takes, ms: median", f"{forecast.median_ms:.0f}"),
        ("  and one of a hundred", f"{forecast.p99_ms:.0f}"),
        ("worker processes (a core each)", f"{partitions * workers:,}"),
        (
            f"  machines of {MACHINE_CORES} cores",
            f"{math.ceil(partitions * workers / MACHINE_CORES):,}",
        ),
        ("senders' cores", f"{math.ceil(target * row.sender_ms / 1000 / UTILISATION):,}"),
        ("stored in all, TB a day", f"{target * row.stored_bytes * 86_400 / 1e12:,.1f}"),
        ("log of all, MB a second", f"{target * row.wal_bytes / 1e6:,.0f}"),
        ("network of all, MB a second", f"{target * row.net_bytes / 1e6:,.0f}"),
    ):
        print(f"{name:40} {value:>12}")


def main() -> None:
    """Print the accuracy of the simulation, and the plans."""
    print_comparison()
    workers, maximum = plan_partition()
    for target in (10_000, 1_000_000):
        print_plan(target, workers, maximum)


if __name__ == "__main__":
    main()
