"""Loop: time is virtual, and nothing is left to chance."""

import asyncio

from arvo.testing.simulation.loop import VirtualLoop


def fresh() -> VirtualLoop:
    return VirtualLoop()  # type: ignore[abstract]  # it has no network, and nobody asks for it


def test_a_day_passes_at_once() -> None:
    """A timer that is due in a day should not take one."""
    loop = fresh()
    woken: list[float] = []

    async def sleep() -> None:
        await asyncio.sleep(86_400)
        woken.append(asyncio.get_running_loop().time())

    task = loop.create_task(sleep())

    assert loop.proceed(3_600) is False
    assert woken == []
    assert loop.proceed() is True
    assert woken == [86_400]
    assert task.done()


def test_timers_of_one_time_go_off_in_the_order_they_were_set() -> None:
    """A heap alone would not promise it."""
    loop = fresh()
    heard: list[int] = []

    for number in range(100):
        loop.call_at(1.0, heard.append, number)
    loop.proceed()

    assert heard == list(range(100))


def test_a_timeout_and_a_thread_are_there_as_well() -> None:
    """What the runtime's effects use: the thread's work is done at once."""
    loop = fresh()
    told: list[object] = []

    async def work() -> None:
        told.append(await asyncio.to_thread(lambda: 7))
        try:
            async with asyncio.timeout(5):
                await asyncio.sleep(60)
        except TimeoutError:
            told.append(asyncio.get_running_loop().time())

    task = loop.create_task(work())
    loop.proceed()

    assert task.done()
    assert told == [7, 5.0]


def test_those_who_wait_for_each_other_are_at_rest() -> None:
    """Nobody else could wake them: the simulation says so at once, where a test would hang."""
    loop = fresh()

    async def wait() -> None:
        await asyncio.get_running_loop().create_future()

    task = loop.create_task(wait())

    assert loop.proceed() is True
    task.cancel()
    assert loop.proceed() is True
