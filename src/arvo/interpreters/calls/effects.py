"""Effects: performs the calls that handlers ask for, with their timeouts and retries."""

import asyncio
import inspect
import random
from collections.abc import Mapping
from typing import Any, Final, final

from attrs import define

from arvo.handlers.effect import Perform, Performed, effect_error
from arvo.interpreters.calls.reports import reporting
from arvo.interpreters.calls.running import running
from arvo.interpreters.calls.threads import ThreadPool, ThreadsExhausted
from arvo.interpreters.delivery.log import fields, get_logger
from arvo.interpreters.ports.observation import EFFECT
from arvo.interrupts import is_interrupt

logger: Final = get_logger("worker")


@final
@define(eq=False)
class Effects:
    """Performs the effects of handlers; *threads* has a pool for the address of each handler."""

    threads: Mapping[str, ThreadPool]

    async def perform(self, address: str, effect: Perform[Any]) -> Performed:
        """Perform an effect of the handler at *address* (see the function `perform`)."""
        return await perform(effect, self.threads[address])

    def close(self) -> None:
        """End the threads that are idle (see `ThreadPool.close`)."""
        for threads in self.threads.values():
            threads.close()


async def perform(effect: Perform[Any], threads: ThreadPool) -> Performed:
    """Call the effect's function until it returns, or until its attempts are used up.

    The timeout applies to each attempt. A coroutine function is awaited in the event loop. A plain
    function runs in one of *threads*; after a timeout it occupies that thread until it returns. If
    no attempt succeeds, the result holds the last exception. Raises `ThreadsExhausted` if no thread
    is left: then the function was not called, and the event has to be tried again later.
    """
    attempt = 1
    while True:
        try:
            async with asyncio.timeout(effect.timeout):
                with running(effect.name), reporting(attempt):
                    return Performed(effect, value=await _invoke(effect, threads))
        except asyncio.CancelledError:
            if is_cancelled():
                raise
            # A future that the effect awaited was cancelled; this task was not.
            failure: Exception = RuntimeError(f"{effect} was cancelled")
        except ThreadsExhausted:
            raise
        except BaseException as error:
            if is_interrupt(error):
                raise
            # The handler decides what an exception means.
            failure = _with_text(effect_error(effect, error), effect)
        if attempt >= effect.retry.attempts:
            return Performed(effect, error=failure)
        chance = random.random()  # noqa: S311 - jitter of retries, not a secret
        wait = effect.retry.wait_after(attempt, chance)
        if (observed := EFFECT.get()) is not None:
            observed.retried(attempt, wait, failure)
        extra = fields(
            effect=effect.name,
            attempt=attempt,
            attempts_max=effect.retry.attempts,
            wait=round(wait, 3),
            reason=f"{type(failure).__name__}: {failure}",
        )
        logger.info("effect retried", extra=extra)
        # Its traceback holds this frame, which would hold it.
        del failure
        await asyncio.sleep(wait)
        attempt += 1


def is_cancelled() -> bool:
    """Return whether the current task itself has been asked to cancel."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def _invoke(effect: Perform[Any], threads: ThreadPool) -> Any:
    if inspect.iscoroutinefunction(effect.function):
        return await effect.function(*effect.args)
    value = await threads.run(_invoke_plain, effect, text=str(effect))
    # A callable object or a partial may wrap a coroutine function.
    return await value if inspect.isawaitable(value) else value


def _invoke_plain(effect: Perform[Any]) -> Any:
    try:
        return effect.function(*effect.args)
    except BaseException as error:
        # Here in the thread: a future cannot hold StopIteration, so the caller would wait for ever.
        raised = effect_error(effect, error)
        if raised is error:
            raise
        raise raised from error


def _with_text(error: Exception, effect: Perform[Any]) -> Exception:
    if effect.timeout is not None and isinstance(error, TimeoutError) and not str(error):
        return TimeoutError(f"{effect} did not answer within {effect.timeout} s")
    return error
