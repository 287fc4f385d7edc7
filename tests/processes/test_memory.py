"""Memory: a worker under steady load keeps no object of a workflow that has ended."""

import asyncio
import gc
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from arvo import Runtime, Subject
from arvo.core.events.subject import SUBJECTS_CACHED_MAX
from arvo.interpreters.sqlite import SqliteBackend
from tests.interpreters.runtime.running import within
from tests.shop import OrderFulfilled, order_request, shop

# More than the process remembers of answered requests (`ANSWERED_MAX`), which is filled first.
ROUND = 600
IN_FLIGHT = 50
# Far below one object for each workflow of a round.
OBJECTS_MAX = ROUND // 2
SECONDS = float(os.environ.get("ARVO_MEMORY_SECONDS", "1800"))
# What the peak may grow after the first third: the allocator's own share.
GROWTH_MAX = 1.1


async def run_round(runtime: Runtime, name: str, number: int = ROUND) -> None:
    """Run workflows to their end, so many at a time."""
    limit = asyncio.Semaphore(IN_FLIGHT)

    async def one(key: str) -> None:
        async with limit:
            answer = await runtime.request(order_request(key), timeout=60)
            assert answer.data == OrderFulfilled("t-o1")

    await asyncio.gather(*(one(f"{name}-{each}") for each in range(number)))
    await runtime.drain(timeout=60)


def test_no_object_of_a_workflow_stays_when_it_has_ended(tmp_path: Path) -> None:
    """Once every cache is full, a round adds nothing."""
    for number in range(SUBJECTS_CACHED_MAX + 1):
        Subject.parse(order_request(f"cached-{number}").subject)

    async def go() -> list[int]:
        counts = []
        async with Runtime(shop, SqliteBackend(str(tmp_path / "a.db"))) as runtime:
            for name in ("first", "second", "third", "fourth"):
                await run_round(runtime, name)
                gc.collect()
                counts.append(len(gc.get_objects()))
        return counts

    *_, before, after = within(go(), 300)

    assert after - before < OBJECTS_MAX


LOAD = """
import asyncio, resource, sys, time
from arvo import Runtime
from arvo.interpreters.sqlite import SqliteBackend
from tests.processes.test_memory import run_round
from tests.shop import shop

async def main(path, seconds):
    ends = [time.monotonic() + seconds / 3, time.monotonic() + seconds]
    number = 0
    async with Runtime(shop, SqliteBackend(path)) as runtime:
        for end in ends:
            while time.monotonic() < end:
                number += 1
                await run_round(runtime, str(number), 500)
            print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, flush=True)

asyncio.run(main(sys.argv[1], float(sys.argv[2])))
"""


@pytest.mark.deep
def test_the_memory_of_a_process_is_flat_under_steady_load(tmp_path: Path) -> None:
    """For half an hour: the peak after the first third is the peak at the end."""
    began = time.monotonic()
    ended = subprocess.run(
        [sys.executable, "-c", LOAD, str(tmp_path / "a.db"), str(SECONDS)],
        capture_output=True,
        text=True,
        check=True,
    )

    first, last = map(int, ended.stdout.split())
    assert last <= GROWTH_MAX * first, f"{first} → {last} KiB in {time.monotonic() - began:.0f} s"
