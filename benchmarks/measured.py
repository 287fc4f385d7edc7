"""Measured: what `python -m benchmarks.costs` has said of a workflow on Postgres."""

from typing import Final, final

from attrs import frozen


@final
@frozen(kw_only=True)
class Measured:
    """A row that `python -m benchmarks.costs` prints; times in milliseconds of CPU.

    *others*: cores of the machine that others used meanwhile. *sync_ms*: of one sync, not of each
    workflow: the quotient of two columns.
    """

    workers: int
    a_second: float
    others: float
    worker_ms: float
    store_ms: float
    sender_ms: float
    transactions: float
    sync_ms: float
    wal_bytes: float
    kept_bytes: float
    net_bytes: float


# python -m benchmarks.costs
ALONE: Final = Measured(
    workers=1,
    a_second=40,
    others=1.35,
    worker_ms=6.82,
    store_ms=6.34,
    sender_ms=1.5,
    transactions=9.5,
    sync_ms=1.66,
    wal_bytes=13_952,
    kept_bytes=7_635,
    net_bytes=17_954,
)
CROWDS: Final = (
    Measured(
        workers=1,
        a_second=591,
        others=1.03,
        worker_ms=1.0,
        store_ms=0.46,
        sender_ms=0.15,
        transactions=1.267,
        sync_ms=1.46,
        wal_bytes=15_049,
        kept_bytes=11_993,
        net_bytes=11_983,
    ),
    Measured(
        workers=2,
        a_second=484,
        others=1.06,
        worker_ms=1.225,
        store_ms=0.53,
        sender_ms=0.175,
        transactions=1.264,
        sync_ms=1.85,
        wal_bytes=15_086,
        kept_bytes=12_030,
        net_bytes=12_003,
    ),
    Measured(
        workers=4,
        a_second=577,
        others=0.79,
        worker_ms=1.312,
        store_ms=0.568,
        sender_ms=0.185,
        transactions=1.31,
        sync_ms=1.69,
        wal_bytes=15_177,
        kept_bytes=11_989,
        net_bytes=12_026,
    ),
)
