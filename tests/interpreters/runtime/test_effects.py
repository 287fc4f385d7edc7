"""Effects: performed for real, with timeout and retries."""

import asyncio
import functools
import threading
from typing import Any

import pytest

from arvo import Perform, Performed, Retry
from arvo.interpreters.runtime.effects import perform

FAST = Retry(attempts=3, delay=0.0)


async def twice(n: int) -> int:
    return 2 * n


def performed(effect: Perform[Any], within: float = 5.0) -> Performed:
    async def go() -> Performed:
        async with asyncio.timeout(within):
            return await perform(effect)

    return asyncio.run(go())


@pytest.mark.parametrize(
    "function",
    [twice, lambda n: 2 * n, functools.partial(twice), functools.partial(lambda n: 2 * n)],
)
def test_plain_and_async_functions_are_called_alike(function: Any) -> None:
    """Whoever writes the handler need not say which it is."""
    assert performed(Perform(function, (4,))).value == 8


def test_a_plain_function_does_not_hold_up_the_others() -> None:
    """It runs in a thread."""
    assert performed(Perform(threading.current_thread)).value is not threading.main_thread()


@pytest.mark.parametrize(("failures", "value"), [(0, "ok"), (2, "ok"), (3, None)])
def test_it_is_tried_as_often_as_asked(failures: int, value: str | None) -> None:
    """B35: attempts counts tries, not retries; the last exception is the result."""
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
    """A slow first try does not use up the time of the second."""
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


def test_a_timeout_says_what_did_not_answer_and_blames_no_limit_that_was_not_set() -> None:
    """The message ends in a system error, far from here."""
    limited = performed(Perform(too_slow, (), timeout=0.01))
    unlimited = performed(Perform(times_out))

    assert str(limited.error) == "too_slow() did not answer within 0.01 s"
    assert isinstance(unlimited.error, TimeoutError)
    assert "within None" not in str(unlimited.error)


def test_an_iterator_that_is_exhausted_does_not_hang() -> None:
    """StopIteration cannot be held by a future: whoever waits would wait for ever."""
    empty: list[int] = []

    done = performed(Perform(next, (iter(empty),)))

    assert isinstance(done.error, RuntimeError)
    assert "raised StopIteration" in str(done.error)
