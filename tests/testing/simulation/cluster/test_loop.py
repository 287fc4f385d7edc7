"""Loop: time is virtual, and the order of callbacks is deterministic."""

import asyncio

from arvo.testing.simulation.cluster.loop import VirtualLoop


def make_loop() -> VirtualLoop:
    return VirtualLoop()  # type: ignore[abstract]  # it has no network operations, and the simulation calls none


def test_a_day_of_virtual_time_takes_no_real_time() -> None:
    """A test of a timer that is due in a day must not wait for it."""
    loop = make_loop()
    wake_times: list[float] = []

    async def sleep() -> None:
        await asyncio.sleep(86_400)
        wake_times.append(asyncio.get_running_loop().time())

    task = loop.create_task(sleep())

    assert loop.run(3_600) is False
    assert wake_times == []
    assert loop.run() is True
    assert wake_times == [86_400]
    assert task.done()


def test_timers_of_the_same_time_fire_in_the_order_they_were_set() -> None:
    """A heap alone would not guarantee it."""
    loop = make_loop()
    fired: list[int] = []

    for number in range(100):
        loop.call_at(1.0, fired.append, number)
    loop.run()

    assert fired == list(range(100))


def test_timeouts_and_threads_work() -> None:
    """The effects of a runtime use both; a function for a thread is called at once."""
    loop = make_loop()
    results: list[object] = []

    async def work() -> None:
        results.append(await asyncio.to_thread(lambda: 7))
        try:
            async with asyncio.timeout(5):
                await asyncio.sleep(60)
        except TimeoutError:
            results.append(asyncio.get_running_loop().time())

    task = loop.create_task(work())
    loop.run()

    assert task.done()
    assert results == [7, 5.0]


def test_the_loop_is_idle_when_all_tasks_wait() -> None:
    """No callback could wake them, so the loop returns where asyncio would hang."""
    loop = make_loop()

    async def wait() -> None:
        await asyncio.get_running_loop().create_future()

    task = loop.create_task(wait())

    assert loop.run() is True
    task.cancel()
    assert loop.run() is True
