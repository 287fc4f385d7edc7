"""Writer: which batches share a transaction, over transactions that a test controls."""

import asyncio
from collections.abc import Sequence

import pytest

from arvo.interpreters.ports.results import Committed
from arvo.interpreters.postgres.session.writer import CONCURRENCY, Writer
from arvo.interpreters.postgres.statements.group_locks import KEYS_MAX
from arvo.interpreters.postgres.statements.write_batch import WriteBatch, Written
from tests.interpreters.within import within
from tests.logged import logged


def test_a_batch_that_is_handed_in_as_the_last_transactions_end_is_written() -> None:
    """A worker acknowledges a reply when its commit is done, and no other batch may follow."""

    async def go() -> int:
        begun = asyncio.Semaphore(0)
        ends: list[asyncio.Future[None]] = []
        written: list[WriteBatch] = []

        async def write_group(batches: Sequence[WriteBatch]) -> list[Written]:
            if len(ends) < CONCURRENCY:
                ends.append(asyncio.get_running_loop().create_future())
                begun.release()
                await ends[-1]
            written.extend(batches)
            return [Written(Committed()) for _ in batches]

        writer = Writer(write_group, lambda: None)

        async def hand_in(ids: range) -> None:
            for id_ in ids:
                await writer.write(WriteBatch(delivery_ids=(id_,)), lambda _: None)

        tasks = []
        for number in range(CONCURRENCY):
            # The first commits, and then acknowledges what followed; the others have no more.
            tasks.append(asyncio.create_task(hand_in(range(1 if number else 2))))
            await begun.acquire()
        for end in ends:
            end.set_result(None)
        await asyncio.gather(*tasks)
        await writer.stop()
        return len(written)

    assert within(go()) == CONCURRENCY + 1


def test_a_writer_task_that_fails_leaves_no_write_waiting(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Neither those of its transaction, nor those that wait for the next one."""

    async def go() -> list[object]:
        async def write_group(_: Sequence[WriteBatch]) -> list[Written]:
            raise RuntimeError("a bug")

        writer = Writer(write_group, lambda: None)
        batches = [WriteBatch(delivery_ids=(number,)) for number in range(250)]
        results = await asyncio.gather(
            *(writer.write(batch, lambda _: None) for batch in batches), return_exceptions=True
        )
        await writer.stop()
        return list(results)

    assert {repr(result) for result in within(go())} == {"RuntimeError('a bug')"}
    assert {"task": "arvo postgres writer"} in logged(caplog.records, "a task failed")


def test_the_chains_of_one_transaction_lock_a_bounded_number_of_keys() -> None:
    """The server's lock table is bounded, and a chain whose keys are not locked is refused."""

    async def go() -> list[int]:
        locked: list[int] = []

        async def write_group(batches: Sequence[WriteBatch]) -> list[Written]:
            locked.append(sum(len(batch.passing_keys) for batch in batches))
            return [Written(Committed()) for _ in batches]

        writer = Writer(write_group, lambda: None)
        batches = [WriteBatch(passing_keys=tuple(range(KEYS_MAX // 3))) for _ in range(7)]
        await asyncio.wait([writer.submit(batch, lambda _: None) for batch in batches])
        await writer.stop()
        return locked

    locked = within(go())

    assert sum(locked) == 7 * (KEYS_MAX // 3)
    assert max(locked) <= KEYS_MAX
