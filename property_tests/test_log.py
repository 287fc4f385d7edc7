"""Laws of the log: in every simulated run, a line for each happening, and none twice."""

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any
from unittest import mock

from hypothesis import given, settings
from hypothesis import strategies as st

from arvo import Emit, Event, System
from arvo.testing import (
    FAULT_KINDS,
    Crash,
    EffectCrash,
    LostAnswer,
    LostRequest,
    Outage,
    OutboxCrash,
    Partition,
    Poison,
    Simulation,
    simulate,
)
from tests.logged import lines_of, logged
from tests.shop import (
    CardCharged,
    ChargeCard,
    fulfilment,
    order_request,
    payment_handler,
    shipping,
    take_payment,
)

# Each example is three runs of a whole system.
FEWER = settings(max_examples=settings().max_examples // 4)
# With these a process never learns that its commit is durable, or dies before it logs that.
LOSING = (Crash, EffectCrash, LostAnswer, LostRequest, Outage, OutboxCrash, Partition, Poison)
OTHERS = tuple(kind for kind in FAULT_KINDS if kind not in LOSING)


def pay(event: Event[ChargeCard]) -> Emit:
    """Charge the card; of the largest orders the answer goes to a workflow that nothing serves."""
    if event.data.amount > 2_000:
        return Emit(CardCharged("r"), to="arvo.orc.unknown")
    return take_payment(event)


system = System([payment_handler(pay), shipping, fulfilment])
amounts = (10.0, 1_500.0, 1_600.0, 3_000.0)
events = [order_request(f"o{number}", amount=amount) for number, amount in enumerate(amounts)]


class Records(logging.Handler):
    """Collects the records of a run."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@contextmanager
def collected() -> Iterator[list[logging.LogRecord]]:
    """Collect what a run logs, which is silent otherwise."""
    logger, handler = logging.getLogger("arvo"), Records()
    logger.addHandler(handler)
    before = logger.level
    logger.setLevel(logging.INFO)
    try:
        with mock.patch("arvo.testing.simulation.run.silenced", nullcontext):
            yield handler.records
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)


def run_with_log(seed: int, kinds: Sequence[Any]) -> tuple[Simulation, list[logging.LogRecord]]:
    """Run a seed; the log is without that of the run that measures its size."""
    drawn = simulate(system, events, seed=seed, runs=1, kinds=kinds)
    with collected() as records:
        run = simulate(system, events, seed=seed, faults=drawn.faults, storage=drawn.storage)
    return run, records


def happenings(run: Simulation) -> tuple[Counter[str], Counter[str]]:
    """Return the failed workflows, and the events that became dead letters."""
    failed = (it.subject for it in run.world.records.values() if it.status == "failed")
    return Counter(failed), dead_lettered(run, (it.event.id for it in run.world.dead_letters))


def lines(run: Simulation, records: Sequence[Any]) -> tuple[Counter[str], Counter[str]]:
    """Return what the log has of them."""
    failed = (line["subject"] for line in logged(records, "a workflow failed"))
    dead = (line["event"] for line in logged(records, "dead letter stored"))
    return Counter(failed), dead_lettered(run, dead)


def dead_lettered(run: Simulation, events: Iterable[str]) -> Counter[str]:
    # A pair may run a handler without memory twice; its second dead letter replaces the first.
    return Counter(set(events)) if run.storage == "pair" else Counter(events)


@FEWER
@given(st.integers(0, 100_000))
def test_warnings_are_the_failed_workflows_and_the_dead_letters(seed: int) -> None:
    """Whatever is delivered late, twice, in another order, or to workers that pause."""
    run, records = run_with_log(seed, OTHERS)

    assert lines(run, records) == happenings(run)
    # A worker that pauses for a minute gives up the commit that it was in.
    expected = {"a workflow failed", "dead letter stored", "a call did not end"}
    assert {text for level, text, _ in lines_of(records) if level != "info"} <= expected


@FEWER
@given(st.integers(0, 100_000))
def test_no_happening_is_logged_twice_and_none_that_did_not_happen(seed: int) -> None:
    """Whatever crashes, and whichever answers are lost; then a line may be missing."""
    run, records = run_with_log(seed, FAULT_KINDS)

    (failed, dead), (failed_lines, dead_lines) = happenings(run), lines(run, records)
    assert failed_lines <= failed
    assert dead_lines <= dead
