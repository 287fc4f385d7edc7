"""Single tasks: at most so many at a time, and less room for what has to wait."""

import asyncio
from collections.abc import Awaitable, Callable

from arvo.interpreters.ports.messages import Delivery, queue_of
from arvo.interpreters.worker.single_tasks import WINDOW_MAX, SingleTasks
from arvo.testing.conformance.kit.samples import SERVICE, to_service
from tests.interpreters.runtime.running import within


def delivery(key: str) -> Delivery:
    return Delivery(to_service(key), 1)


def raise_it(error: Exception) -> None:
    raise error


def make(process: Callable[[Delivery], Awaitable[None]], prefetch: int = 2) -> SingleTasks:
    return SingleTasks(process, {SERVICE: prefetch}, raise_it)


async def nothing(_: Delivery) -> None:
    """Process a delivery that waits for nothing."""


def test_the_room_doubles_while_nothing_waits() -> None:
    """What only computes is taken in large ticks, up to a bound."""
    singles = make(nothing)

    rooms = []
    for _ in range(9):
        singles.grow([SERVICE])
        rooms.append(singles.room[SERVICE])

    assert rooms == [4, 8, 16, 32, 64, 128, 256, 256, 256]
    assert rooms[-1] == WINDOW_MAX


def test_the_room_shrinks_when_one_has_to_wait() -> None:
    """Other workers shall have the rest. When one has ended there is room again."""

    async def go() -> list[int]:
        release = asyncio.Event()

        async def wait(_: Delivery) -> None:
            await release.wait()

        singles = make(wait)
        singles.grow([SERVICE])
        singles.start(delivery("a"))
        singles.start(delivery("b"))
        singles.start(delivery("c"))
        singles.grow([SERVICE])
        rooms = [singles.room[SERVICE]]
        woken: list[int] = []
        singles.on_room = lambda: woken.append(singles.room[SERVICE])
        release.set()
        while singles.tasks:  # noqa: ASYNC110 - they end by themselves
            await asyncio.sleep(0)
        return [*rooms, *woken, singles.room[SERVICE]]

    # The second that ends wakes no loop that has room already.
    assert within(go()) == [0, 1, 2]


def test_no_more_than_the_prefetch_run_at_the_same_time() -> None:
    """However many a tick has taken."""

    async def go() -> tuple[int, int]:
        running, most, done = 0, 0, 0

        async def process(_: Delivery) -> None:
            nonlocal running, most, done
            running += 1
            most = max(most, running)
            await asyncio.sleep(0)
            running, done = running - 1, done + 1

        singles = make(process)
        for number in range(10):
            singles.start(delivery(str(number)))
        while singles.tasks:  # noqa: ASYNC110 - they end by themselves
            await asyncio.sleep(0)
        return most, done

    assert within(go()) == (2, 10)


def test_at_the_end_those_that_have_begun_are_finished_and_no_other() -> None:
    """The others are delivered again, by another worker."""

    async def go() -> list[str]:
        done: list[str] = []
        release = asyncio.Event()

        async def process(each: Delivery) -> None:
            assert queue_of(each.message.to) == SERVICE
            await release.wait()
            done.append(each.message.event.id)

        singles = make(process, prefetch=1)
        for number in range(3):
            singles.start(delivery(str(number)))
        await asyncio.sleep(0)
        asyncio.get_running_loop().call_soon(release.set)
        singles.close([SERVICE])
        await singles.join([SERVICE], asyncio.get_running_loop().time() + 30)
        assert singles.room[SERVICE] == 0
        singles.grow([SERVICE])
        assert singles.room[SERVICE] == 0
        return done

    assert within(go()) == ["0"]


def test_those_that_do_not_end_are_cancelled() -> None:
    """They were not committed, so nothing is lost."""

    async def go() -> int:
        async def hang(_: Delivery) -> None:
            await asyncio.Event().wait()

        singles = make(hang)
        singles.start(delivery("a"))
        await asyncio.sleep(0)
        await singles.join([SERVICE], asyncio.get_running_loop().time())
        return len(singles.tasks)

    assert within(go()) == 0


def test_the_error_of_a_task_that_breaks_is_passed_on() -> None:
    """It is a fault that this process cannot mend."""

    async def go() -> tuple[list[Exception], int]:
        async def break_down(_: Delivery) -> None:
            raise RuntimeError("a bug")

        failed: list[Exception] = []
        singles = SingleTasks(break_down, {SERVICE: 1}, failed.append)
        singles.start(delivery("a"))
        while not failed:  # noqa: ASYNC110 - it fails by itself
            await asyncio.sleep(0)
        return failed, len(singles.tasks)

    failed, running = within(go())

    assert ([str(error) for error in failed], running) == (["a bug"], 0)
