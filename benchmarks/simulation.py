"""Simulation: a thousand simulated runs of the order example, with faults."""

import time
from typing import Final

from arvo import Stamp, stamping
from arvo.testing import simulate
from docs.examples.orders import carrier
from docs.examples.orders.contracts import Item, PlaceOrder
from docs.examples.orders.shop import order_event
from docs.examples.orders.systems import SYSTEMS

RUNS: Final = 1_000
TIME: Final = "2026-01-02T03:04:05.000+00:00"


def seconds(form: str) -> float:
    """Return the seconds of RUNS simulated runs of one order."""
    tea = PlaceOrder("ord-0001", "c-0001", "tok-1", "NL", (Item("kenya-250g", 2),), 2580)
    with stamping(lambda: Stamp("unused", TIME)):
        event = order_event(tea)
    start = time.perf_counter()
    simulate(
        SYSTEMS[form],
        [event],
        effects={carrier.request_tracking: carrier.tracking_for},
        runs=RUNS,
    )
    return time.perf_counter() - start


def main() -> None:
    """Print the time of each form of the order workflow."""
    print(f"\n{RUNS:,} simulated runs of an order with faults (aim: 60 s)")
    for form in SYSTEMS:
        print(f"  {form:<13} {seconds(form):6.1f} s")


if __name__ == "__main__":
    main()
