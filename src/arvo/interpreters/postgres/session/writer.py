"""Writer: units of work that wait while others are written go into one transaction together."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, cast, final

from attrs import define, field, frozen

from arvo.interpreters.ports.backend import Unavailable
from arvo.interpreters.postgres.connection.errors import RAISED, is_in_the_way, is_sure, told
from arvo.interpreters.postgres.statements.group_commit import Raced
from arvo.interpreters.postgres.statements.write_batch import Unit, Written

# Units in one transaction: more gain nothing, and make the first of them wait.
GROUP_MAX: Final = 100
# Bytes in one transaction, as long as there is more than one unit: a message of Postgres' protocol
# has a gigabyte at most, and a large one keeps the others waiting.
GROUP_BYTES_MAX: Final = 16 * 1024 * 1024
# Transactions at once: one is written to the server's disk while the next is put together.
AT_ONCE: Final = 2
# How often a group is tried again that was in another one's way.
TRIES_MAX: Final = 10


@final
@frozen(eq=False)
class _Waiting:
    unit: Unit
    then: Callable[[Written], None]
    future: "asyncio.Future[Written]"


@final
@define(eq=False)
class Writer:
    """Writes units by *write*, which takes one transaction for those it is given.

    *failed* is told where it is not known what a transaction has changed. Order: a unit that is
    handed in after another one was done is written after it.
    """

    write: Callable[[Sequence[Unit]], Awaitable[list[Written]]]
    failed: Callable[[], None]
    _waiting: deque[_Waiting] = field(factory=deque, init=False)
    _tasks: set["asyncio.Task[None]"] = field(factory=set, init=False)
    _ended: bool = field(default=False, init=False)

    async def do(self, unit: Unit, then: Callable[[Written], None]) -> Written:
        """Write a unit; returns when it is committed.

        *then* is called with what became of it, also where nobody waits any more: a task that is
        cancelled meanwhile must not keep others from what its unit has done.
        """
        if self._ended:
            raise Unavailable("the connection to Postgres is closed here: it is opened again")
        future: asyncio.Future[Written] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(unit, then, future))
        if len(self._tasks) < AT_ONCE:
            task = asyncio.create_task(self._work(), name="arvo postgres writer")
            self._tasks.add(task)
        return await future

    async def stop(self) -> None:
        """Write what waits, and take no more."""
        self._ended = True
        while self._tasks:
            await asyncio.wait(self._tasks)
        self.refuse(Unavailable("the connection to Postgres was closed before this was written"))

    def refuse(self, error: Exception) -> None:
        """Take no more, and raise *error* in all who wait."""
        self._ended = True
        while self._waiting:
            _fail(self._waiting.popleft(), error)

    async def _work(self) -> None:
        group: list[_Waiting] = []
        try:
            # Others that want something written now may say so first.
            await asyncio.sleep(0)
            while self._waiting:
                group = self._group()
                await self._write(group)
        except BaseException:
            for each in group:
                _fail(each, Unavailable("the writing of this was cancelled"))
            raise
        finally:
            # At once, not when the loop comes to a callback: whoever hands in a unit meanwhile
            # would take it for a task that still looks for more.
            self._tasks.discard(cast("asyncio.Task[None]", asyncio.current_task()))

    def _group(self) -> list[_Waiting]:
        """Take those that go into the next transaction; what would meet one of them waits."""
        group: list[_Waiting] = []
        later: list[_Waiting] = []
        names: set[object] = set()
        size = 0
        while self._waiting and len(group) < GROUP_MAX and len(later) < GROUP_MAX:
            each = self._waiting.popleft()
            if group and size + each.unit.size > GROUP_BYTES_MAX:
                self._waiting.appendleft(each)
                break
            if names.isdisjoint(each.unit.names):
                group.append(each)
                size += each.unit.size
            else:
                later.append(each)
            # Those behind one that waits wait as well, or it would be overtaken.
            names.update(each.unit.names)
        self._waiting.extendleft(reversed(later))
        return group

    async def _write(self, group: list[_Waiting]) -> None:
        tries = 0
        while True:
            try:
                written = await self.write([each.unit for each in group])
            except Raced as error:
                failure: Exception = error
            except RAISED as error:
                if not is_sure(error):
                    # It may be committed, and what this process has of it is not known here.
                    self.failed()
                    for each in group:
                        _fail(each, told(error))
                    return
                failure = error
            else:
                for each, became in zip(group, written, strict=True):
                    each.then(became)
                    if not each.future.done():
                        each.future.set_result(became)
                return
            tries += 1
            if (isinstance(failure, Raced) or is_in_the_way(failure)) and tries < TRIES_MAX:
                await asyncio.sleep(0.001 * tries)
                continue
            if len(group) > 1:
                # One of them cannot be written: the others can, each by itself.
                for each in group:
                    await self._write([each])
                return
            _fail(group[0], told(failure))
            return


def _fail(waiting: _Waiting, error: Exception) -> None:
    if not waiting.future.done():
        waiting.future.set_exception(error)
        # Nobody may be left to hear it, and an exception that is never heard is printed.
        waiting.future.exception()
