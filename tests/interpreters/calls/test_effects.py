"""Effects: the functions that handlers ask for are called, with timeout and retries."""

import asyncio
import functools
import threading
from typing import Any

import pytest

from arvo import Perform, Performed, Retry
from arvo.interpreters.calls.effects import perform
from arvo.interpreters.calls.threads import ThreadPool

FAST = Retry(attempts=3, delay=0.0)


async def twice(n: int) -> int:
    return 2 * n


def performed(effect: Perform[Any], within: float = 5.0) -> Performed:
    async def go() -> Performed:
        async with asyncio.timeout(within):
            return await perform(effect, ThreadPool("com.shop.web", 2))

    return asyncio.run(go())


@pytest.mark.parametrize(
    "function",
    [twice, lambda n: 2 * n, functools.partial(twice), functools.partial(lambda n: 2 * n)],
)
def test_plain_and_async_functions_are_called_alike(function: Any) -> None:
    """The author of a handler need not say which it is."""
    assert performed(Perform(function, (4,))).value == 8


def test_a_plain_function_does_not_block_the_event_loop() -> None:
    """It runs in a thread."""
    assert performed(Perform(threading.current_thread)).value is not threading.main_thread()


@pytest.mark.parametrize(("failures", "value"), [(0, "ok"), (2, "ok"), (3, None)])
def test_a_function_is_called_as_often_as_the_policy_allows(
    failures: int, value: str | None
) -> None:
    """B35: `attempts` counts all calls, and the last exception is the result."""
    tries: list[int] = []

    def flaky() -> str:
        tries.append(len(tries))
        if len(tries) <= failures:
            raise ConnectionError(f"try {len(tries)}")
        return "ok"

    done = performed(Perform(flaky, (), FAST))

    assert len(tries) == min(failures + 1, 3)
    assert done.value == value
    assert str(done.error) == ("None" if value else "try 3")


def test_each_attempt_has_its_own_timeout() -> None:
    """A slow first call does not use up the time of the second."""
    tries: list[int] = []

    async def slow_at_first() -> str:
        tries.append(1)
        if len(tries) == 1:
            await asyncio.sleep(60)
        return "ok"

    assert performed(Perform(slow_at_first, (), FAST, 0.02)).value == "ok"


async def too_slow() -> None:
    await asyncio.sleep(60)


async def times_out() -> None:
    raise TimeoutError


def test_the_error_of_a_timeout_names_the_function_and_the_limit() -> None:
    """The message ends up in a system error, far from here."""
    limited = performed(Perform(too_slow, (), timeout=0.01))
    unlimited = performed(Perform(times_out))

    assert str(limited.error) == "too_slow() did not answer within 0.01 s"
    assert isinstance(unlimited.error, TimeoutError)
    assert "within None" not in str(unlimited.error)


def test_a_function_that_raises_stop_iteration_does_not_hang() -> None:
    """A future cannot hold `StopIteration`, so the caller would wait for ever."""
    empty: list[int] = []

    done = performed(Perform(next, (iter(empty),)))

    assert isinstance(done.error, RuntimeError)
    assert "raised StopIteration" in str(done.error)
