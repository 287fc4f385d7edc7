"""Open effects: performs the effects that one step waits for, side by side."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, TypeAlias, final

from attrs import define, field

from arvo.handlers.effect import Perform, Performed

# Effects of one step that run at the same time. A flow with more open calls performs the oldest
# first: a thousand branches must not open a thousand connections.
CONCURRENT_MAX: Final = 16

Running: TypeAlias = "tuple[Perform[Any], asyncio.Future[Performed]]"


@final
@define(eq=False)
class OpenEffects:
    """The effects of one step that run now, each in a task of its own.

    *perform* calls the function of an effect, with its retries and its timeout.
    """

    perform: Callable[[Perform[Any]], Awaitable[Performed]]
    concurrent_max: int = CONCURRENT_MAX
    # In the order in which they were started.
    _running: list[Running] = field(factory=list, init=False)

    async def next(self, asked: Perform[Any]) -> Performed:
        """Start the effects that are *asked* for, and return the first of them that ends.

        An effect that still runs from an earlier call goes on. One that is no longer asked for, as
        its branch lost a race, is cancelled; if it runs in a thread, its result is dropped. Of
        several effects that have ended, the one that was started first is returned.
        """
        self._match(asked.effects)
        while True:
            for number, (_, task) in enumerate(self._running):
                if task.done():
                    del self._running[number]
                    return task.result()
            tasks = [task for _, task in self._running]
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)

    async def close(self) -> None:
        """Cancel the effects that still run, and wait until their `finally` blocks have run."""
        tasks = [task for _, task in self._running]
        self._running.clear()
        for task in tasks:
            _drop(task)
        if tasks:
            await asyncio.wait(tasks)

    def _match(self, effects: tuple[Perform[Any], ...]) -> None:
        """Keep the running effects that are among *effects*, cancel the others, start new ones."""
        left = dict(enumerate(self._running))
        new = []
        for effect in effects:
            number = _find(left, effect)
            if number is None:
                new.append(effect)
            else:
                del left[number]
        for _, task in left.values():
            _drop(task)
        self._running = [entry for number, entry in enumerate(self._running) if number not in left]
        for effect in new[: max(0, self.concurrent_max - len(self._running))]:
            self._running.append((effect, asyncio.ensure_future(self.perform(effect))))


def _find(running: Mapping[int, Running], effect: Perform[Any]) -> int | None:
    """Return the number of the running effect that is *effect*, or one that matches it."""
    # Mostly it is the same object. A flow that was replayed makes equal ones.
    for number, (other, _) in running.items():
        if other is effect:
            return number
    return next((number for number, (other, _) in running.items() if other.matches(effect)), None)


def _drop(task: "asyncio.Future[Performed]") -> None:
    """Cancel a task whose result is of no use."""
    task.cancel()
    # Marks an exception as retrieved: no caller waits for it, and asyncio would log it.
    task.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
