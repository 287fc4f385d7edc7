"""Stats: outcomes are counted, logged, and reported to the callers that wait."""

import asyncio
import logging
from typing import Any

import attrs
import pytest

from arvo import (
    Commands,
    Emit,
    Event,
    Log,
    MemoryBackend,
    Runtime,
    Stats,
    System,
    Violated,
)
from arvo.interpreters.ports.errors import Unavailable
from arvo.interpreters.ports.results import CommitResult
from tests.interpreters.runtime.running import (
    FAST,
    Replaced,
    new_backend,
    refuse_chains,
    run_runtime,
    within,
)
from tests.shop import (
    CardCharged,
    ChargeCard,
    charge_request,
    payment_handler,
)

pytestmark = pytest.mark.usefixtures("each_backend")


def test_an_error_after_a_commit_does_not_repeat_the_commit() -> None:
    """A log filter of the user that raises must not make the event be handled twice."""

    def broken(_: logging.LogRecord) -> bool:
        raise ValueError("filter")

    def handler(_: Event[ChargeCard]) -> Commands:
        return Log("info", "charged"), Emit(CardCharged("r"))

    async def go() -> Stats:
        async with Runtime(
            System([payment_handler(handler)]), new_backend(), prefetch=1
        ) as runtime:
            await runtime.request(charge_request("c1"), timeout=60)
            return await runtime.drain(timeout=60)

    logger = logging.getLogger("arvo.handlers")
    before = logger.level
    logger.setLevel(logging.INFO)
    logger.addFilter(broken)
    try:
        stats = within(go())
    finally:
        logger.removeFilter(broken)
        logger.setLevel(before)

    assert (stats.handled, stats.retried) == (1, 0)


@attrs.define
class UnavailableAtFirst:
    """A memory backend whose first commits raise `Unavailable`."""

    failures: int
    inner: MemoryBackend = attrs.field(factory=MemoryBackend)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    async def commit_chains(self, chains: Any) -> list[bool]:
        return await refuse_chains(chains)

    async def commit(self, *args: Any) -> Any:
        if self.failures > 0:
            self.failures -= 1
            raise Unavailable("no connection")
        return await self.inner.commit(*args)


@pytest.mark.promise("I1")
@pytest.mark.parametrize(("failures", "handled", "dead"), [(1, 1, 0), (2, 0, 1)])
def test_a_commit_is_retried_during_an_outage_and_reported_in_the_end(
    failures: int, handled: int, dead: int
) -> None:
    """The event is not lost (promise I1), and the caller gets the reason."""

    async def work(runtime: Runtime) -> str:
        try:
            return (await runtime.request(charge_request(), timeout=60)).type
        except Violated as violated:
            return str(violated)

    result, stats = run_runtime(
        System([payment_handler(lambda _: Emit(CardCharged("r")))]),
        work,
        backend=UnavailableAtFirst(failures),
        retry=FAST,
    )

    assert (stats.handled, stats.dead_lettered) == (handled, dead)
    assert ("evt.payment.charged" if handled else "Unavailable: no connection") in result


def test_drained_means_counted() -> None:
    """A delivery is settled in the backend before its outcome is recorded here."""
    backend = MemoryBackend()

    async def commit(*arguments: Any) -> CommitResult:
        result = await backend.commit(*arguments)
        for _ in range(100):
            await asyncio.sleep(0)
        return result

    async def work(runtime: Runtime) -> None:
        await runtime.send(charge_request())

    slow = Replaced(backend, commit=commit)
    _, stats = run_runtime(System([payment_handler(lambda _: None)]), work, backend=slow)

    assert stats == Stats(handled=1)
