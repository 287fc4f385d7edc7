"""Waits: the overview says for how long messages wait for a worker, where that is counted."""

import httpx
import pytest

from arvo import Runtime
from arvo.console import console
from arvo.console.dev.deliveries import Deliveries
from arvo.console.dev.observer import DeliveryObserver
from arvo.console.views.metrics.outcomes import Sample
from arvo.console.views.metrics.waits import WaitRow, show_waits, wait_text
from arvo.interpreters.worker.stats import Stats
from arvo.interpreters.worker.waits import Waits, wait_of
from arvo.telemetry import observe
from tests.console.pages import read_page
from tests.console.stores import ORDERS, browse, system
from tests.interpreters.within import within


def sample(seconds: float, waits: Waits | None) -> Sample:
    """Return the counts at a time."""
    return Sample(seconds, Stats(), None if waits is None else waits.counts)


def test_waits_are_shown_for_each_interval_and_in_all() -> None:
    """A queue that grows is seen before it is long."""
    waits, samples = Waits(), []
    for seconds, each in enumerate(([], [0.001] * 99, [0.5] * 10, [])):
        for wait in each:
            waits.add(wait)
        samples.append(sample(10.0 * seconds, waits))

    view = show_waits(samples)

    assert view is not None
    assert view.rows == (
        WaitRow(
            share="half of the messages",
            points="0,27 90,1 180,27",
            now="–",
            highest="660 ms",
            in_all="1 ms",
        ),
        WaitRow(
            share="95 % of the messages",
            points="0,27 90,1 180,27",
            now="–",
            highest="660 ms",
            in_all="660 ms",
        ),
    )


def test_nothing_is_shown_where_nothing_counts() -> None:
    """A console without a runtime has no samples, and an unobserved runtime no waits."""
    assert show_waits([]) is None
    assert show_waits([sample(0, None), sample(10, None)]) is None


@pytest.mark.parametrize(
    ("seconds", "text"), [(float("inf"), "over 2.0 h"), (5_000.0, "1.4 h"), (59.9, "60 s")]
)
def test_a_wait_is_short_in_words(seconds: float, text: str) -> None:
    """The counts have two digits."""
    assert wait_text(seconds) == text


def test_no_wait_is_negative() -> None:
    """The clock of a sender may be ahead of that of the worker."""
    assert wait_of(ORDERS["done-1"], 0) == 0.0


@pytest.mark.parametrize("by", ["dev", "telemetry", "none"])
def test_both_observers_count_for_the_overview(by: str) -> None:
    """Where no observer counts, a hint says what would."""

    async def go() -> tuple[httpx.Response, tuple[int, ...] | None]:
        runtime = Runtime(system, "memory:")
        if by == "dev":
            runtime.observe(DeliveryObserver(Deliveries()))
        elif by == "telemetry":
            observe(runtime)
        async with runtime, browse(console(runtime)) as browser:
            await runtime.send(ORDERS["done-1"])
            await runtime.drain(timeout=60)
            return await browser.get("/"), runtime.wait_counts()

    page, counts = within(go(), 150)

    read_page(page.text)
    # The one workflow is done.
    assert "Nothing has run yet" not in page.text
    if by == "none":
        assert counts is None
        assert "arvo.telemetry.observe" in page.text
    else:
        assert counts is not None
        assert sum(counts) >= 1
        assert "95 % of the messages" in page.text
