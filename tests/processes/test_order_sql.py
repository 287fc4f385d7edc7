"""Order: the events of each workflow arrive in order, by several processes that are killed."""

import asyncio
import random
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from arvo.engine.step.route import ToHandler
from arvo.interpreters.ports.messages import Message
from arvo.interpreters.runtime.backends import backend_from_url
from tests import servers
from tests.ordered import SIGNALS, ledger, ledger_subject, mark_ledger, open_ledger
from tests.processes.workers import CONCURRENCY, start_workers

# The share of commits that an outage prevents. Each leads to a retry, and a workflow of six events
# has one in nine cases.
OUTAGES = 0.02
CONSUMED = ["open", *map(str, range(SIGNALS))]


def send_in_order(url: str, names: list[str]) -> None:
    """Begin workflows and send each its signals, one send after the other; many at a time."""

    async def go() -> None:
        backend, room = backend_from_url(url), asyncio.Semaphore(CONCURRENCY)

        async def send(name: str) -> None:
            async with room:
                marks = [mark_ledger(name, number) for number in range(SIGNALS)]
                for event in (open_ledger(name), *marks):
                    await backend.send(Message(event, ToHandler(ledger.type, event.subject)))

        await asyncio.gather(*map(send, names))
        await backend.close()

    asyncio.run(go())


def wait_for_all(url: str, names: list[str], timeout: float) -> None:
    """Wait until every event was processed or is a dead letter."""

    async def go() -> None:
        backend = backend_from_url(url)
        async with asyncio.timeout(timeout):
            await backend.wait_until_idle()
        await backend.close()

    asyncio.run(go())


def check(url: str, names: list[str]) -> None:
    """Check that each workflow consumed its events once and in order, and that none is dead."""

    async def go() -> tuple[list[str], int]:
        backend = backend_from_url(url)
        wrong = []
        for name in names:
            record = await backend.load(ledger_subject(name))
            history = await backend.history(ledger_subject(name))
            consumed = [
                entry.event.id.removeprefix(f"mark-{name}-").removesuffix(f"-{name}")
                for entry in history
                if entry.kind == "consumed" and entry.event is not None
            ]
            state = record and (record.status, record.state)
            if (state, consumed) != (("done", [*range(SIGNALS)]), CONSUMED):
                wrong.append(f"{name}: {state}, consumed {consumed}")
        dead_letters = await backend.dead_letters()
        await backend.close()
        return wrong, len(dead_letters)

    assert asyncio.run(go()) == ([], 0)


def run_in_order(url: str, workflows: int, number: int, kills: int, timeout: float) -> None:
    """Send to *number* workers, and kill one of them now and then."""
    chance = random.Random(workflows)  # noqa: S311 - no secret, and the same in each run
    names = [f"w{number}" for number in range(workflows)]
    with start_workers(url, number, OUTAGES) as workers, ThreadPoolExecutor(1) as sender:
        sending = sender.submit(send_in_order, url, names)
        for _ in range(kills):
            time.sleep(chance.uniform(0.0, 0.4))
            workers.kill(chance.choice(workers.processes))
            workers.start()
        sending.result(timeout)
        wait_for_all(url, names, timeout)
        workers.stop()
    check(url, names)


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A file, or a server of its own with the default durability."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'a.db'}"
        return
    server = servers.postgres()
    server.start()
    yield server.url
    server.stop()


@pytest.mark.promise("I4")
def test_kills_and_outages_change_no_order(url: str) -> None:
    """I4: begin and five signals of each workflow: none lost, doubled, dead or out of order."""
    run_in_order(url, workflows=200, number=3, kills=4, timeout=180.0)


@pytest.mark.deep
def test_many_kills_and_outages_change_no_order(url: str) -> None:
    """The same for long."""
    run_in_order(url, workflows=4_000, number=4, kills=60, timeout=1_800.0)
