"""Console: what its pages cost over a file that holds much, and what they cost a worker beside it.

    python -m benchmarks.growth.console

Milliseconds are of the processor, the median of several requests, without a browser.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median
from typing import Any, Final

import httpx

from arvo import Commands, Complete, Emit, EventHandler, Persist, Resumable, Runtime, System, Turn
from arvo.console import console
from arvo.console.changes import Changes
from arvo.interpreters.http.workflow_json import to_path
from arvo.interpreters.ports.messages import DeadLetter
from arvo.interpreters.sqlite import SqliteBackend
from benchmarks.durable import requests
from benchmarks.growth.workloads import (
    REQUEST_SECONDS,
    SENT_AT_ONCE,
    send_all,
    sqlite_file,
    starts,
    workflow,
)
from benchmarks.measure import Figures, print_figures
from benchmarks.shop import ChargeCard, OrderPaid, PlaceOrder, charge, order, pay, system

WORKFLOWS: Final = 10_000
# A request and its reply are two lines of a history.
TURNS: Final = 25_000
DEAD_LETTERS: Final = 20_000
# More than a page has groups.
CAUSES: Final = 40
VISITS: Final = 10
ROUNDS: Final = 8
ROUND_WORKFLOWS: Final = 1_000


@asynccontextmanager
async def browsing(runtime: Runtime) -> AsyncIterator[httpx.AsyncClient]:
    """Yield a browser of the console in this process."""
    transport = httpx.ASGITransport(console(runtime))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as browser:
        yield browser


async def visit(browser: httpx.AsyncClient, path: str) -> tuple[float, float]:
    """Return the milliseconds and the kilobytes of a page."""
    times, size = [], 0
    for _ in range(VISITS):
        start = time.process_time()
        answer = await browser.get(path)
        times.append((time.process_time() - start) * 1e3)
        assert answer.status_code == 200, answer.text
        size = len(answer.content)
    return median(times), size / 1e3


async def lists(path: Path) -> Figures:
    """Show the first page of many workflows that wait, and the one that a text selects."""
    backend = SqliteBackend(str(path))
    async with Runtime(workflow(lambda turn: Persist(0)), backend) as runtime:
        await send_all(runtime, backend, WORKFLOWS)
        async with browsing(runtime) as browser:
            milliseconds, kilobytes = await visit(browser, "/workflows")
            found, _ = await visit(browser, "/workflows?q=o-77")
    return {"list ms": milliseconds, "list KB": kilobytes, "text ms": found}


def count(turn: Turn[Any]) -> Commands:
    """Ask once in each turn."""
    done = 0 if isinstance(turn.event.data, PlaceOrder) else turn.state + 1
    if done == TURNS:
        return Complete(OrderPaid("t"))
    return Persist(done), Emit(ChargeCard("o", 1.0))


async def history(path: Path) -> Figures:
    """Show a page at the end, in the middle and at the beginning of a long history."""
    counting = Resumable(order, {"1.0.0": count}, services=[charge["1.0.0"]])
    [event] = starts(1)
    made = System([counting, EventHandler(charge, {"1.0.0": pay})])
    async with Runtime(made, SqliteBackend(str(path))) as runtime:
        await runtime.request(event, timeout=REQUEST_SECONDS)
        page = f"/workflows/{to_path(event.subject)}?tab=history"
        figures = {}
        async with browsing(runtime) as browser:
            for name, position in (("end", ""), ("middle", f"&position={TURNS}")):
                figures[f"history ms, {name}"], _ = await visit(browser, page + position)
            figures["history ms, beginning"], _ = await visit(browser, f"{page}&position=199")
    return figures


async def dead_letters(path: Path) -> Figures:
    """Show the page of many dead letters of more causes than it has groups."""
    backend = SqliteBackend(str(path))
    causes = [f"cause {chr(97 + place // 26)}{chr(97 + place % 26)}" for place in range(CAUSES)]
    await asyncio.gather(
        *(
            backend.dead_letter(
                None,
                DeadLetter(
                    id=f"dead-{place}",
                    event=event,
                    reason=causes[place % CAUSES],
                    attempts=1,
                    at=event.time,
                ),
            )
            for place, event in enumerate(starts(DEAD_LETTERS))
        )
    )
    async with Runtime(system, backend) as runtime, browsing(runtime) as browser:
        milliseconds, kilobytes = await visit(browser, "/dead-letters")
    return {"dead letters ms": milliseconds, "dead letters KB": kilobytes}


async def worker(path: Path) -> Figures:
    """Run workflows with and without a console that looks for their changes, in one process."""
    async with Runtime(system, SqliteBackend(str(path)), prefetch=SENT_AT_ONCE) as runtime:

        async def follow() -> None:
            async for _ in Changes(runtime).stream(0):
                pass

        async def one(*, watched: bool) -> float:
            following = asyncio.create_task(follow()) if watched else None
            figures = await requests(runtime, ROUND_WORKFLOWS, SENT_AT_ONCE)
            if following is not None:
                following.cancel()
                await asyncio.gather(following, return_exceptions=True)
            return figures["µs"]

        await one(watched=False)
        ratios = []
        for number in range(ROUNDS):
            # In turns, as the file grows.
            first = number % 2 == 0
            taken = {way: await one(watched=way) for way in (first, not first)}
            ratios.append(taken[True] / taken[False])
        start = time.process_time()
        for _ in range(VISITS):
            await runtime.workflows()
        milliseconds = (time.process_time() - start) / VISITS * 1e3
    return {"watched / alone": median(ratios), "one look ms": milliseconds}


def measure() -> Figures:
    """Take all figures, each over a file of its own."""
    figures: dict[str, float] = {}
    for part in (lists, history, dead_letters, worker):
        with sqlite_file() as path:
            figures |= asyncio.run(part(path))
    return figures


if __name__ == "__main__":
    print_figures(measure())
