"""The writer of the Postgres backend, over transactions that end when they are told to."""

import asyncio
from collections.abc import Sequence

from arvo.interpreters.ports.backend import Committed
from arvo.interpreters.postgres.session.writer import AT_ONCE, Writer
from arvo.interpreters.postgres.statements.write_batch import Unit, Written


def test_what_is_handed_in_as_the_last_transactions_end_is_written() -> None:
    """A worker settles an answer at the moment its commit is done, and nothing else may follow."""

    async def go() -> int:
        begun = asyncio.Semaphore(0)
        ends: list[asyncio.Future[None]] = []
        written: list[Unit] = []

        async def write(units: Sequence[Unit]) -> list[Written]:
            if len(ends) < AT_ONCE:
                ends.append(asyncio.get_running_loop().create_future())
                begun.release()
                await ends[-1]
            written.extend(units)
            return [Written(Committed()) for _ in units]

        writer = Writer(write, lambda: None)

        async def hand_in(numbers: range) -> None:
            for number in numbers:
                await writer.do(Unit(number=number), lambda _: None)

        tasks = []
        for each in range(AT_ONCE):
            # The first commits, and then settles what came of it; the others have nothing more.
            tasks.append(asyncio.create_task(hand_in(range(1 if each else 2))))
            await begun.acquire()
        for end in ends:
            end.set_result(None)
        async with asyncio.timeout(10):
            await asyncio.gather(*tasks)
        await writer.stop()
        return len(written)

    assert asyncio.run(go()) == AT_ONCE + 1
