"""Tasks: asyncio tasks that end with their caller, and never fail in silence."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from contextvars import copy_context
from typing import Any, Final, TypeVar

from opentelemetry.context import Context, attach

from arvo.interpreters.delivery.log import HANDLED, fields, get_logger
from arvo.interpreters.ports.errors import Unavailable

T = TypeVar("T")

logger: Final = get_logger("tasks")

# The first and the longest pause between two checks of `poll_until_idle`.
POLL_SECONDS_MIN: Final = 0.002
POLL_SECONDS_MAX: Final = 0.05
# How long `end_task` lets a task finish the request that it has sent to a server.
END_SECONDS: Final = 5.0

_LOGGED: Final = "_arvo_is_logged"
_NO_SPAN: Final = Context()


def supervise(
    work: Coroutine[Any, Any, T], *, name: str, on_failure: Callable[[Exception], None]
) -> "asyncio.Task[T]":
    """Start *work* as a task. If it raises, log the exception and call *on_failure* with it.

    *on_failure* passes the exception on to the coroutines that depend on the task, for example by
    failing the futures that they await. A cancelled task has not failed. *work* handles the
    exceptions that it expects; any other is a bug, or a fault that this process cannot mend.

    Use this for every background task: asyncio reports an exception of a task that no coroutine
    awaits only when the task is garbage collected, so the work would stop without a trace.
    """
    # It outlives the delivery in whose task it may be started: its lines are not about that, and
    # the spans of a driver would hang below one that has ended long ago.
    context = copy_context()
    context.run(HANDLED.set, None)
    context.run(attach, _NO_SPAN)
    task = asyncio.create_task(work, name=name, context=context)

    def on_done(done: "asyncio.Task[T]") -> None:
        error = None if done.cancelled() else done.exception()
        if not isinstance(error, Exception):
            return
        # An exception that many tasks raise, such as the waiting workers', is logged once.
        if not vars(error).setdefault(_LOGGED, False):
            vars(error)[_LOGGED] = True
            logger.error("a task failed", exc_info=error, extra=fields(task=name))
        on_failure(error)

    task.add_done_callback(on_done)
    return task


async def end_task(task: "asyncio.Task[Any]") -> None:
    """Wait until *task* ends by itself, and cancel it after `END_SECONDS`. Never raises its error.

    Not cancelled at once: a connection that is being opened by a cancelled task would stay open.
    """
    await asyncio.wait({task}, timeout=END_SECONDS)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def gather_all(works: Iterable[Awaitable[object]]) -> None:
    """Await all of *works* together. When all have ended, raise the first exception, if any.

    Unlike a plain `asyncio.gather`, it leaves no work running when it raises.
    """
    all_ = list(works)
    if len(all_) == 1:
        # The usual case, a single message to publish, needs no task of its own.
        await all_[0]
        return
    for result in await asyncio.gather(*all_, return_exceptions=True):
        if isinstance(result, BaseException):
            raise result


async def end_within(seconds: float, work: Awaitable[T], *, call: str) -> T:
    """Await *work*. If that takes longer, log where it waited, and raise `Unavailable`.

    Behind the timeouts of single calls to a server, which end a call by cancelling it: a driver
    that swallows that one cancellation goes on waiting, and nothing would ever cancel it again.
    *call*: the name of the work.
    """
    try:
        async with asyncio.timeout(seconds) as limit:
            return await work
    except TimeoutError as error:
        if not limit.expired():
            raise
        extra = fields(call=call, seconds=round(seconds))
        logger.warning("a call did not end", exc_info=error, extra=extra)
        raise Unavailable(f"{call} did not end within {seconds:.0f} s") from error


async def poll_until_idle(is_busy: Callable[[], Awaitable[bool]]) -> None:
    """Call *is_busy* until it returns False, with pauses that double up to `POLL_SECONDS_MAX`."""
    pause = POLL_SECONDS_MIN
    while await is_busy():
        await asyncio.sleep(pause)
        pause = min(2 * pause, POLL_SECONDS_MAX)
