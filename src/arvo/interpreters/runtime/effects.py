"""Effects: performs what handlers ask for, with its timeout and its retries."""

import asyncio
import inspect
import random
from typing import Any

from arvo.handlers.effect import Perform, Performed


async def perform(effect: Perform[Any]) -> Performed:
    """Call the function until it answers, its timeout passes, or its attempts are used up.

    A coroutine function is awaited here; a plain one runs in a thread, which a timeout leaves
    behind running (Python cannot stop a thread). The last exception is the result where no attempt
    succeeds.
    """
    attempt = 1
    while True:
        try:
            async with asyncio.timeout(effect.timeout):
                return Performed(effect, value=await _called(effect))
        except asyncio.CancelledError:
            if is_cancelled():
                raise
            # Something that the effect waited for was cancelled, and not this task.
            cancelled = RuntimeError(f"{effect} was cancelled")
            if attempt >= effect.retry.attempts:
                return Performed(effect, error=cancelled)
        except Exception as error:  # noqa: BLE001 - the handler decides what an exception means
            if attempt >= effect.retry.attempts:
                return Performed(effect, error=_explained(error, effect))
        chance = random.random()  # noqa: S311 - spreads retries; no secret
        await asyncio.sleep(effect.retry.wait_after(attempt, chance))
        attempt += 1


def is_cancelled() -> bool:
    """Tell whether somebody has asked the present task to end."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def _called(effect: Perform[Any]) -> Any:
    if inspect.iscoroutinefunction(effect.function):
        return await effect.function(*effect.args)
    value = await asyncio.to_thread(_in_thread, effect)
    # A callable object or a partial may hide a coroutine function.
    return await value if inspect.isawaitable(value) else value


def _in_thread(effect: Perform[Any]) -> Any:
    try:
        return effect.function(*effect.args)
    except StopIteration as error:
        # No future can hold it: whoever waits would wait for ever.
        raise RuntimeError(f"{effect} raised StopIteration") from error


def _explained(error: Exception, effect: Perform[Any]) -> Exception:
    if effect.timeout is not None and isinstance(error, TimeoutError) and not str(error):
        return TimeoutError(f"{effect} did not answer within {effect.timeout} s")
    return error
