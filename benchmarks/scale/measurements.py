"""Measurements: the rows that `python -m benchmarks.scale.costs` printed on our machine."""

from typing import Final, final

from attrs import frozen


@final
@frozen(kw_only=True)
class Measurement:
    """The cost of one workflow, in milliseconds of CPU time, numbers and bytes.

    *workers*: worker processes. *rate*: workflows a second. *other_cores*: cores that other
    programs used meanwhile. *sync_ms*: the time of one sync, not of one workflow; it is the
    quotient of two columns.
    """

    workers: int
    rate: float
    other_cores: float
    worker_ms: float
    store_ms: float
    sender_ms: float
    transactions: float
    sync_ms: float
    wal_bytes: float
    stored_bytes: float
    net_bytes: float


# One workflow after the other, and as many as the workers can handle.
IDLE: Final = Measurement(
    workers=1,
    rate=40,
    other_cores=1.35,
    worker_ms=6.82,
    store_ms=6.34,
    sender_ms=1.5,
    transactions=9.5,
    sync_ms=1.66,
    wal_bytes=13_952,
    stored_bytes=7_635,
    net_bytes=17_954,
)
LOADED: Final = (
    Measurement(
        workers=1,
        rate=591,
        other_cores=1.03,
        worker_ms=1.0,
        store_ms=0.46,
        sender_ms=0.15,
        transactions=1.267,
        sync_ms=1.46,
        wal_bytes=15_049,
        stored_bytes=11_993,
        net_bytes=11_983,
    ),
    Measurement(
        workers=2,
        rate=484,
        other_cores=1.06,
        worker_ms=1.225,
        store_ms=0.53,
        sender_ms=0.175,
        transactions=1.264,
        sync_ms=1.85,
        wal_bytes=15_086,
        stored_bytes=12_030,
        net_bytes=12_003,
    ),
    Measurement(
        workers=4,
        rate=577,
        other_cores=0.79,
        worker_ms=1.312,
        store_ms=0.568,
        sender_ms=0.185,
        transactions=1.31,
        sync_ms=1.69,
        wal_bytes=15_177,
        stored_bytes=11_989,
        net_bytes=12_026,
    ),
)
