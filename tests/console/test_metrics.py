"""Metrics: what the console shows of the work of its own process, and of the live workers."""

import asyncio
from datetime import UTC, datetime

import httpx
import pytest

from arvo import Client, Runtime
from arvo.console import console
from arvo.console.views.metrics.outcomes import Sample, show_outcomes
from arvo.console.views.metrics.workers import WORKERS_SHOWN_MAX, show_workers
from arvo.interpreters.ports.results import Depth
from arvo.interpreters.ports.services import WorkerProcess, WorkerServices
from arvo.interpreters.worker.stats import Stats
from tests.console.pages import ReadPage, read_page
from tests.console.stores import ORDERS, begin, browse, chart, system, turns, with_console
from tests.console.stores import Order as OrderPayload
from tests.interpreters.within import within


def text_of(page: ReadPage) -> str:
    """Return the paragraphs of a page."""
    return " ".join(it.text for it in page.all("p"))


def test_rates_are_between_samples_and_numbers_since_the_first_one() -> None:
    """A sample that comes right behind another one has a number, and no rate."""
    counts = ((0.0, 4, 0), (10.0, 24, 0), (20.0, 34, 5), (20.5, 36, 5))
    samples = [Sample(at, Stats(handled=good, dead_lettered=bad)) for at, good, bad in counts]

    view = show_outcomes(samples)

    assert view is not None
    assert view.span == "20 s"
    handled, dead = view.rows
    assert (handled.outcome, handled.latest, handled.highest, handled.in_all) == (
        "handled",
        1.0,
        2.0,
        32,
    )
    assert handled.points == "0,1 180,14"
    assert (dead.outcome, dead.in_all, dead.points) == ("dead lettered", 5, "0,27 180,1")


def test_the_first_page_has_a_line_of_each_outcome(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawn on the server, as the policy allows no inline script."""
    monkeypatch.setattr("arvo.console.metrics.sampler.INTERVAL_SECONDS", 0.01)

    async def use(browser: httpx.AsyncClient, runtime: Runtime) -> str:
        await browser.get("/")
        await runtime.send(begin(turns, "more-1", OrderPayload(10)))
        await runtime.drain(timeout=60)
        while "<polyline" not in (text := (await browser.get("/")).text):  # noqa: ASYNC110 - nothing announces it
            await asyncio.sleep(0.01)
        return text

    page = read_page(with_console(use))

    handled = next(it for it in page.all("tr") if it.text.strip().startswith("handled"))
    assert "handled" in handled.text
    [line, *_] = [it for it in page.all("svg") if it.attributes.get("class") == "sparkline"]
    assert line.attributes["role"] == "img"
    assert line.attributes["aria-label"].startswith("handled per second, now ")


def test_the_page_of_workers_has_the_slots_and_what_each_worker_serves() -> None:
    """An operator sees before a deployment who serves the old version."""

    async def use(browser: httpx.AsyncClient, _: Runtime) -> str:
        return (await browser.get("/workers")).text

    page = read_page(with_console(use))

    rows = [it.text for it in page.all("tr")]
    assert any(row.startswith(f"{chart.type}016") for row in rows), rows
    assert any(f"{turns.type} 1.0.0, 2.0.0" in row for row in rows), rows


def test_a_client_without_a_worker_has_no_outcomes_and_shows_that_no_worker_is_alive() -> None:
    """The numbers of other processes are not in the backend, so none are made up."""

    async def go() -> tuple[str, str]:
        async with Client(system, "memory:") as client, browse(console(client)) as browser:
            await client.send(ORDERS["done-1"])
            return (await browser.get("/")).text, (await browser.get("/workers")).text

    first, workers = map(read_page, within(go()))

    for page in (first, workers):
        assert page.all("svg") == []
        assert "those of a process that runs the system" in " ".join(
            it.text for it in page.all("p")
        )
    assert "No worker is alive on this backend" in " ".join(it.text for it in workers.all("p"))


def test_more_workers_than_a_page_shows_are_counted() -> None:
    """A fleet may be large; the page is bounded."""
    services = [
        WorkerServices(f"w{number:03}", {"com.a": ("1.0.0",)}, ("com.web",), (None, "review"))
        for number in range(WORKERS_SHOWN_MAX + 7)
    ]

    view = show_workers(Depth(), is_reachable=True, services=reversed(services), slots=None)

    assert view.workers is not None
    assert [it.id for it in view.workers] == [it.worker_id for it in services[:WORKERS_SHOWN_MAX]]
    assert view.workers[0].listens_to == ("domain review", "other domains", "com.web")
    assert view.more == 7


def test_a_worker_is_shown_with_its_process() -> None:
    """An operator finds the machine, and the worker that is started again and again."""
    process = WorkerProcess(
        host="box-1", pid=7, began="2026-01-02T03:04:05+00:00", number=2, starts=3, build="4f2a"
    )
    services = [WorkerServices("w1", {}, process=process), WorkerServices("w2", {})]

    view = show_workers(Depth(), is_reachable=True, services=services, slots=None)

    assert view.workers is not None
    first, second = view.workers
    assert (first.place, first.starts, first.build) == (
        "box-1, process 7",
        "worker 2, started 3 times",
        "4f2a",
    )
    assert first.began == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert (second.place, second.began, second.starts, second.build) == ("", None, "", "")
