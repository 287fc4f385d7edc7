"""Forks: a process that forks workflows, for tests that kill it."""

import asyncio
from collections import Counter
from collections.abc import Callable

from arvo import Client
from tests.processes.worker import (
    TURNS,
    begin_event,
    expected_total,
    open_backend,
    system,
    total_of,
)
from tests.processes.workers import TIMEOUT_SECONDS


def revision_of(number: int) -> int:
    """Return at which revision the workflow of a number is forked: each but the last one."""
    return 1 + number % (TURNS - 1)


def fork_all(url: str, reached: int, workflows: int, report: Callable[[], None]) -> None:
    """Fork so many workflows as are to be *reached*; then fork the next one, call *report*, and
    wait to be killed. End if that are all *workflows*.
    """

    async def go() -> None:
        async with Client(system, open_backend(url)) as client:

            async def fork(number: int) -> None:
                subject = begin_event(number).subject
                await client.fork(subject, at=revision_of(number), new_id=f"fork-{number}")

            for number in range(reached):
                await fork(number)
            if reached < workflows:
                async with asyncio.TaskGroup() as forking:
                    forking.create_task(fork(reached))
                    await asyncio.sleep(0)
                    report()
                    forking.create_task(asyncio.Event().wait())

    asyncio.run(go())


def check_forks(url: str, workflows: int) -> None:
    """Wait until each fork is done; check that it began once, and lost and doubled no turn."""

    async def go() -> None:
        async with Client(system, open_backend(url)) as client:
            for number in range(workflows):
                record = None
                async with asyncio.timeout(TIMEOUT_SECONDS):
                    while record is None or record.status == "active":
                        await asyncio.sleep(0.02)
                        record = await client.record(f"fork-{number}")
                turns = 1 + TURNS - revision_of(number)
                assert (record.status, record.revision) == ("done", turns), record
                assert total_of(record) == expected_total(number)
                events = Counter(
                    (entry.kind, entry.event.source, entry.event.id)
                    for entry in await client.history(record.subject)
                    if entry.event is not None
                )
                assert set(events.values()) == {1}, events
            found = [await client.workflows(workflow_id=f"fork-{it}") for it in range(workflows)]
            assert [len(page) for page in found] == [1] * workflows
            assert await client.dead_letters() == ()

    asyncio.run(go())
